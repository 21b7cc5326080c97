//! Text that came from outside, made fit for a terminal.
//!
//! Not responsible for: HTML escaping, which the issuer's templates do.

/// The most characters [`printable`] lets through.
pub const MAX_PRINTABLE: usize = 300;

/// `text` without anything that could move a cursor, colour a line, ring a bell or turn the reading
/// direction, and no longer than [`MAX_PRINTABLE`] characters.
///
/// Line breaks and tabs become single spaces; other control characters (C0, C1, DEL), bidirectional
/// controls, zero-width characters and the byte order mark vanish. A cut is marked with `…`. Whatever
/// a server says about itself (`error_description`, a name, an address) passes through here before it
/// is shown.
pub fn printable(text: &str) -> String {
    let mut out = String::new();
    let mut kept = 0;
    for c in text.trim().chars() {
        let c = match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if is_unfit(c) => continue,
            c => c,
        };
        if c == ' ' && out.ends_with(' ') {
            continue;
        }
        if kept == MAX_PRINTABLE {
            out.push('…');
            return out;
        }
        out.push(c);
        kept += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

/// What the system says of a failed call, without the number that std appends to it: the words say the
/// same.
pub fn without_number(said: &str) -> &str {
    said.rfind(" (os error ")
        .and_then(|at| said.get(..at))
        .unwrap_or(said)
}

/// Whether `text` is already what [`printable`] would make of it, and not empty.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.is_empty() && printable(text) == text
}

/// The start of a body that was not what it should have been, for an error message.
pub(crate) fn excerpt(body: &[u8]) -> String {
    // Twice the cap in bytes is more than enough to fill it once what is unfit has been left out.
    let head = body.get(..2 * MAX_PRINTABLE).unwrap_or(body);
    printable(&String::from_utf8_lossy(head))
}

/// Whether `c` could steer a terminal, end a line, turn the reading direction, or is not seen.
pub fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Arabic letter mark, zero-width characters and directional marks.
            '\u{061C}' | '\u{200B}'..='\u{200F}'
            // Line and paragraph separator; embeddings and overrides; word joiner, invisible operators,
            // isolates, deprecated formats.
            | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            // Tags: a second, invisible alphabet.
            | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_lose_their_escape() {
        assert_eq!(printable("\u{1b}[31mred\u{1b}[0m"), "[31mred[0m");
        assert_eq!(printable("\u{9b}31mred\u{7}\u{7f}"), "31mred");
        assert_eq!(
            printable("\u{1b}]8;;https://evil\u{1b}\\x"),
            "]8;;https://evil\\x"
        );
    }

    #[test]
    fn direction_overrides_and_invisible_characters_vanish() {
        assert_eq!(
            printable("a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{e0041}"),
            "abcde"
        );
    }

    #[test]
    fn line_breaks_become_one_space() {
        assert_eq!(printable(" first\r\n\tsecond\n"), "first second");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let long = "x".repeat(MAX_PRINTABLE + 1);
        assert_eq!(printable(&long), format!("{}…", "x".repeat(MAX_PRINTABLE)));
        let fits = "é".repeat(MAX_PRINTABLE);
        assert_eq!(printable(&fits), fits);
    }

    #[test]
    fn the_systems_words_come_without_their_number() {
        let missing = std::io::Error::from_raw_os_error(2).to_string();
        assert_eq!(without_number(&missing), "No such file or directory");
        assert_eq!(without_number("(os error 2)"), "(os error 2)");
    }

    #[test]
    fn letters_of_every_script_stay() {
        assert_eq!(printable("Ada Łukasz 李 שלום"), "Ada Łukasz 李 שלום");
    }

    proptest! {
        #[test]
        fn what_comes_out_is_short_and_has_no_control_character(text in any::<String>()) {
            let out = printable(&text);
            prop_assert!(out.chars().count() <= MAX_PRINTABLE + 1);
            prop_assert!(!out.chars().any(is_unfit));
        }

        #[test]
        fn an_excerpt_of_any_bytes_is_printable(body in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(!excerpt(&body).chars().any(is_unfit));
        }
    }
}

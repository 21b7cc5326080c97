//! Sections of an INI file such as `~/.aws/config`, added and removed as a whole; everything else in
//! the file is not touched.

use std::fmt::Write as _;

/// What there is of a section in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Nothing,
    /// It is there once, with these lines, comments and empty lines left out.
    Lines(Vec<&'a str>),
    /// Its header is there more than once.
    Twice,
}

/// Looks for the section of this header, such as `profile work`.
pub(crate) fn find<'a>(text: &'a str, header: &str) -> Found<'a> {
    let mut found = None;
    let mut inside = false;
    for line in text.lines() {
        if let Some(name) = header_of(line) {
            inside = name == header;
            if inside && found.replace(Vec::new()).is_some() {
                return Found::Twice;
            }
            continue;
        }
        let said = line.trim();
        if inside && !said.is_empty() && !said.starts_with(['#', ';']) {
            found.get_or_insert_default().push(said);
        }
    }
    found.map_or(Found::Nothing, Found::Lines)
}

/// The file with the section at its end.
pub(crate) fn with(text: &str, header: &str, lines: &[String]) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push('\n');
    }
    let _ = write!(text, "[{header}]\n{}\n", lines.join("\n"));
    text
}

/// The file without the section: its header, what it says, and the empty line before it.
pub(crate) fn without(text: &str, header: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        if let Some(name) = header_of(line) {
            inside = name == header;
            if inside && kept.last().is_some_and(|line| line.trim().is_empty()) {
                kept.pop();
            }
        }
        let said = line.trim();
        // A comment there was not ours.
        let ours = inside && !said.starts_with(['#', ';']);
        if !ours {
            kept.push(line);
        }
    }
    kept.concat()
}

/// The name in a line that begins a section.
fn header_of(line: &str) -> Option<String> {
    let inside = line.trim().strip_prefix('[')?.split(']').next()?;
    let words: Vec<&str> = inside.split_ascii_whitespace().collect();
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# mine\n[default]\nregion = eu-west-1\n\n[ profile  old ] # x\nregion = a\n";

    #[test]
    fn what_was_added_can_be_taken_away_and_the_rest_is_as_it_was() {
        let lines = ["credential_process = x".to_owned(), "region = b".to_owned()];
        for before in [FILE, "", "[default]\nregion = a"] {
            let after = with(before, "profile new", &lines);
            assert_eq!(
                find(&after, "profile new"),
                Found::Lines(vec!["credential_process = x", "region = b"])
            );
            let back = without(&after, "profile new");
            assert_eq!(back.trim_end(), before.trim_end());
        }
        let middle = format!("{}\n[profile last]\n", with(FILE, "profile new", &lines));
        assert_eq!(
            without(&middle, "profile new"),
            format!("{FILE}[profile last]\n")
        );
    }

    #[test]
    fn a_section_is_found_by_its_words() {
        assert_eq!(find(FILE, "profile old"), Found::Lines(vec!["region = a"]));
        assert_eq!(find(FILE, "profile ol"), Found::Nothing);
        assert_eq!(find("[a]\n[b]\n[a]\n", "a"), Found::Twice);
        assert_eq!(find("[a]\n# only this\n", "a"), Found::Lines(vec![]));
    }
}

//! Paragraphs in lines that fit.

/// No line of prose is longer, so that a terminal does not wrap it a second time.
pub(crate) const COLUMNS: usize = 80;

/// A paragraph in lines of at most [`COLUMNS`]: the first after `first`, the others after as many
/// spaces. Only a word that is longer than that sticks out, as addresses do.
pub(crate) fn wrapped(paragraph: &str, first: &str) -> String {
    let indent = " ".repeat(first.chars().count());
    let mut text = first.to_owned();
    let mut length = indent.len();
    let mut fresh = true;
    for word in paragraph.split_ascii_whitespace() {
        let width = word.chars().count();
        if !fresh && length + 1 + width > COLUMNS {
            text.push('\n');
            text.push_str(&indent);
            length = indent.len();
            fresh = true;
        }
        if !fresh {
            text.push(' ');
            length += 1;
        }
        text.push_str(word);
        length += width;
        fresh = false;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_wrapped_at_words() {
        let text = wrapped(&"word ".repeat(40), "  - ");
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("  - word word"));
        assert!(lines.all(|line| line.len() <= COLUMNS && line.starts_with("    word")));
        assert_eq!(text.matches("word").count(), 40);
        assert_eq!(wrapped("one", ""), "one\n");
        let long = "x".repeat(100);
        assert_eq!(
            wrapped(&format!("a {long} b"), "  "),
            format!("  a\n  {long}\n  b\n")
        );
    }
}

//! What stands below the flags of a command, taken apart: text that may be filled anew, and examples
//! that may not.

use clap::Command;

/// A paragraph.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Words, in one line.
    Text(String),
    /// Lines, without the blanks that they all begin with.
    Example(Vec<String>),
}

/// The paragraphs below the flags of a command.
pub(super) fn notes(command: &Command) -> Vec<Note> {
    let text = command.get_after_help().map(ToString::to_string);
    take_apart(&text.unwrap_or_default())
}

fn take_apart(text: &str) -> Vec<Note> {
    let paragraphs = text.split("\n\n").filter(|text| !text.trim().is_empty());
    paragraphs.map(note).collect()
}

/// Who indents a paragraph means its lines as they are.
fn note(paragraph: &str) -> Note {
    let indented = |line: &str| line.starts_with("  ");
    if !paragraph.lines().all(indented) {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        return Note::Text(words.join(" "));
    }
    let depth = |line: &str| line.len() - line.trim_start().len();
    let common = paragraph.lines().map(depth).min().unwrap_or(0);
    let lines = paragraph.lines();
    Note::Example(lines.map(|line| line[common..].to_owned()).collect())
}

#[test]
fn text_and_examples_are_told_apart() {
    assert_eq!(
        take_apart("One line\nand another.\n\n  example\n    deeper\n\nEnd."),
        [
            Note::Text("One line and another.".to_owned()),
            Note::Example(vec!["example".to_owned(), "  deeper".to_owned()]),
            Note::Text("End.".to_owned()),
        ]
    );
}

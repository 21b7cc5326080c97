//! The pages of `docs/providers`, whose steps are those of the program.

use std::fmt::Write as _;
use std::path::Path;

use super::guide::{Guide, Line};
use super::guides;
use crate::wrap::wrapped;

impl Guide {
    /// The steps and what is good to know, for a page of the documentation.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}\n", wrapped(self.opening, ""));
        for (number, step) in (1..).zip(self.steps) {
            let marker = format!("{number}. ");
            let indent = " ".repeat(marker.len());
            let _ = writeln!(text, "{marker}**{}.**", step.title);
            for line in step.lines {
                text.push('\n');
                match line {
                    Line::Say(words) => text.push_str(&wrapped(words, &indent)),
                    Line::Copy(copy) => text.push_str(&fenced(copy, &indent)),
                    Line::Redirects => text.push_str(&fenced(&self.redirects(), &indent)),
                }
            }
            text.push('\n');
        }
        if !self.know.is_empty() {
            text.push_str("### Good to know\n");
            for paragraph in self.know {
                text.push('\n');
                text.push_str(&wrapped(paragraph, "- "));
            }
        }
        text
    }
}

fn fenced(copy: &str, indent: &str) -> String {
    let mut text = format!("{indent}```text\n");
    for line in copy.lines() {
        let _ = writeln!(text, "{indent}{line}");
    }
    let _ = writeln!(text, "{indent}```");
    text
}

const BEGIN: &str = "<!-- What follows is what `countersign setup` prints; a test compares. -->\n";
const END: &str = "<!-- Until here. -->\n";

/// The page of a provider, whose steps are those of the program.
#[test]
fn the_pages_of_the_documentation_have_the_same_steps() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers");
    for guide in guides::ALL {
        let page = match guide.provider {
            "oidc" | "oauth" => "generic",
            provider => provider,
        };
        let path = root.join(format!("{page}.md"));
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let begin = BEGIN.replace("setup`", &format!("setup {}`", guide.provider));
        let (head, rest) = found
            .split_once(&begin)
            .unwrap_or_else(|| panic!("{} has no place for the steps", path.display()));
        let (steps, tail) = rest.split_once(END).unwrap_or((rest, ""));
        let expected = format!("\n{}\n", guide.markdown());
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            let page = format!("{head}{begin}{expected}{END}{tail}");
            std::fs::write(&path, page).unwrap();
            continue;
        }
        assert_eq!(
            steps,
            expected,
            "{} differs from `countersign setup {}`: UPDATE_TRANSCRIPTS=1 cargo test -p countersign",
            path.display(),
            guide.provider
        );
    }
}

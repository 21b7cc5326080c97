//! Which commands open an address, and how a command line becomes a program and its arguments.
//!
//! No shell ever sees the address: it stands in the list of arguments, whole.

use crate::{Browser, Environment};

/// A program and its arguments, the address among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
}

/// What to try, in this order: the caller's command, `COUNTERSIGN_BROWSER`, the list of `BROWSER`, or
/// what the system has.
pub(super) fn candidates(browser: &Browser, found: &Environment, address: &str) -> Vec<Command> {
    let one = |line: &str| Command::parse(line, address).into_iter().collect();
    if let Browser::Command(line) = browser {
        return one(line);
    }
    if let Some(line) = &found.own_browser {
        return one(line);
    }
    if let Some(list) = &found.browser {
        return list
            .split(':')
            .filter_map(|line| Command::parse(line, address))
            .collect();
    }
    let system: &[&[&str]] = if cfg!(target_os = "macos") {
        &[&["/usr/bin/open"]]
    } else if found.wsl {
        &[
            &["wslview"],
            &["rundll32.exe", "url.dll,FileProtocolHandler"],
            &[
                "/mnt/c/Windows/System32/rundll32.exe",
                "url.dll,FileProtocolHandler",
            ],
        ]
    } else {
        &[&["xdg-open"], &["gio", "open"], &["x-www-browser"]]
    };
    system
        .iter()
        .filter_map(|words| {
            let (program, arguments) = words.split_first()?;
            let arguments = arguments.iter().copied().chain([address]);
            Some(Command {
                program: (*program).to_owned(),
                arguments: arguments.map(str::to_owned).collect(),
            })
        })
        .collect()
}

impl Command {
    /// Reads a command line; `None` when there is nothing in it. `%s` stands for the address, which is
    /// otherwise the last argument.
    fn parse(line: &str, address: &str) -> Option<Self> {
        let mut placed = false;
        let mut words = split(line).into_iter().map(|word| {
            let filled = fill(&word, address);
            placed |= filled.is_some();
            filled.unwrap_or(word)
        });
        let program = words.next()?;
        let mut arguments: Vec<String> = words.collect();
        if !placed {
            arguments.push(address.to_owned());
        }
        Some(Self { program, arguments })
    }
}

/// `word` with the address in the place of `%s`; `None` when there is none. `%%` is one `%`.
fn fill(word: &str, address: &str) -> Option<String> {
    let mut filled = String::new();
    let mut placed = false;
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        rest = match after.as_bytes().first() {
            Some(b's') => {
                filled.push_str(address);
                placed = true;
                after.get(1..).unwrap_or_default()
            }
            Some(b'%') => {
                filled.push('%');
                after.get(1..).unwrap_or_default()
            }
            _ => {
                filled.push('%');
                after
            }
        };
    }
    filled.push_str(rest);
    placed.then_some(filled)
}

/// Splits a line into words at spaces. Quotes of both kinds keep spaces in a word, a backslash keeps
/// the character after it (not within single quotes). Nothing else is special.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let kept = characters.next().unwrap_or('\\');
                word.get_or_insert_default().push(kept);
            }
            (None, c) if c.is_ascii_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://id.example.com/authorize?a=1&b=$(id);c='d'";

    fn lines(browser: &Browser, found: &Environment) -> Vec<Vec<String>> {
        candidates(browser, found, ADDRESS)
            .into_iter()
            .map(|command| [vec![command.program], command.arguments].concat())
            .collect()
    }

    #[test]
    fn the_address_is_one_argument_whatever_is_in_it() {
        let cases: [(&str, &[&str]); 8] = [
            ("firefox", &["firefox", ADDRESS]),
            (
                "firefox --private-window %s",
                &["firefox", "--private-window", ADDRESS],
            ),
            ("  a   b  ", &["a", "b", ADDRESS]),
            (
                "'/opt/my browser/run' \"-p x\"",
                &["/opt/my browser/run", "-p x", ADDRESS],
            ),
            ("/opt/my\\ browser ''", &["/opt/my browser", "", ADDRESS]),
            (
                "chromium --app=%s 100%",
                &["chromium", &format!("--app={ADDRESS}"), "100%"],
            ),
            ("a %%s %x", &["a", "%%s", "%x", ADDRESS]),
            ("a \"open", &["a", "open", ADDRESS]),
        ];
        for (line, expected) in cases {
            let found = lines(&Browser::Command(line.to_owned()), &Environment::default());
            assert_eq!(found, [expected], "{line}");
        }
        let nothing = Browser::Command(" ".to_owned());
        assert!(lines(&nothing, &Environment::default()).is_empty());
    }

    #[test]
    fn the_callers_command_comes_first_then_our_variable_then_everybodys() {
        let mut found = Environment {
            wsl: true,
            ..Environment::default()
        };
        let programs = |browser: &Browser, found: &Environment| -> Vec<String> {
            let all = lines(browser, found);
            all.into_iter().map(|words| words[0].clone()).collect()
        };
        if !cfg!(target_os = "macos") {
            assert_eq!(
                programs(&Browser::Auto, &found)[..2],
                ["wslview", "rundll32.exe"]
            );
            found.wsl = false;
            assert_eq!(programs(&Browser::Auto, &found)[0], "xdg-open");
        }
        found.browser = Some("one:two -x".to_owned());
        assert_eq!(programs(&Browser::Auto, &found), ["one", "two"]);
        found.own_browser = Some("ours:not-a-list".to_owned());
        assert_eq!(programs(&Browser::Auto, &found), ["ours:not-a-list"]);
        let given = Browser::Command("given".to_owned());
        assert_eq!(programs(&given, &found), ["given"]);
    }
}

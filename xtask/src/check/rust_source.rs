//! Reads Rust sources as far as the house rules need: names and paths, without comments, literals
//! and (on demand) test code.
//!
//! Not responsible for: macros that build paths from pieces. A reviewer sees those.

/// A name, a punctuation mark or `::`, with its line (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path as written, `use` trees taken apart: `use std::{fs, io::Read}` is two of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourcePath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// The tokens of a source, without comments; literals become `""`.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            tokens.push(Token {
                text: "\"\"".to_owned(),
                line,
            });
            length
        } else if let Some(lifetime) = lifetime(rest) {
            lifetime
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            tokens.push(Token {
                text: rest.get(..end).unwrap_or_default().to_owned(),
                line,
            });
            end
        } else if rest.starts_with("::") {
            tokens.push(Token {
                text: "::".to_owned(),
                line,
            });
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(Token {
                    text: first.to_string(),
                    line,
                });
            }
            first.len_utf8()
        };
        let (done, after) = rest.split_at(length);
        line += done.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length of the comment at the beginning; such comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string or character literal at the beginning, prefix included.
fn literal(text: &str) -> Option<usize> {
    for prefix in ["", "b", "c"] {
        let Some(rest) = text.strip_prefix(prefix) else {
            continue;
        };
        if rest.starts_with('"') {
            return Some(prefix.len() + quoted(rest, '"'));
        }
        if let Some(raw) = rest.strip_prefix('r') {
            let hashes = raw.len() - raw.trim_start_matches('#').len();
            let body = raw.trim_start_matches('#');
            if body.starts_with('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let skip = prefix.len() + 1 + hashes + 1;
                let inner = text.get(skip..)?;
                return Some(
                    inner
                        .find(&end)
                        .map_or(text.len(), |at| skip + at + end.len()),
                );
            }
        }
        if rest.starts_with('\'') && lifetime(rest).is_none() {
            return Some(prefix.len() + quoted(rest, '\''));
        }
    }
    None
}

/// The length of the literal at the beginning up to its closing quote; a backslash hides one.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of the lifetime at the beginning: a quote and a name that no quote follows.
fn lifetime(text: &str) -> Option<usize> {
    let name = text.strip_prefix('\'')?;
    let end = name
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(name.len());
    let closed = name.get(end..).is_some_and(|after| after.starts_with('\''));
    (end > 0 && !closed).then_some(end + 1)
}

/// Removes each item behind `#[cfg(test)]`. Returns the rest, and the names of removed modules that
/// stand in a file of their own.
pub(crate) fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut modules = Vec::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        let marked = rest.len() >= MARK.len()
            && rest
                .iter()
                .zip(MARK)
                .all(|(token, mark)| token.text == mark);
        if !marked {
            kept.push(first.clone());
            rest = after;
            continue;
        }
        let item = rest.get(MARK.len()..).unwrap_or_default();
        let length = item_length(item);
        let (item, after) = item.split_at(length);
        if let [.., word, name, end] = item
            && word.text == "mod"
            && end.text == ";"
        {
            modules.push(name.text.clone());
        }
        rest = after;
    }
    (kept, modules)
}

/// The number of tokens up to the item's semicolon or closing brace.
fn item_length(item: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in item.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Every path in these tokens; a lone name is a path of one segment.
pub(crate) fn paths(tokens: &[Token]) -> Vec<SourcePath> {
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = read_path(tokens, at, &[], &mut paths).max(at + 1);
    }
    paths
}

/// Reads the path that begins at `at`, below `prefix`. Returns where it ends.
fn read_path(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    paths: &mut Vec<SourcePath>,
) -> usize {
    let text = |at: usize| tokens.get(at).map(|token| token.text.as_str());
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut segments = prefix.to_vec();
    if text(at) == Some("::") {
        at += 1;
    }
    while let Some(word) = text(at) {
        if word == "{" && !segments.is_empty() {
            at += 1;
            while !matches!(text(at), None | Some("}")) {
                at = read_path(tokens, at, &segments, paths).max(at + 1);
            }
            return at + 1;
        }
        let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !is_name && word != "*" {
            break;
        }
        if word == "*" && segments.is_empty() {
            break;
        }
        segments.push(word.to_owned());
        at += 1;
        if text(at) != Some("::") {
            break;
        }
        at += 1;
    }
    if segments.len() > prefix.len() {
        paths.push(SourcePath { segments, line });
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_paths(source: &str) -> Vec<String> {
        paths(&tokens(source))
            .into_iter()
            .map(|path| path.segments.join("::"))
            .collect()
    }

    #[test]
    fn comments_and_literals_hold_no_paths() {
        let source = r##"
            // std::net
            /* std::net /* nested */ std::fs */
            let a = "std::net \" still"; let b = r#"std::fs "quoted" "#; let c = b"std::env";
            let d = '"'; let e: &'static str = "std::thread"; let f = '\''; std::io
        "##;
        let found = all_paths(source);
        assert!(
            !found
                .iter()
                .any(|path| path.starts_with("std::") && path != "std::io")
        );
        assert!(found.contains(&"std::io".to_owned()));
    }

    #[test]
    fn use_trees_are_taken_apart() {
        assert_eq!(
            all_paths("use std::{fs, io::{self, Read}, net::*};"),
            [
                "use",
                "std::fs",
                "std::io::self",
                "std::io::Read",
                "std::net::*"
            ]
        );
        assert_eq!(
            all_paths("::std::thread::sleep(a)"),
            ["std::thread::sleep", "a"]
        );
        assert_eq!(all_paths("if x { std::fs }"), ["if", "x", "std::fs"]);
    }

    #[test]
    fn test_items_are_removed_and_test_files_named() {
        let source = "use a::b; #[cfg(test)] mod tests { use c::d; fn f() { {} } } use e::f;\n\
                      #[cfg(test)] mod vectors; #[cfg(test)] use g::h; fn last() {}";
        let (kept, modules) = without_tests(&tokens(source));
        let found: Vec<String> = paths(&kept)
            .into_iter()
            .map(|path| path.segments.join("::"))
            .collect();
        assert_eq!(found, ["use", "a::b", "use", "e::f", "fn", "last"]);
        assert_eq!(modules, ["vectors"]);
    }

    #[test]
    fn lines_are_counted_through_literals_and_comments() {
        let found = tokens("/*\n\n*/ \"\n\" here");
        assert_eq!(
            found.last(),
            Some(&Token {
                text: "here".to_owned(),
                line: 4
            })
        );
    }
}

//! Text from outside, made fit for an explanation that somebody reads in a terminal.

/// The most characters of a value that are shown.
const MAX_CHARACTERS: usize = 60;

/// The text in quotes, escaped, and cut if it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(MAX_CHARACTERS).collect();
    let cut = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("{head:?}{cut}")
}

/// Several of them, separated by commas.
pub(crate) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut texts = texts.into_iter();
    let shown: Vec<String> = texts.by_ref().take(10).map(quoted).collect();
    let more = if texts.next().is_some() { ", …" } else { "" };
    if shown.is_empty() {
        "none".to_owned()
    } else {
        format!("{}{more}", shown.join(", "))
    }
}

/// The path of a claim as people write it; in quotes, when it holds what is not seen.
pub(crate) fn path(names: &[&str]) -> String {
    let path = names.join(".");
    let is_plain = path.chars().all(|c| c.is_ascii_graphic()) && path.len() <= MAX_CHARACTERS;
    if is_plain { path } else { quoted(&path) }
}

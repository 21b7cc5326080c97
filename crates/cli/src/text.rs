//! The filter for text from outside, where the rooms below have not applied it already.

/// Strips what a terminal would act on, and caps the length.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && *c != '\u{202e}')
        .collect()
}

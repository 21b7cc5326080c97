//! The one form of a path that rules are compared with and that the upstream gets.
//!
//! Two programs that read one path in two ways are how rules are passed by: `/admin%2Fusers`,
//! `/public/../admin`, `//admin`, `/admin;x`. What has one meaning is brought into one form
//! (RFC 3986, section 6.2.2); what has, or may have, two is refused and not repaired, because
//! nobody who means well sends it.
//!
//! Not responsible for the query, which no rule looks at, nor for what a path means.

use std::borrow::Cow;

/// Longer paths are refused, whatever the limit of the head is.
pub const LONGEST: usize = 8 * 1024;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathProblem {
    /// It does not begin with `/`: the target is `*`, an authority, or empty.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// More than [`LONGEST`] bytes.
    #[error("the path is too long")]
    TooLong,
    /// `//`: some programs read one slash, some two.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..` as a segment, plain or encoded.
    #[error("the path has a segment of dots")]
    DotSegment,
    /// An encoded slash.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// A backslash, plain or encoded, which some programs read as a slash.
    #[error("the path has a backslash")]
    Backslash,
    /// `;`, which some programs take for the end of a segment.
    #[error("the path has a semicolon")]
    Semicolon,
    /// `#` or an encoded `#` or `?`, which end the path for a program that decodes first.
    #[error("the path has an encoded delimiter")]
    Delimiter,
    /// An encoded percent sign: decoded twice it is something else.
    #[error("the path is encoded twice")]
    EncodedPercent,
    /// A `%` without two hexadecimal digits after it.
    #[error("the path has a percent sign that encodes nothing")]
    BadEscape,
    /// NUL or another control character, plain or encoded.
    #[error("the path has a control character")]
    Control,
    /// The decoded bytes are not UTF-8, overlong forms included.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// A letter that compatibility forms of Unicode turn into `.`, `/`, `\` or `%`.
    #[error("the path has a look-alike of a delimiter")]
    LookAlike,
    /// A character that has no place in a path.
    #[error("the path has a character that must be encoded")]
    BareCharacter,
}

impl PathProblem {
    /// A stable name for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAbsolute => "path_not_absolute",
            Self::TooLong => "path_too_long",
            Self::EmptySegment => "path_empty_segment",
            Self::DotSegment => "path_dot_segment",
            Self::EncodedSlash => "path_encoded_slash",
            Self::Backslash => "path_backslash",
            Self::Semicolon => "path_semicolon",
            Self::Delimiter => "path_delimiter",
            Self::EncodedPercent => "path_encoded_twice",
            Self::BadEscape => "path_bad_escape",
            Self::Control => "path_control",
            Self::NotUtf8 => "path_not_utf8",
            Self::LookAlike => "path_look_alike",
            Self::BareCharacter => "path_bare_character",
        }
    }
}

/// Brings a path into its one form, or refuses it. The usual path is in it already and is lent.
///
/// In that form letters, digits, `-._~!$&'()*+,=:@` stand for themselves and every other byte is
/// encoded with capital digits, so that equal means equal.
///
/// # Errors
///
/// [`PathProblem`] says what is ambiguous.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, PathProblem> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(PathProblem::NotAbsolute);
    }
    if bytes.len() > LONGEST {
        return Err(PathProblem::TooLong);
    }
    let canonical = if bytes.iter().all(|&byte| byte == b'/' || is_plain(byte)) {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(rewrite(bytes)?)
    };
    check_segments(&canonical)?;
    Ok(canonical)
}

/// `pchar` without `%` and `;` (RFC 3986, section 3.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
}

fn rewrite(bytes: &[u8]) -> Result<String, PathProblem> {
    let mut text = String::with_capacity(bytes.len());
    // Encoded bytes one after the other, which have to be UTF-8 together.
    let mut encoded = Vec::new();
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2).ok_or(PathProblem::BadEscape)?;
            rest = after;
            let decoded = decode(digits).ok_or(PathProblem::BadEscape)?;
            refuse_encoded(decoded)?;
            if !is_plain(decoded) {
                encoded.push(decoded);
                continue;
            }
            flush(&mut text, &mut encoded)?;
            text.push(char::from(decoded));
            continue;
        }
        flush(&mut text, &mut encoded)?;
        match byte {
            b'/' => text.push('/'),
            b';' => return Err(PathProblem::Semicolon),
            b'\\' => return Err(PathProblem::Backslash),
            b'#' | b'?' => return Err(PathProblem::Delimiter),
            0..=0x1f | 0x7f => return Err(PathProblem::Control),
            // Browsers send these as they are, and they mean nothing but themselves.
            b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                push_encoded(&mut text, byte);
            }
            byte if is_plain(byte) => text.push(char::from(byte)),
            _ => return Err(PathProblem::BareCharacter),
        }
    }
    flush(&mut text, &mut encoded)?;
    Ok(text)
}

/// What must not be hidden behind a percent sign.
fn refuse_encoded(byte: u8) -> Result<(), PathProblem> {
    Err(match byte {
        b'/' => PathProblem::EncodedSlash,
        b'\\' => PathProblem::Backslash,
        b';' => PathProblem::Semicolon,
        b'#' | b'?' => PathProblem::Delimiter,
        b'%' => PathProblem::EncodedPercent,
        0..=0x1f | 0x7f => PathProblem::Control,
        _ => return Ok(()),
    })
}

fn flush(text: &mut String, encoded: &mut Vec<u8>) -> Result<(), PathProblem> {
    if encoded.is_empty() {
        return Ok(());
    }
    let decoded = std::str::from_utf8(encoded).map_err(|_| PathProblem::NotUtf8)?;
    for c in decoded.chars() {
        match c {
            '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                return Err(PathProblem::Control);
            }
            // Full-width and small forms of `.`, `/`, `\`, `%` and `;`, and the dot leaders.
            '\u{ff0e}'
            | '\u{ff0f}'
            | '\u{ff3c}'
            | '\u{ff05}'
            | '\u{ff1b}'
            | '\u{fe52}'
            | '\u{fe68}'
            | '\u{fe6a}'
            | '\u{fe54}'
            | '\u{2024}'..='\u{2026}' => {
                return Err(PathProblem::LookAlike);
            }
            _ => {}
        }
    }
    for byte in encoded.drain(..) {
        push_encoded(text, byte);
    }
    Ok(())
}

fn push_encoded(text: &mut String, byte: u8) {
    let digit = |value: u8| char::from_digit(value.into(), 16).map(|c| c.to_ascii_uppercase());
    text.push('%');
    text.extend(digit(byte >> 4));
    text.extend(digit(byte & 0xf));
}

fn decode(digits: &[u8]) -> Option<u8> {
    let value = |byte: &u8| char::from(*byte).to_digit(16);
    let (high, low) = (value(digits.first()?)?, value(digits.get(1)?)?);
    u8::try_from(high << 4 | low).ok()
}

/// The last segment may be empty: `/a/` is another path than `/a`.
fn check_segments(path: &str) -> Result<(), PathProblem> {
    if path.as_bytes().windows(2).any(|pair| pair == b"//") {
        return Err(PathProblem::EmptySegment);
    }
    if path.contains("/.") && path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(PathProblem::DotSegment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> String {
        match canonical(path) {
            Ok(path) => path.into_owned(),
            Err(problem) => format!("! {}", problem.code()),
        }
    }

    #[test]
    fn a_plain_path_stays_as_it_is_and_is_not_copied() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a/b.c/d-e_f~g",
            "/a/@b:c",
            "/a/!$&'()*+,=",
            "/...",
            "/.a",
        ] {
            assert!(
                matches!(canonical(path), Ok(Cow::Borrowed(same)) if same == path),
                "{path}"
            );
        }
    }

    #[test]
    fn what_means_the_same_has_one_form() {
        for (path, form) in [
            ("/%61dmin", "/admin"),
            ("/%41%2d%2E%5f%7E", "/A-._~"),
            ("/a%21%3a%40", "/a!:@"),
            ("/a%20b", "/a%20b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a|b", "/a%7Cb"),
            ("/%e2%82%ac%41", "/%E2%82%ACA"),
        ] {
            assert_eq!(read(path), form, "{path}");
            assert_eq!(read(form), form, "{form}");
        }
    }

    #[test]
    fn what_may_mean_two_things_is_refused() {
        for (path, code) in [
            ("", "path_not_absolute"),
            ("*", "path_not_absolute"),
            ("a/b", "path_not_absolute"),
            ("//admin", "path_empty_segment"),
            ("/a//b", "path_empty_segment"),
            ("/a//", "path_empty_segment"),
            ("/a/../b", "path_dot_segment"),
            ("/a/..", "path_dot_segment"),
            ("/./a", "path_dot_segment"),
            ("/a/%2e%2e/b", "path_dot_segment"),
            ("/a/.%2E/b", "path_dot_segment"),
            ("/%2e", "path_dot_segment"),
            ("/a%2fb", "path_encoded_slash"),
            ("/a%2Fb", "path_encoded_slash"),
            ("/a%5cb", "path_backslash"),
            ("/a\\b", "path_backslash"),
            ("/a;b", "path_semicolon"),
            ("/a/..;/b", "path_semicolon"),
            ("/a%3bb", "path_semicolon"),
            ("/a#b", "path_delimiter"),
            ("/a%23b", "path_delimiter"),
            ("/a%3fb", "path_delimiter"),
            ("/a%252fb", "path_encoded_twice"),
            ("/100%25", "path_encoded_twice"),
            ("/a%", "path_bad_escape"),
            ("/a%2", "path_bad_escape"),
            ("/a%zz", "path_bad_escape"),
            ("/a%u002f", "path_bad_escape"),
            ("/a%+1", "path_bad_escape"),
            ("/a%00", "path_control"),
            ("/a%0a", "path_control"),
            ("/a%7f", "path_control"),
            ("/a\u{1}", "path_control"),
            ("/a%c2%85", "path_control"),
            ("/%c0%af", "path_not_utf8"),
            ("/%c0%ae%c0%ae", "path_not_utf8"),
            ("/%e0%80%af", "path_not_utf8"),
            ("/%ff", "path_not_utf8"),
            ("/%c3a%a9", "path_not_utf8"),
            ("/%ef%bc%8f", "path_look_alike"),
            ("/%e2%80%a5/x", "path_look_alike"),
            ("/a b", "path_bare_character"),
            ("/caf\u{e9}", "path_bare_character"),
        ] {
            assert_eq!(read(path), format!("! {code}"), "{path:?}");
        }
        assert_eq!(
            read(&format!("/{}", "a".repeat(LONGEST))),
            "! path_too_long"
        );
    }
}

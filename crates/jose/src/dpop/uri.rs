//! When two addresses are the same (RFC 9449, section 4.3, rule 9).
//!
//! Not responsible for: whether they are addresses at all. Both sides are strings that somebody sent a
//! request to; anything else equals nothing but itself.

use std::borrow::Cow;

/// `uri` up to its query or fragment.
pub(super) fn without_query(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or_default()
}

/// Whether both are the same but for query, fragment, and spelling: RFC 3986, sections 6.2.2.1 and
/// 6.2.2.2 (letter case, needless percent-encoding) and 6.2.3 (the scheme's default port, the empty
/// path). Dot segments are not resolved: clients do that before they send.
pub(super) fn same(a: &str, b: &str) -> bool {
    let (a, b) = (without_query(a), without_query(b));
    a == b || normal(a).is_some_and(|a| normal(b) == Some(a))
}

fn normal(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let authority = authority.to_ascii_lowercase();
    let authority = authority
        .strip_suffix(default_port)
        .or_else(|| authority.strip_suffix(':'))
        .unwrap_or(&authority);
    Some(format!("{scheme}://{authority}{}", decoded(path)))
}

/// `path` with percent-encoding in upper case, and none where it is not needed.
fn decoded(path: &str) -> Cow<'_, str> {
    let mut pieces = path.split('%');
    let Some(first) = pieces.next().filter(|_| path.contains('%')) else {
        return Cow::Borrowed(path);
    };
    let mut out = first.to_owned();
    for piece in pieces {
        let digits = piece
            .get(..2)
            .filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            out.push('%');
            out.push_str(piece);
            continue;
        };
        match u8::from_str_radix(digits, 16) {
            Ok(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        out.push_str(piece.get(2..).unwrap_or_default());
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_query_and_fragment_make_no_difference() {
        for (a, b) in [
            ("https://a.example/token", "https://a.example/token?x=1#y"),
            ("HTTPS://A.Example/token", "https://a.example:443/token"),
            ("http://127.0.0.1:80", "http://127.0.0.1/"),
            ("https://a.example:/x", "https://a.example/x"),
            (
                "https://a.example/%7eada/%c3%a9",
                "https://a.example/~ada/%C3%A9",
            ),
            ("http://[::1]:80/x", "http://[::1]/x"),
        ] {
            assert!(same(a, b) && same(b, a), "{a} {b}");
        }
    }

    #[test]
    fn everything_else_does() {
        for (a, b) in [
            ("https://a.example/token", "http://a.example/token"),
            ("https://a.example/token", "https://b.example/token"),
            ("https://a.example/token", "https://a.example:8443/token"),
            ("https://a.example/token", "https://a.example/token/"),
            ("https://a.example/token", "https://a.example/Token"),
            ("https://a.example/a%2Fb", "https://a.example/a/b"),
            ("http://a.example:443/", "http://a.example/"),
            ("https://u@a.example/", "https://a.example/"),
            ("token", "other"),
            ("", "https://a.example/"),
            ("https://a.example/%", "https://a.example/%25"),
        ] {
            assert!(!same(a, b) && !same(b, a), "{a} {b}");
        }
    }
}

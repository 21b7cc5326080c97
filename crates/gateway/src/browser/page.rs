//! What a person reads when a sign-in did not come about, or has ended: plain words, no script, and
//! nothing that is loaded from anywhere.
//!
//! Not responsible for what happened, which is in the audit log.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use countersign_oauth::text::printable;

use crate::proxy::Download;

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;margin:0 auto;padding:2rem 1rem;max-width:34rem;color:#1b1b1b;background:#fff;overflow-wrap:anywhere}h1{font-size:1.5rem;line-height:1.25}a{color:#0b57d0}@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}a{color:#a8c7fa}}";
const POLICY: &str = "default-src 'none'; style-src 'sha256-9S4E9eV/ToXAujk7HC3PZ0yK40p3Kk87MQvWnsiN5zc='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page of ours. What `words` quote from outside is escaped like everything else.
pub(super) fn page(
    status: StatusCode,
    title: &str,
    words: &[&str],
    link: Option<(&str, &str)>,
) -> Response<Download> {
    let mut body =
        String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    body += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";
    push(&mut body, title);
    body += "</title>\n<style>";
    body += STYLE;
    body += "</style>\n</head>\n<body>\n<main>\n<h1>";
    push(&mut body, title);
    body += "</h1>\n";
    for word in words.iter().filter(|word| !word.is_empty()) {
        body += "<p>";
        push(&mut body, word);
        body += "</p>\n";
    }
    if let Some((address, text)) = link {
        body += "<p><a href=\"";
        push(&mut body, address);
        body += "\">";
        push(&mut body, text);
        body += "</a></p>\n";
    }
    body += "</main>\n</body>\n</html>\n";
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Download::Whole(Some(Bytes::from(body))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    discreet(headers);
    response
}

/// What every answer of ours says: that it is for nobody else.
pub(super) fn discreet(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Text as text, whatever is in it.
fn push(body: &mut String, text: &str) {
    for c in printable(text).chars() {
        match c {
            '&' => body.push_str("&amp;"),
            '<' => body.push_str("&lt;"),
            '>' => body.push_str("&gt;"),
            '"' => body.push_str("&quot;"),
            '\'' => body.push_str("&#39;"),
            c => body.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_jose::{base64url, crypto};

    use super::*;

    #[test]
    fn the_policy_names_the_style_that_is_sent_and_lets_nothing_else_in() {
        let digest = base64url::encode(&crypto::aws_lc::provider().sha256(STYLE.as_bytes()));
        let standard = digest.replace('-', "+").replace('_', "/");
        assert!(
            POLICY.contains(&format!("'sha256-{standard}='")),
            "{standard}"
        );
        assert!(POLICY.starts_with("default-src 'none';"));
        assert!(!POLICY.contains("script"));
    }

    #[test]
    fn text_from_outside_stays_text() {
        let hostile = "<script>alert(1)</script>\u{1b}[2J\u{202e}\" onload='x' &amp;";
        let response = page(
            StatusCode::BAD_REQUEST,
            hostile,
            &[hostile],
            Some((hostile, hostile)),
        );
        let Download::Whole(Some(body)) = response.into_body() else {
            panic!("a page has a body");
        };
        let body = String::from_utf8(body.to_vec()).unwrap();
        for unwanted in ["<script", "\u{1b}", "\u{202e}", "onload='", "\" onload"] {
            assert!(!body.contains(unwanted), "{unwanted:?} in {body}");
        }
    }
}

//! Who is at the other end: a person whose browser opens a page, or a program; and whose page a request
//! comes from.
//!
//! A program that is sent to a page to sign in takes the page for its answer, or gives up for a reason
//! that nobody understands. So a request counts as a browser's only if nothing speaks against it.
//!
//! Not responsible for who the person is.

use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, HeaderName, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method};
use url::Url;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const LOAD_BALANCER: HeaderName = HeaderName::from_static("x-amzn-oidc-data");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether this is a browser that opens a page in a tab, and carries no credentials: all that may be
/// sent away to sign in.
pub(super) fn opens_a_page(parts: &Parts) -> bool {
    let headers = &parts.headers;
    if !matches!(parts.method, Method::GET | Method::HEAD)
        || has_credentials(parts)
        || headers.contains_key(REQUESTED_WITH)
        || wants_upgrade(headers)
    {
        return false;
    }
    let fetch = [&FETCH_MODE, &FETCH_DEST, &FETCH_SITE];
    if fetch.iter().any(|name| headers.contains_key(*name)) {
        return single(headers, &FETCH_MODE) == Some("navigate")
            && single(headers, &FETCH_DEST) == Some("document");
    }
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(is_html)
}

/// Whether the request says itself who it is from.
pub(super) fn has_credentials(parts: &Parts) -> bool {
    parts.headers.contains_key(AUTHORIZATION)
        || parts.headers.contains_key(DPOP)
        || parts.headers.contains_key(LOAD_BALANCER)
        || parts.uri.query().is_some_and(|query| {
            url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
        })
}

/// Whether a request that a browser has put a cookie on may act on its strength: one that changes
/// nothing may, and one that a page of this very origin has sent.
///
/// `SameSite` alone would let through what another program on a neighbouring host or port sends.
pub(super) fn is_meant(parts: &Parts, origin: &Url) -> bool {
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    // No answer to a WebSocket handshake is kept from a foreign page.
    (is_safe && !wants_upgrade(&parts.headers)) || is_same_origin(&parts.headers, origin)
}

/// Whether a page of this origin has sent it. Who does not say is a stranger.
pub(super) fn is_same_origin(headers: &HeaderMap, origin: &Url) -> bool {
    if headers.contains_key(FETCH_SITE) {
        return single(headers, &FETCH_SITE) == Some("same-origin");
    }
    single(headers, &ORIGIN) == Some(origin.origin().ascii_serialization().as_str())
}

/// Whether the person has typed the address or taken a bookmark, which no page can pretend.
pub(super) fn is_typed(headers: &HeaderMap) -> bool {
    single(headers, &FETCH_SITE) == Some("none")
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        || headers.get_all(CONNECTION).iter().any(|value| {
            value
                .as_bytes()
                .to_ascii_lowercase()
                .windows(7)
                .any(|part| part == b"upgrade")
        })
}

/// The value of a header that is there once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}

/// Whether a range of `Accept` is for a page, and not refused by its weight.
fn is_html(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_page = parts.next().is_some_and(|name| {
        name.eq_ignore_ascii_case("text/html") || name.eq_ignore_ascii_case("application/xhtml+xml")
    });
    let is_refused = parts.any(|parameter| {
        parameter
            .strip_prefix("q=")
            .or(parameter.strip_prefix("Q="))
            .is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty())
    });
    is_page && !is_refused
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const CHROMIUM: [(&str, &str); 4] = [
        ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("sec-fetch-site", "none"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// Chromium's headers with these in place of or beside them; an empty value takes one out.
    fn opens(method: &str, uri: &str, changes: &[(&'static str, &'static str)]) -> bool {
        let mut headers: Vec<_> = CHROMIUM.to_vec();
        headers.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        opens_a_page(&parts(method, uri, &headers))
    }

    #[test]
    fn a_person_who_opens_a_page_is_told_from_a_program() {
        assert!(opens("GET", "/", &[]));
        assert!(opens("HEAD", "/", &[]));
        assert!(opens("GET", "/", &[("sec-fetch-site", "cross-site")]));
        for changes in [
            &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")][..],
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            &[("sec-fetch-dest", "iframe")],
            &[("sec-fetch-dest", "")],
            &[("sec-fetch-mode", "websocket")],
            &[("authorization", "Bearer x")],
            &[("authorization", "Basic x")],
            &[("dpop", "x")],
            &[("x-requested-with", "XMLHttpRequest")],
            &[("upgrade", "websocket"), ("connection", "Upgrade")],
        ] {
            assert!(!opens("GET", "/", changes), "{changes:?}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"] {
            assert!(!opens(method, "/", &[]), "{method}");
        }
        assert!(!opens("GET", "/?a=b&access_token=x", &[]));
    }

    #[test]
    fn a_browser_that_does_not_say_what_it_does_must_ask_for_a_page() {
        let old = |accept| opens_a_page(&parts("GET", "/", &[("accept", accept)]));
        assert!(old("text/html"));
        assert!(old("application/xml, TEXT/HTML;q=0.9"));
        for accept in [
            "*/*",
            "application/json",
            "text/*",
            "text/html;q=0",
            "text/html; q=0.0",
            "text/htmlx",
            "",
        ] {
            assert!(!old(accept), "{accept}");
        }
        assert!(!opens_a_page(&parts("GET", "/", &[])));
    }

    #[test]
    fn what_changes_something_must_come_from_a_page_of_the_same_origin() {
        let origin = Url::parse("https://app.example").unwrap();
        let meant = |method, headers: &[_]| is_meant(&parts(method, "/", headers), &origin);
        for headers in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("origin", "https://app.example")],
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://app.example"),
            ],
        ] {
            assert!(meant("POST", headers), "{headers:?}");
        }
        for headers in [
            &[][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "none")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://app.example"),
            ],
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("origin", "https://evil.example")],
            &[("origin", "https://app.example.evil.example")],
            &[("origin", "http://app.example")],
            &[("origin", "https://app.example:8443")],
            &[("origin", "null")],
            &[("referer", "https://app.example/")],
        ] {
            assert!(!meant("POST", headers), "{headers:?}");
            assert!(!meant("DELETE", headers), "{headers:?}");
            assert!(meant("GET", headers), "{headers:?}");
            let mut handshake = headers.to_vec();
            handshake.extend([("upgrade", "websocket"), ("connection", "upgrade")]);
            assert!(!meant("GET", &handshake), "{handshake:?}");
        }
    }
}

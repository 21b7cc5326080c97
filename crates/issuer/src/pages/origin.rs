//! Was this POST sent by one of our own pages?
//!
//! This is the second of three locks on a form; the others are the CSRF token
//! ([`super::seal`]) and the cookie's `SameSite=Lax`.

use http::{HeaderMap, header};

/// Tells whether the browser says that the request came from a page of `origin`
/// (`scheme://host[:port]`, as the URL standard serialises it).
///
/// `Sec-Fetch-Site` and `Origin` are set by the browser and out of a page's reach, so each of
/// them that is present must name us. Both absent is not a browser that keeps cookies for
/// other people's pages, and the CSRF token stands by itself. `Origin: null` is what a
/// sandboxed frame sends and is refused: this is why the pages' `Referrer-Policy` is
/// `same-origin`, for under `no-referrer` browsers put `null` on our own forms as well
/// (Fetch standard, "append a request `Origin` header").
pub(super) fn is_own(headers: &HeaderMap, origin: &str) -> bool {
    let single = |name: header::HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().map(http::HeaderValue::as_bytes);
        // Two of a kind are nobody's honest request; an empty name matches nothing.
        if values.next().is_some() {
            Some(&b""[..])
        } else {
            first
        }
    };
    let site = single(header::HeaderName::from_static("sec-fetch-site"));
    let sent = single(header::ORIGIN);
    site.is_none_or(|site| site == b"same-origin")
        && sent.is_none_or(|sent| sent == origin.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "http://127.0.0.1:4455";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn our_own_page_is_let_through() {
        for pairs in [
            &[("sec-fetch-site", "same-origin"), ("origin", OURS)][..],
            &[("origin", OURS)],
            &[("sec-fetch-site", "same-origin")],
            &[],
        ] {
            assert!(is_own(&headers(pairs), OURS), "{pairs:?}");
        }
    }

    #[test]
    fn every_other_place_is_refused() {
        for pairs in [
            &[("sec-fetch-site", "cross-site"), ("origin", OURS)][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", "null")],
            &[("origin", "https://127.0.0.1:4455")],
            &[("origin", "http://127.0.0.1:4456")],
            &[("origin", "http://127.0.0.1:4455.evil.example")],
            &[("origin", OURS), ("origin", OURS)],
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
        ] {
            assert!(!is_own(&headers(pairs), OURS), "{pairs:?}");
        }
    }
}

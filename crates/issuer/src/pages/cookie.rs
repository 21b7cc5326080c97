//! The one cookie the pages use: a random value that names this browser.
//!
//! Before sign-in it only carries the CSRF token's secret; at sign-in it is replaced by a new
//! value, which names the session. Whether a value names a live session is the core's business.

use http::{HeaderMap, HeaderValue, header};

/// How the cookie is named and set, fixed by the issuer's URL.
#[derive(Debug, Clone)]
pub(super) struct CookieJar {
    name: String,
    secure: bool,
}

impl CookieJar {
    /// `secure` when the issuer's URL is https: the name then carries `__Host-`, with which a
    /// browser refuses the cookie from a sibling domain or over plain HTTP (RFC 6265bis,
    /// section 4.1.3.2). Cookies do not know ports, so two issuers on one loopback address
    /// are kept apart by name.
    pub(super) fn new(secure: bool, port: Option<u16>) -> Self {
        let name = match (secure, port) {
            (true, _) => "__Host-countersign".to_owned(),
            (false, Some(port)) => format!("countersign-{port}"),
            (false, None) => "countersign".to_owned(),
        };
        Self { name, secure }
    }

    /// The value the browser sent, if it sent exactly one of a shape we make.
    pub(super) fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let mut found = None;
        for header in headers.get_all(header::COOKIE) {
            for pair in header.to_str().ok()?.split(';') {
                let Some((name, value)) = pair.trim().split_once('=') else {
                    continue;
                };
                if name == self.name {
                    if found.is_some() {
                        // Two values: one of them was planted, and we cannot tell which.
                        return None;
                    }
                    found = Some(value);
                }
            }
        }
        found.filter(|value| is_ours(value))
    }

    /// The `Set-Cookie` value that gives the browser `value`. It has no `Max-Age`: the browser
    /// forgets it when closed, and the server's own limits end the session before that.
    pub(super) fn set(&self, value: &str) -> HeaderValue {
        self.header(value, "")
    }

    /// The `Set-Cookie` value that makes the browser forget the cookie.
    pub(super) fn clear(&self) -> HeaderValue {
        self.header("", "; Max-Age=0")
    }

    fn header(&self, value: &str, more: &str) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!(
            "{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}",
            self.name
        );
        let mut header = HeaderValue::try_from(text)
            .unwrap_or_else(|_| HeaderValue::from_static("countersign=; Max-Age=0"));
        header.set_sensitive(true);
        header
    }
}

/// 32 random bytes in base64url are 43 characters; nothing else was made by us.
fn is_ours(value: &str) -> bool {
    value.len() == 43
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn sent(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, cookie.parse().unwrap());
        }
        headers
    }

    #[test]
    fn an_https_cookie_has_the_host_prefix_and_every_attribute() {
        let cookie = CookieJar::new(true, None).set(VALUE);
        assert_eq!(
            cookie.to_str().unwrap(),
            format!("__Host-countersign={VALUE}; Path=/; HttpOnly; SameSite=Lax; Secure")
        );
    }

    #[test]
    fn a_loopback_cookie_carries_the_port_in_its_name() {
        let cookie = CookieJar::new(false, Some(4455)).set(VALUE);
        assert_eq!(
            cookie.to_str().unwrap(),
            format!("countersign-4455={VALUE}; Path=/; HttpOnly; SameSite=Lax")
        );
    }

    #[test]
    fn only_a_single_value_of_our_own_shape_is_read() {
        let jar = CookieJar::new(false, Some(4455));
        let ours = format!("a=b; countersign-4455={VALUE}");
        assert_eq!(jar.read(&sent(&[&ours])), Some(VALUE));
        assert_eq!(
            jar.read(&sent(&[&ours, &ours])),
            None,
            "planted beside ours"
        );
        assert_eq!(jar.read(&sent(&["countersign-4455=short"])), None);
        assert_eq!(
            jar.read(&sent(&[&format!("countersign-4456={VALUE}")])),
            None
        );
    }
}

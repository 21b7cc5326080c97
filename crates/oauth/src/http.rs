//! Requests and responses as plain values, for whichever driver carries them.
//!
//! Not responsible for: carrying them. What a driver must do is listed at [`HttpRequest`].

mod date;
mod form;
mod transport;

use std::fmt;
use std::time::Duration;

use countersign_jose::Timestamp;
use url::Url;

pub(crate) use form::Form;
pub use transport::TransportError;

use crate::text::printable;
use crate::{DpopKey, Error, Secret};

/// The most bytes of a response body a driver may read; more is [`TransportError::TooLarge`].
///
/// Honest answers are a few kilobytes; the largest seen are key sets of some tens.
pub const MAX_BODY: usize = 1024 * 1024;

/// The longest entity-tag that is sent back; honest ones are digests.
const MAX_ETAG: usize = 256;

/// The two HTTP methods a client of an authorization server needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
}

impl Method {
    /// The method as it stands on the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// The value of a request header.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// Anyone may see it.
    Plain(String),
    /// Credentials; `Debug` hides them.
    Secret(Secret),
}

impl HeaderValue {
    /// The value to send. This reveals a secret.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => fmt::Debug::fmt(text, f),
            Self::Secret(secret) => fmt::Debug::fmt(secret, f),
        }
    }
}

/// A request to send exactly as it is.
///
/// The driver
/// - follows no redirect, but reports the answer or [`TransportError::Redirect`]: a token request
///   that moves elsewhere takes its credentials along;
/// - limits the time to connect and the time for the whole answer;
/// - reads at most [`MAX_BODY`] bytes of the answer;
/// - adds `Host`, `Content-Length` and `User-Agent`, and no header that is already here.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Where to; `https`, or `http` on a loopback address.
    pub url: Url,
    /// Header fields, names in lower case.
    pub headers: Vec<(&'static str, HeaderValue)>,
    /// The body, whose media type is among the headers.
    pub body: Option<Secret>,
}

impl HttpRequest {
    /// A `GET` that asks for JSON.
    pub fn get(url: Url) -> Self {
        let headers = vec![("accept", HeaderValue::Plain("application/json".to_owned()))];
        Self {
            method: Method::Get,
            url,
            headers,
            body: None,
        }
    }

    /// A `POST` of a form that asks for JSON.
    pub(crate) fn post_form(url: Url, form: &Form) -> Self {
        let mut request = Self::get(url);
        request.method = Method::Post;
        // Without `;charset=UTF-8`, which some servers refuse although it is harmless.
        let media_type = "application/x-www-form-urlencoded".to_owned();
        request
            .headers
            .push(("content-type", HeaderValue::Plain(media_type)));
        request.body = Some(form.encode());
        request
    }

    /// Adds `Authorization: Bearer` (RFC 6750, section 2.1).
    #[must_use]
    pub fn bearer(mut self, access_token: &Secret) -> Self {
        let value = Secret::new(format!("Bearer {}", access_token.expose()));
        self.headers
            .push(("authorization", HeaderValue::Secret(value)));
        self
    }

    /// Adds `Authorization: DPoP` and the proof that goes with it (RFC 9449, section 7.1).
    ///
    /// # Errors
    /// [`Error::Crypto`] if the proof cannot be signed.
    pub fn dpop(
        mut self,
        access_token: &Secret,
        key: &DpopKey,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let value = Secret::new(format!("DPoP {}", access_token.expose()));
        self.headers
            .push(("authorization", HeaderValue::Secret(value)));
        self.proved(key, Some(access_token), now)
    }

    /// Adds the proof that whoever sends this holds `key` (RFC 9449, section 4.1).
    pub(crate) fn proved(
        mut self,
        key: &DpopKey,
        access_token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let proof = key.proof(self.method.as_str(), &self.url, access_token, now)?;
        self.headers.push(("dpop", HeaderValue::Secret(proof)));
        Ok(self)
    }
}

/// Shows neither the body nor credentials, nor the query of the URL.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &bare(&self.url))
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish()
    }
}

/// `url` without user information, query and fragment, in which credentials could hide.
pub(crate) fn bare(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // These fail for URLs that cannot have user information, which then have none.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.into()
}

/// An answer as the driver received it.
#[derive(Clone)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Header fields; names in any case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from any transfer or content coding; at most [`MAX_BODY`] bytes.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first header field called `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All header fields called `name`, in any case.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The media type without parameters, in lower case.
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        let media_type = value.split(';').next()?.trim().to_ascii_lowercase();
        (!media_type.is_empty()).then_some(media_type)
    }

    /// `Retry-After` in seconds (RFC 9110, section 10.2.3). The form with a date is not read: it
    /// would make a wait depend on two clocks agreeing.
    pub fn retry_after(&self) -> Option<Duration> {
        seconds_to_wait(self.header("retry-after")?)
    }

    /// Whether the body is a web page: by its media type, or by its first character if the media
    /// type does not say JSON.
    pub(crate) fn is_html(&self) -> bool {
        match self.media_type().as_deref() {
            Some("text/html" | "application/xhtml+xml") => true,
            Some("application/json") => false,
            _ => self.body.trim_ascii_start().first() == Some(&b'<'),
        }
    }

    /// How long the answer may be kept: `max-age` of `Cache-Control` (RFC 9111, section 5.2.2.1), zero
    /// with `no-store` or `no-cache`, nothing if the server does not say.
    pub fn max_age(&self) -> Option<Duration> {
        let mut age = None;
        for directive in self
            .headers_named("cache-control")
            .flat_map(|value| value.split(','))
        {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(Duration::ZERO),
                "max-age" => {
                    let seconds = value.trim().trim_matches('"').parse::<u32>().ok();
                    age = age.or(seconds.map(|s| Duration::from_secs(s.into())));
                }
                _ => {}
            }
        }
        age
    }

    /// How much longer the answer is fresh (RFC 9111, section 4.2): `max-age`, or else `Expires` less
    /// `Date`, both by the server's own clock; less the `Age` that a cache on the way has added.
    pub fn freshness(&self) -> Option<Duration> {
        let lifetime = self.max_age().or_else(|| {
            let expires = self.header("expires")?;
            // "A cache recipient MUST interpret invalid date formats, especially the value "0", as
            // representing a time in the past" (RFC 9111, section 5.3).
            let Some(expires) = date::parse(expires) else {
                return Some(Duration::ZERO);
            };
            Some(expires.since(date::parse(self.header("date")?)?))
        })?;
        let age = self.header("age").and_then(|age| age.trim().parse().ok());
        Some(lifetime.saturating_sub(Duration::from_secs(age.unwrap_or_default())))
    }

    /// The validator of the answer, to ask with later whether it is still so (RFC 9110, section 8.8.3);
    /// `None` when it is not an entity-tag of reasonable length.
    pub fn etag(&self) -> Option<&str> {
        let etag = self.header("etag")?.trim();
        let opaque = etag.strip_prefix("W/").unwrap_or(etag);
        let inner = opaque.strip_prefix('"')?.strip_suffix('"')?;
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        (etag.len() <= MAX_ETAG && inner.bytes().all(allowed)).then_some(etag)
    }
}

/// Shows the status and sizes; bodies and headers of answers hold tokens and cookies.
impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("media_type", &self.media_type().map(|m| printable(&m)))
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The value of a `Retry-After` in seconds (RFC 9110, section 10.2.3).
pub(crate) fn seconds_to_wait(value: &str) -> Option<Duration> {
    let value = value.trim();
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // More digits than fit are a very long time.
    Some(Duration::from_secs(
        value.parse().unwrap_or(u64::from(u32::MAX)),
    ))
}

/// `location` up to its query or fragment, in which codes and tokens travel.
pub(crate) fn without_query(location: &str) -> String {
    location
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)], body: &str) -> HttpResponse {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        HttpResponse {
            status: 200,
            headers: headers.iter().map(owned).collect(),
            body: body.into(),
        }
    }

    #[test]
    fn header_names_have_no_case_and_the_first_field_counts() {
        let answer = answer(&[("X-A", "1"), ("x-a", "2")], "");
        assert_eq!(answer.header("x-A"), Some("1"));
        assert_eq!(answer.headers_named("X-a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(answer.header("x-b"), None);
    }

    #[test]
    fn retry_after_is_read_in_seconds_only() {
        let wait = |value| answer(&[("Retry-After", value)], "").retry_after();
        assert_eq!(wait("30"), Some(Duration::from_secs(30)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert!(wait("99999999999999999999").unwrap() > Duration::from_secs(1 << 31));
        for value in [
            "",
            "-1",
            "+1",
            "1.5",
            "soon",
            "Wed, 21 Oct 2026 07:28:00 GMT",
        ] {
            assert_eq!(wait(value), None, "{value:?}");
        }
    }

    #[test]
    fn max_age_is_found_among_other_directives_and_no_store_wins() {
        let age = |value| answer(&[("cache-control", value)], "").max_age();
        assert_eq!(age("public, Max-Age=600"), Some(Duration::from_secs(600)));
        assert_eq!(age("max-age=\"7\""), Some(Duration::from_secs(7)));
        assert_eq!(age("max-age=600, no-store"), Some(Duration::ZERO));
        assert_eq!(age("no-cache"), Some(Duration::ZERO));
        assert_eq!(age("private"), None);
        assert_eq!(age("max-age=x, s-maxage=5"), None);
        let fields = [("Cache-Control", "public"), ("Cache-Control", "max-age=5")];
        assert_eq!(answer(&fields, "").max_age(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn freshness_is_what_the_server_says_less_what_has_passed_on_the_way() {
        let date = ("Date", "Thu, 26 Nov 2026 01:00:00 GMT");
        let expires = ("Expires", "Thu, 26 Nov 2026 01:10:00 GMT");
        let fresh = |headers: &[_]| answer(headers, "").freshness().map(|d| d.as_secs());
        assert_eq!(fresh(&[date, expires]), Some(600));
        assert_eq!(fresh(&[date, expires, ("Age", "90")]), Some(510));
        assert_eq!(fresh(&[date, expires, ("Age", "x")]), Some(600));
        assert_eq!(
            fresh(&[date, expires, ("Cache-Control", "max-age=5")]),
            Some(5)
        );
        assert_eq!(
            fresh(&[("Cache-Control", "max-age=5"), ("Age", "9")]),
            Some(0)
        );
        assert_eq!(fresh(&[date, ("Expires", "0")]), Some(0));
        assert_eq!(fresh(&[("Expires", "Thu, 26 Nov 2026 01:00:00 GMT")]), None);
        assert_eq!(fresh(&[date]), None);
    }

    #[test]
    fn an_entity_tag_is_kept_as_it_stands_or_not_at_all() {
        let tag = |text| answer(&[("ETag", text)], "").etag().map(str::to_owned);
        for text in ["\"a\"", "W/\"a\"", "\"\""] {
            assert_eq!(tag(text).as_deref(), Some(text));
        }
        let long = format!("\"{}\"", "x".repeat(256));
        for text in [
            "",
            "a",
            "\"a b\"",
            "\"a",
            "w/\"a\"",
            "\"a\"b\"",
            "\"\u{e9}\"",
            &long,
        ] {
            assert_eq!(tag(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_web_page_is_known_by_its_media_type_or_its_first_character() {
        let html = |media_type, body| answer(&[("Content-Type", media_type)], body).is_html();
        assert!(html("text/HTML; charset=utf-8", "{}"));
        assert!(html("", " \n<!DOCTYPE html>"));
        assert!(html("text/plain", "<html>"));
        assert!(!html("application/json", "<html>"));
        assert!(!html("text/plain", "{}"));
        assert!(!html("", ""));
    }

    #[test]
    fn a_request_shows_its_address_without_what_could_be_secret() {
        let url = Url::parse("https://ada:canary@id.example/x?y=canary#canary").unwrap();
        let request = HttpRequest::get(url).bearer(&Secret::new("canary"));
        let shown = format!("{request:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("https://id.example/x"), "{shown}");
    }
}

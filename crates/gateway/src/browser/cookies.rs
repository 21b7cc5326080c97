//! Our cookies: how they are called, taken out of a request, and written.
//!
//! Whatever is called like one of ours is taken out of every request, so that no upstream ever sees
//! one, and out of every answer, so that none can set one.
//!
//! Not responsible for what is in them.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use url::Url;

/// The prefix that browsers keep for cookies of one host that came over TLS.
const PREFIX: &str = "__Host-";
/// Browsers take 4096 bytes for a cookie, its name and attributes included.
const PIECE: usize = 3800;
/// Into how many cookies a session may be split.
pub(super) const MOST_PIECES: usize = 4;
/// What the names of sign-ins under way have after ours.
const ATTEMPT: &str = "-in-";

/// What of a request's cookies is ours.
#[derive(Debug, Default)]
pub(super) struct Ours {
    /// By what follows our own name.
    found: BTreeMap<String, String>,
}

impl Ours {
    /// The session, in one piece.
    pub(super) fn session(&self) -> Option<String> {
        let (count, first) = self.found.get("")?.split_once('.')?;
        let count: usize = count.parse().ok().filter(|count| *count <= MOST_PIECES)?;
        let mut whole = first.to_owned();
        for number in 1..count {
            whole += self.found.get(&format!("-{number}"))?;
        }
        Some(whole)
    }

    /// The sign-in under way of this name.
    pub(super) fn attempt(&self, id: &str) -> Option<&str> {
        self.found
            .get(&format!("{ATTEMPT}{id}"))
            .map(String::as_str)
    }

    /// The names of all sign-ins under way, and what is in them.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.found
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(ATTEMPT)?, value.as_str())))
    }
}

/// Takes our cookies out of a request to `origin`.
pub(super) fn take(headers: &mut HeaderMap, name: &str, origin: &Url) -> Ours {
    let mut ours = Ours::default();
    let is_ours =
        |header: &HeaderValue| memchr::memmem::find(header.as_bytes(), name.as_bytes()).is_some();
    if !headers.get_all(COOKIE).iter().any(is_ours) {
        return ours;
    }
    let mut left: Vec<Vec<u8>> = Vec::new();
    for header in headers.get_all(COOKIE) {
        for pair in header.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let at = pair.iter().position(|byte| *byte == b'=');
            let (found, value) = pair.split_at(at.unwrap_or(pair.len()));
            let Some((prefixed, rest)) = split(found.trim_ascii(), name) else {
                if !pair.is_empty() {
                    left.push(pair.to_vec());
                }
                continue;
            };
            // The other spelling is of another origin on this host, or of nobody.
            if prefixed == is_secure(origin)
                && let Ok(value) = str::from_utf8(value.get(1..).unwrap_or_default())
            {
                ours.found
                    .entry(rest.to_owned())
                    .or_insert_with(|| value.to_owned());
            }
        }
    }
    headers.remove(COOKIE);
    if let Ok(mut value) = HeaderValue::from_bytes(&left.join(&b"; "[..]))
        && !left.is_empty()
    {
        value.set_sensitive(true);
        headers.insert(COOKIE, value);
    }
    ours
}

/// Takes what is called like our cookies out of an upstream's answer.
pub(super) fn take_set(headers: &mut HeaderMap, name: &str) {
    let is_ours = |value: &HeaderValue| {
        let value = value.as_bytes();
        let end = value.iter().position(|byte| matches!(byte, b'=' | b';'));
        let found = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
        split(found.trim_ascii(), name).is_some()
    };
    if !headers.get_all(SET_COOKIE).iter().any(is_ours) {
        return;
    }
    let values: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for value in values.into_iter().filter(|value| !is_ours(value)) {
        headers.append(SET_COOKIE, value);
    }
}

/// Whether a cookie's name is one of ours: with the prefix or without, and what follows.
fn split<'c>(found: &'c [u8], name: &str) -> Option<(bool, &'c str)> {
    let found = str::from_utf8(found).ok()?;
    let (prefixed, bare) = match found.get(..PREFIX.len()) {
        // Browsers compare it so, and some servers do.
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => {
            (true, found.get(PREFIX.len()..).unwrap_or_default())
        }
        _ => (false, found),
    };
    let rest = bare.strip_prefix(name)?;
    (rest.is_empty() || rest.starts_with('-')).then_some((prefixed, rest))
}

/// Whether cookies of this origin are for TLS only. The other origins are of this machine.
fn is_secure(origin: &Url) -> bool {
    origin.scheme() == "https"
}

/// Writes cookies for one origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer<'w> {
    pub(super) name: &'w str,
    pub(super) origin: &'w Url,
}

impl Writer<'_> {
    /// Sets the session, in pieces. False when it is too long for that; then nothing is set.
    pub(super) fn session(
        self,
        headers: &mut HeaderMap,
        before: &Ours,
        sealed: &str,
        life: Duration,
    ) -> bool {
        let count = sealed.len().div_ceil(PIECE).max(1);
        if count > MOST_PIECES {
            return false;
        }
        let mut rest = sealed;
        for number in 0..count {
            let (piece, after) = rest.split_at(rest.len().min(PIECE));
            rest = after;
            if number == 0 {
                self.set(headers, "", &format!("{count}.{piece}"), life);
            } else {
                self.set(headers, &format!("-{number}"), piece, life);
            }
        }
        self.clear_pieces(headers, before, count);
        true
    }

    /// Takes the session away.
    pub(super) fn no_session(self, headers: &mut HeaderMap, before: &Ours) {
        self.set(headers, "", "", Duration::ZERO);
        self.clear_pieces(headers, before, 1);
    }

    fn clear_pieces(self, headers: &mut HeaderMap, before: &Ours, from: usize) {
        for number in from..MOST_PIECES {
            let rest = format!("-{number}");
            if before.found.contains_key(&rest) {
                self.set(headers, &rest, "", Duration::ZERO);
            }
        }
    }

    /// Sets a sign-in under way.
    pub(super) fn attempt(self, headers: &mut HeaderMap, id: &str, sealed: &str, life: Duration) {
        self.set(headers, &format!("{ATTEMPT}{id}"), sealed, life);
    }

    /// Takes one away.
    pub(super) fn no_attempt(self, headers: &mut HeaderMap, id: &str) {
        self.set(headers, &format!("{ATTEMPT}{id}"), "", Duration::ZERO);
    }

    fn set(self, headers: &mut HeaderMap, rest: &str, value: &str, life: Duration) {
        let (prefix, secure) = if is_secure(self.origin) {
            (PREFIX, "; Secure")
        } else {
            ("", "")
        };
        let cookie = format!(
            "{prefix}{}{rest}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            self.name,
            life.as_secs()
        );
        // Names and values of ours are fit for a header.
        if let Ok(mut value) = HeaderValue::from_str(&cookie) {
            value.set_sensitive(true);
            headers.append(SET_COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        headers
    }

    fn origin(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn ours_are_taken_out_whatever_their_spelling_and_the_others_stay() {
        for (sent, left) in [
            (&["a=1; __Host-sso=1.x; b=2"][..], Some("a=1; b=2")),
            (&["__Host-sso=1.x"], None),
            (&["sso=1.x; a=1"], Some("a=1")),
            (&["__host-sso-in-abc=1; a=1"], Some("a=1")),
            (&["a=1", "__Host-sso-1=x; c", "b=2"], Some("a=1; c; b=2")),
            (
                &["assos=1; sso2=2; __Host-sso.x=3"],
                Some("assos=1; sso2=2; __Host-sso.x=3"),
            ),
            (&["a=sso; b"], Some("a=sso; b")),
        ] {
            let mut headers = request(sent);
            take(&mut headers, "sso", &origin("https://app.example"));
            let now = headers.get(COOKIE).map(|value| value.to_str().unwrap());
            assert_eq!(now, left, "{sent:?}");
        }
    }

    #[test]
    fn an_https_origin_takes_its_session_from_a_prefixed_cookie_only() {
        let session = |origin_is: &str, cookie: &str| {
            take(&mut request(&[cookie]), "sso", &origin(origin_is)).session()
        };
        let https = "https://app.example";
        assert_eq!(session(https, "__Host-sso=1.x").as_deref(), Some("x"));
        assert_eq!(session(https, "sso=1.x"), None);
        assert_eq!(session("http://127.0.0.1", "sso=1.x").as_deref(), Some("x"));
        assert_eq!(session("http://127.0.0.1", "__Host-sso=1.x"), None);
    }

    #[test]
    fn a_session_survives_being_split_and_never_takes_more_than_its_pieces() {
        let home = origin("https://app.example");
        let writer = Writer {
            name: "sso",
            origin: &home,
        };
        for length in [1, PIECE, PIECE + 1, PIECE * MOST_PIECES] {
            let sealed = "x".repeat(length);
            let mut answer = HeaderMap::new();
            let life = Duration::from_secs(60);
            assert!(writer.session(&mut answer, &Ours::default(), &sealed, life));
            let cookies: Vec<String> = answer
                .get_all(SET_COOKIE)
                .iter()
                .map(|value| {
                    let value = value.to_str().unwrap();
                    assert!(value.len() <= 4096, "{length}");
                    assert!(
                        value.ends_with("; HttpOnly; SameSite=Lax; Secure"),
                        "{value}"
                    );
                    value.split(';').next().unwrap().to_owned()
                })
                .collect();
            assert_eq!(cookies.len(), length.div_ceil(PIECE));
            let ours = take(&mut request(&[&cookies.join("; ")]), "sso", &home);
            assert_eq!(ours.session(), Some(sealed));
            // A shorter one takes the pieces away that are left over.
            let mut answer = HeaderMap::new();
            writer.session(&mut answer, &ours, "y", life);
            assert_eq!(answer.get_all(SET_COOKIE).iter().count(), cookies.len());
        }
        let long = "x".repeat(PIECE * MOST_PIECES + 1);
        let mut answer = HeaderMap::new();
        assert!(!writer.session(&mut answer, &Ours::default(), &long, Duration::ZERO));
        assert!(answer.is_empty());
    }

    #[test]
    fn a_piece_that_is_missing_is_no_session() {
        let home = origin("https://app.example");
        for cookie in [
            "__Host-sso=2.x",
            "__Host-sso=9.x",
            "__Host-sso=x",
            "__Host-sso=",
        ] {
            let ours = take(&mut request(&[cookie]), "sso", &home);
            assert_eq!(ours.session(), None, "{cookie}");
        }
    }

    #[test]
    fn an_upstream_cannot_set_ours() {
        let mut answer = HeaderMap::new();
        for value in [
            "a=1; Path=/",
            "__Host-sso=1.x; Path=/",
            "sso=; Max-Age=0",
            "b=sso",
        ] {
            answer.append(SET_COOKIE, HeaderValue::from_static(value));
        }
        take_set(&mut answer, "sso");
        let left: Vec<_> = answer.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["a=1; Path=/", "b=sso"]);
    }
}

//! What a person pastes into the terminal.
//!
//! Between the browser and here, the text went through a clipboard, perhaps a chat or a mail, and a
//! terminal; each may have put something around it or broken its lines.

use url::Url;

use super::callback::{self, MAX_CALLBACK, is_code};
use super::{AuthorizationCode, CallbackError, NotOurs, PendingAuthorization};
use crate::Secret;
use crate::text::is_unfit;

/// The shortest text that is taken for a code. A code cannot be guessed (RFC 6749, section 10.10), so no
/// honest one is shorter, and a stray word is not sent to the server.
const SHORTEST: usize = 8;

/// Reads what was pasted for `pending`.
pub(super) fn read(
    pending: &PendingAuthorization,
    text: &str,
) -> Result<AuthorizationCode, CallbackError> {
    if text.len() > MAX_CALLBACK {
        return Err(NotOurs::TooLong.into());
    }
    let text = unwrapped(text);
    match split(text.expose()) {
        Pasted::Address { address, query } => {
            if !is_redirect_uri(address, pending.redirect_uri()) {
                return Err(NotOurs::OtherAddress.into());
            }
            callback::read(pending, plain(query).expose())
        }
        Pasted::Parameters(query) => callback::read(pending, plain(query).expose()),
        Pasted::Code(code) => bare(code),
    }
}

/// The text without what was put around it.
fn unwrapped(text: &str) -> Secret {
    // Terminals announce a paste with these, and not every program that reads it knows them.
    let text = text.replace("\u{1b}[200~", "").replace("\u{1b}[201~", "");
    // A long line that was broken is one line again, with the indentation of its second half gone.
    let lines = text.split(['\n', '\r']).map(str::trim);
    let mut joined: String = lines.collect();
    joined.retain(|c| !is_unfit(c));
    // Copied from a command line, where a shell or its user had escaped it.
    if ["\\?", "\\&", "\\="]
        .iter()
        .any(|escape| joined.contains(escape))
    {
        joined.retain(|c| c != '\\');
    }
    let around = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '"' | '\'' | '`' | '<' | '>' | '“' | '”' | '‘' | '’' | '«' | '»'
            )
    };
    Secret::new(joined.trim_matches(around))
}

enum Pasted<'t> {
    Address { address: &'t str, query: &'t str },
    Parameters(&'t str),
    Code(&'t str),
}

/// Tells the three forms apart.
fn split(text: &str) -> Pasted<'_> {
    // What follows `#` is for the browser alone; some servers end their redirects with `#_=_`.
    let head = text.split('#').next().unwrap_or_default();
    match head.split_once('?') {
        Some(("", query)) if is_answer(query) => return Pasted::Parameters(query),
        Some((address, query)) if is_answer(query) && !is_answer(address) => {
            return Pasted::Address { address, query };
        }
        _ => {}
    }
    if is_answer(head) {
        return Pasted::Parameters(head);
    }
    match head.split_once("://") {
        Some(_) => Pasted::Address {
            address: head.split('?').next().unwrap_or_default(),
            query: "",
        },
        None => Pasted::Code(text),
    }
}

/// Whether these are the parameters of an authorization response.
fn is_answer(query: &str) -> bool {
    let mut names = query.split('&').filter_map(|pair| pair.split_once('='));
    names.any(|(name, _)| matches!(name, "code" | "state" | "error"))
}

/// Parameters as they were before somebody copied them from the source of a web page.
fn plain(query: &str) -> Secret {
    Secret::new(query.replace("&amp;", "&"))
}

/// Whether `address`, without its query, is where the browser was to come back to. Browsers and people
/// leave out the scheme, or copy the path alone.
fn is_redirect_uri(address: &str, redirect_uri: &str) -> bool {
    let Ok(expected) = Url::parse(redirect_uri) else {
        return false;
    };
    let scheme = expected.scheme();
    let has_scheme = address.contains("://")
        || address
            .split_once(':')
            .is_some_and(|(start, _)| start.eq_ignore_ascii_case(scheme));
    let completed = if has_scheme {
        Url::parse(address)
    } else if address.starts_with('/') {
        expected.join(address)
    } else {
        Url::parse(&format!("{scheme}://{address}"))
    };
    // Not by origin: a private-use scheme (RFC 8252, section 7.1) has none that equals another.
    completed.is_ok_and(|url| {
        url.scheme() == scheme
            && url.host() == expected.host()
            && url.port_or_known_default() == expected.port_or_known_default()
            && url.path() == expected.path()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// A code by itself.
fn bare(text: &str) -> Result<AuthorizationCode, CallbackError> {
    // Cut out of an address bar, it is still encoded (Google's begin with `4%2F`).
    let code = decoded(text).unwrap_or_else(|| Secret::new(text));
    let usable =
        code.expose().len() >= SHORTEST && is_code(code.expose()) && !code.expose().contains(' ');
    if usable {
        Ok(AuthorizationCode(code))
    } else {
        Err(NotOurs::NotACode.into())
    }
}

/// The text without percent-encoding, if it is percent-encoded throughout.
fn decoded(text: &str) -> Option<Secret> {
    let mut pieces = text.split('%');
    let mut out = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(digits, 16).ok()?);
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out).ok().map(Secret::new)
}

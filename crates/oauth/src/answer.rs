//! Reads an HTTP answer: a JSON object, a refusal, or one of the many things that are neither.
//!
//! Not responsible for: what the members of the object mean.

use std::time::Duration;

use countersign_jose::json::{self, JsonError};
use countersign_jose::{Claims, Timestamp};
use serde_json::{Map, Value};
use url::Url;

use crate::error::{Endpoint, Refusal};
use crate::http::{MAX_BODY, bare, without_query};
use crate::issuer::Issuer;
use crate::text::{excerpt, printable};
use crate::{Error, ErrorCode, HttpResponse, PeerMisbehaved, Secret};

/// The object in a successful answer, or the error that any other answer means.
///
/// An answer is a refusal if it has an `error` member, whatever its status: some servers send 200
/// (GitHub), some 401 for "pending". Without one, the status decides.
pub(crate) fn object(endpoint: Endpoint, response: &HttpResponse) -> Result<Object, Error> {
    let peer = |what| Error::peer(endpoint, what);
    let status = response.status;
    if response.body.len() > MAX_BODY {
        return Err(peer(PeerMisbehaved::TooLarge));
    }
    if (300..400).contains(&status) {
        let location = response
            .header("location")
            .map(|to| printable(&without_query(to)));
        return Err(peer(PeerMisbehaved::Redirect { location }));
    }
    let parsed = members(response);
    let refusal = parsed
        .as_ref()
        .ok()
        .and_then(|members| refusal(endpoint, status, members));
    match (refusal, parsed) {
        (Some(refusal), _) => Err(refused(refusal, response)),
        (None, Ok(members)) => Ok(Object { endpoint, members }),
        (None, Err(what)) if (200..300).contains(&status) => Err(peer(what)),
        (None, Err(_)) if is_unavailable(response) => Err(unavailable(endpoint, response, None)),
        (None, Err(_)) if response.is_html() => Err(peer(PeerMisbehaved::Html { status })),
        (None, Err(_)) if (400..500).contains(&status) => {
            let description = plain_text(response);
            Err(Error::Refused(Refusal {
                endpoint,
                status,
                code: None,
                description,
                uri: None,
                unverified: false,
            }))
        }
        (None, Err(_)) => Err(peer(PeerMisbehaved::UnexpectedStatus { status })),
    }
}

/// The start of an error page that is plain text. Anything else (a broken or misplaced answer) may
/// hold tokens, and is not quoted.
fn plain_text(response: &HttpResponse) -> Option<String> {
    if response.media_type().as_deref() != Some("text/plain") {
        return None;
    }
    Some(excerpt(&response.body)).filter(|text| !text.is_empty())
}

/// The body of a successful answer that is not necessarily an object.
pub(crate) fn body(endpoint: Endpoint, response: &HttpResponse) -> Result<&[u8], Error> {
    let status = response.status;
    if !(200..300).contains(&status) {
        // Without success there is no object, only the error that the answer means.
        object(endpoint, response)?;
    }
    let what = match response.body.as_slice() {
        body if body.len() > MAX_BODY => PeerMisbehaved::TooLarge,
        body if body.trim_ascii().is_empty() => PeerMisbehaved::EmptyBody { status },
        _ if response.is_html() => PeerMisbehaved::Html { status },
        body => return Ok(body),
    };
    Err(Error::peer(endpoint, what))
}

/// Whether the answer means "not now": too many requests, a server's own trouble, a request that came
/// too slowly or too early; or it says when to come back (GitHub limits its rate with 403).
fn is_unavailable(response: &HttpResponse) -> bool {
    match response.status {
        408 | 425 | 429 | 500.. => true,
        400..500 => response.retry_after().is_some(),
        _ => false,
    }
}

fn unavailable(endpoint: Endpoint, response: &HttpResponse, refusal: Option<Refusal>) -> Error {
    Error::Unavailable {
        endpoint,
        status: response.status,
        retry_after: response.retry_after(),
        refusal,
    }
}

/// A code that is final stays final under any status; the codes for trouble, and codes of the server's
/// own or none at all under a status for trouble, mean "not now".
fn refused(refusal: Refusal, response: &HttpResponse) -> Error {
    let not_now = match &refusal.code {
        Some(ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable) => true,
        Some(ErrorCode::Other(_)) | None => is_unavailable(response),
        Some(_) => false,
    };
    if not_now {
        unavailable(refusal.endpoint, response, Some(refusal))
    } else {
        Error::Refused(refusal)
    }
}

/// The refusal in an error answer (RFC 6749, section 5.2), if it is one.
fn refusal(endpoint: Endpoint, status: u16, members: &Claims) -> Option<Refusal> {
    let failed = !(200..300).contains(&status);
    let text = |name: &str| match members.get(name) {
        Some(Value::String(text)) => Some(printable(text)).filter(|text| !text.is_empty()),
        _ => None,
    };
    let (code, description) = match members.get("error") {
        Some(Value::String(code)) => (Some(ErrorCode::from_name(code)), text("error_description")),
        // Google's APIs, its userinfo endpoint among them, put an object there.
        Some(Value::Object(error)) if failed => {
            let message = error.get("message").and_then(Value::as_str).map(printable);
            (None, message.or_else(|| text("error_description")))
        }
        // Okta has names of its own, also where it refuses a client.
        _ if failed && members.get("errorCode").is_some_and(Value::is_string) => {
            let code = text("errorCode").map(|code| ErrorCode::from_name(&code));
            (code, text("errorSummary"))
        }
        _ if failed => (None, text("error_description").or_else(|| text("message"))),
        _ => return None,
    };
    Some(Refusal {
        endpoint,
        status,
        code,
        description,
        uri: text("error_uri"),
        unverified: false,
    })
}

/// The members of the body, whatever the status.
pub(crate) fn members(response: &HttpResponse) -> Result<Claims, PeerMisbehaved> {
    if response.body.trim_ascii().is_empty() {
        return Err(PeerMisbehaved::EmptyBody {
            status: response.status,
        });
    }
    if response.is_html() {
        return Err(PeerMisbehaved::Html {
            status: response.status,
        });
    }
    if response.media_type().as_deref() == Some("application/x-www-form-urlencoded") {
        return form(&response.body);
    }
    json(&response.body)
}

/// The strict JSON object in `bytes`.
pub(crate) fn json(bytes: &[u8]) -> Result<Claims, PeerMisbehaved> {
    json::parse(bytes, MAX_BODY).map_err(|error| match error {
        JsonError::TooLarge { .. } => PeerMisbehaved::TooLarge,
        JsonError::TooDeep => PeerMisbehaved::ExcessiveJson,
        JsonError::DuplicateMember => PeerMisbehaved::DuplicateMember,
        JsonError::NotAnObject => PeerMisbehaved::NotAnObject,
        other => PeerMisbehaved::InvalidJson {
            reason: other.to_string(),
        },
    })
}

/// GitHub answers in the media type of the request unless asked not to, older servers always do.
fn form(bytes: &[u8]) -> Result<Claims, PeerMisbehaved> {
    let mut members = Map::new();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        if members
            .insert(name.into_owned(), Value::String(value.into_owned()))
            .is_some()
        {
            return Err(PeerMisbehaved::DuplicateMember);
        }
    }
    json(Value::Object(members).to_string().as_bytes())
}

/// The members of an answer, each read as what it must be.
pub(crate) struct Object {
    endpoint: Endpoint,
    members: Claims,
}

impl Object {
    pub(crate) fn new(endpoint: Endpoint, members: Claims) -> Self {
        Self { endpoint, members }
    }

    pub(crate) fn into_members(self) -> Claims {
        self.members
    }

    /// A member that is there and not `null`, which many servers write for "absent".
    fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn fail(&self, what: PeerMisbehaved) -> Error {
        Error::peer(self.endpoint, what)
    }

    fn wrong_type(&self, name: &'static str, expected: &'static str) -> Error {
        self.fail(PeerMisbehaved::WrongType { name, expected })
    }

    /// A string, or a number taken as its digits.
    pub(crate) fn required_text_or_number(&self, name: &'static str) -> Result<String, Error> {
        match self.get(name) {
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => self.required_str(name).map(str::to_owned),
        }
    }

    /// A string that may be absent.
    pub(crate) fn str(&self, name: &'static str) -> Result<Option<&str>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(name, "a string")),
        }
    }

    pub(crate) fn string(&self, name: &'static str) -> Result<Option<String>, Error> {
        Ok(self.str(name)?.map(str::to_owned))
    }

    pub(crate) fn required_str(&self, name: &'static str) -> Result<&str, Error> {
        self.str(name)?
            .ok_or_else(|| self.fail(PeerMisbehaved::MissingMember { name }))
    }

    /// A token that may be absent or (some servers) the empty string.
    pub(crate) fn token(&self, name: &'static str) -> Result<Option<Secret>, Error> {
        self.str(name)?
            .filter(|text| !text.is_empty())
            .map(|text| self.check(name, text))
            .transpose()
    }

    pub(crate) fn required_token(&self, name: &'static str) -> Result<Secret, Error> {
        self.check(name, self.required_str(name)?)
    }

    /// `1*VSCHAR` without the space (RFC 6749, appendix A.12; RFC 6750, section 2.1): a token must not
    /// be able to end the header it is put into.
    fn check(&self, name: &'static str, text: &str) -> Result<Secret, Error> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Secret::new(text))
        } else {
            Err(self.fail(PeerMisbehaved::UnusableToken { name }))
        }
    }

    /// Seconds as a number, or (Entra ID's v1 endpoints, form-encoded answers) as a string. A
    /// fraction is cut off, an absurdly large number becomes the largest that fits 32 bits.
    pub(crate) fn seconds(&self, name: &'static str) -> Result<Option<Duration>, Error> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse::<f64>().ok(),
            Some(_) => None,
        };
        match number {
            Some(seconds) if seconds >= 0.0 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the cast saturates, and the fraction is meant to go"
                )]
                let seconds = seconds as u32;
                Ok(Some(Duration::from_secs(seconds.into())))
            }
            _ => Err(self.wrong_type(name, "a number of seconds")),
        }
    }

    /// An address that `issuer` may publish.
    pub(crate) fn url(&self, name: &'static str, issuer: &Issuer) -> Result<Option<Url>, Error> {
        let Some(text) = self.str(name)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let url = Url::parse(text).map_err(|_| {
            let value = printable(&without_query(text));
            self.fail(PeerMisbehaved::InvalidUrl { name, value })
        })?;
        if !issuer.may_publish(&url) || !url.username().is_empty() || url.password().is_some() {
            let value = printable(&bare(&url));
            return Err(self.fail(PeerMisbehaved::InsecureUrl { name, value }));
        }
        Ok(Some(url))
    }

    /// A list that only informs: if it is not a list of strings, it says nothing.
    pub(crate) fn list(&self, name: &'static str) -> Option<Vec<String>> {
        self.strings(name).ok().flatten()
    }

    fn strings(&self, name: &'static str) -> Result<Option<Vec<String>>, Error> {
        let wrong_type = || self.wrong_type(name, "a list of strings");
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong_type))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(wrong_type()),
        }
    }

    /// One string, or a list of them (RFC 7519, section 4.1.3).
    pub(crate) fn string_or_strings(&self, name: &'static str) -> Result<Vec<String>, Error> {
        if let Some(Value::String(text)) = self.get(name) {
            return Ok(vec![text.clone()]);
        }
        Ok(self.strings(name)?.unwrap_or_default())
    }

    /// Seconds since 1970 (RFC 7519, section 2).
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<Timestamp>, Error> {
        if self.get(name).is_none() {
            return Ok(None);
        }
        let expected = "a number of seconds since 1970";
        self.members
            .numeric_date(name)
            .map_err(|_| self.wrong_type(name, expected))
    }

    pub(crate) fn boolean(&self, name: &'static str) -> Result<Option<bool>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong_type(name, "true or false")),
        }
    }
}

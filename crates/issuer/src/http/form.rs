//! What clients send: one form, and their credentials in it or in the header.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_oauth::Secret;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use url::form_urlencoded;

use super::errors::refused;
use crate::core::{ClientCredentials, Refusal};

/// Parameters that RFC 8707 (section 2) allows to be repeated.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// A form without parameters given twice (RFC 6749, section 3.2).
pub(super) struct Form {
    fields: Vec<(String, String)>,
    authorization: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let headers = request.headers().clone();
        let body =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => {
                        refused(Refusal::InvalidRequest("the request body is too large"))
                    }
                    _ => refused(Refusal::InvalidRequest(
                        "the request body could not be read",
                    )),
                })?;
        Self::read(&headers, &body).map_err(refused)
    }
}

impl Form {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        if !is_form(headers) {
            return Err(Refusal::InvalidRequest(
                "the Content-Type has to be application/x-www-form-urlencoded",
            ));
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            // RFC 6749, section 3.2: without a value is as if it were absent.
            if value.is_empty() {
                continue;
            }
            let repeated = fields.iter().any(|(known, _)| *known == name);
            if repeated && !REPEATABLE.contains(&name.as_ref()) {
                return Err(Refusal::InvalidRequest(
                    "a parameter is given more than once",
                ));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        let authorization = match headers.get(AUTHORIZATION) {
            None => None,
            Some(value) => Some(
                value
                    .to_str()
                    .map_err(|_| Refusal::InvalidClient)?
                    .to_owned(),
            ),
        };
        Ok(Self {
            fields,
            authorization,
        })
    }

    /// A parameter.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there; `missing` says so to the client.
    pub(super) fn required(&self, name: &str, missing: &'static str) -> Result<&str, Refusal> {
        self.optional(name).ok_or(Refusal::InvalidRequest(missing))
    }

    /// All values of a repeatable parameter.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.fields
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Who is asking (RFC 6749, section 2.3.1): HTTP Basic or the form, not
    /// both. Basic with an empty password is how some public clients give
    /// their name.
    pub(super) fn credentials(&self) -> Result<ClientCredentials, Refusal> {
        let in_form = self.optional("client_secret");
        let Some(header) = &self.authorization else {
            let id = self.optional("client_id").ok_or(Refusal::InvalidClient)?;
            let secret = in_form.map(Secret::new);
            return Ok(ClientCredentials {
                id: id.to_owned(),
                secret,
            });
        };
        if in_form.is_some() {
            return Err(Refusal::InvalidRequest(
                "the client authenticates in the header and in the form",
            ));
        }
        let credentials = basic(header).ok_or(Refusal::InvalidClient)?;
        if self
            .optional("client_id")
            .is_some_and(|id| id != credentials.id)
        {
            return Err(Refusal::InvalidRequest(
                "the header and the form name different clients",
            ));
        }
        Ok(credentials)
    }

    /// The bearer token of a request to userinfo: in the header, or in the
    /// form (RFC 6750, section 2.2), not in both.
    pub(super) fn into_bearer(self) -> Option<Secret> {
        let in_form = self.optional("access_token").map(Secret::new);
        match (&self.authorization, in_form) {
            (Some(header), None) => bearer(header),
            (None, in_form) => in_form,
            (Some(_), Some(_)) => None,
        }
    }
}

/// The token of an `Authorization: Bearer` header.
pub(super) fn bearer(header: &str) -> Option<Secret> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::new(token.trim()))
}

/// HTTP Basic with both parts form-encoded (RFC 6749, section 2.3.1).
fn basic(header: &str) -> Option<ClientCredentials> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let secret = form_decoded(secret)?;
    Some(ClientCredentials {
        id: form_decoded(id)?,
        secret: (!secret.is_empty()).then(|| Secret::from(secret)),
    })
}

fn form_decoded(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    // The parser sees a pair; a raw `&` or `=` in the text would make others.
    if text.contains(['&', '=']) {
        return Some(text.to_owned());
    }
    form_urlencoded::parse(text.as_bytes())
        .next()
        .map(|(text, _)| text.into_owned())
}

fn is_form(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default();
    essence
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn form(content_type: &str, authorization: Option<&str>, body: &str) -> Result<Form, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Form::read(&headers, body.as_bytes())
    }

    const PLAIN: &str = "application/x-www-form-urlencoded";

    #[test]
    fn the_content_type_may_name_a_character_set_and_be_in_any_case() {
        for content_type in [
            PLAIN,
            "application/x-www-form-urlencoded;charset=UTF-8",
            "Application/X-WWW-Form-Urlencoded ; charset=utf-8",
        ] {
            assert_eq!(
                form(content_type, None, "a=b").unwrap().optional("a"),
                Some("b")
            );
        }
        for content_type in [
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded2",
        ] {
            assert!(form(content_type, None, "a=b").is_err(), "{content_type}");
        }
    }

    #[test]
    fn a_parameter_given_twice_is_refused_unless_it_is_a_resource() {
        assert!(form(PLAIN, None, "client_id=a&client_id=a").is_err());
        let twice = form(PLAIN, None, "resource=a&resource=b").unwrap();
        assert_eq!(twice.all("resource"), ["a", "b"]);
    }

    #[test]
    fn a_parameter_without_a_value_is_absent() {
        let form = form(PLAIN, None, "scope=&scope=&a=b").unwrap();
        assert_eq!(form.optional("scope"), None);
    }

    #[test]
    fn basic_with_an_empty_password_is_a_public_client() {
        // "cli:" in base64.
        let form = form(PLAIN, Some("Basic Y2xpOg=="), "a=b").unwrap();
        let credentials = form.credentials().unwrap();
        assert_eq!(credentials.id, "cli");
        assert!(credentials.secret.is_none());
    }

    #[test]
    fn basic_credentials_are_form_encoded() {
        // "a%3Ab:c%2Bd%25" in base64.
        let form = form(PLAIN, Some("basic YSUzQWI6YyUyQmQlMjU="), "x=y").unwrap();
        let credentials = form.credentials().unwrap();
        assert_eq!(credentials.id, "a:b");
        assert_eq!(credentials.secret.unwrap().expose(), "c+d%");
    }

    #[test]
    fn two_ways_to_authenticate_at_once_are_refused() {
        let both = form(
            PLAIN,
            Some("Basic Y2xpOng="),
            "client_id=cli&client_secret=x",
        )
        .unwrap();
        assert!(matches!(
            both.credentials(),
            Err(Refusal::InvalidRequest(_))
        ));
        let other = form(PLAIN, Some("Basic Y2xpOng="), "client_id=other").unwrap();
        assert!(matches!(
            other.credentials(),
            Err(Refusal::InvalidRequest(_))
        ));
    }

    #[test]
    fn nonsense_in_the_header_is_an_invalid_client() {
        for header in ["Basic", "Basic !!!!", "Bearer abc", "Basic bm9jb2xvbg=="] {
            let form = form(PLAIN, Some(header), "client_id=cli").unwrap();
            assert_eq!(
                form.credentials().unwrap_err(),
                Refusal::InvalidClient,
                "{header}"
            );
        }
    }

    #[test]
    fn a_bearer_token_comes_one_way_only() {
        let token = |header, body| {
            let form = form(PLAIN, header, body).unwrap();
            form.into_bearer().map(|token| token.expose().to_owned())
        };
        assert_eq!(token(Some("Bearer abc"), "x=y").as_deref(), Some("abc"));
        assert_eq!(token(Some("bearer abc"), "x=y").as_deref(), Some("abc"));
        assert_eq!(token(None, "access_token=abc").as_deref(), Some("abc"));
        assert_eq!(token(Some("Bearer abc"), "access_token=abc"), None);
        assert_eq!(token(None, "x=y"), None);
    }
}

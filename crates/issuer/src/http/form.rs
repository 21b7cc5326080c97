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
use super::presented::Presented;
use super::{Settings, dpop, paths};
use crate::core::{
    AuthorizationParameters, CLIENT_ASSERTION_TYPE, ClientCredentials, DpopProof, Refusal,
};

/// Parameters that RFC 8707 (section 2) allows to be repeated.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// A form without parameters given twice (RFC 6749, section 3.2).
pub(super) struct Form {
    fields: Vec<(String, String)>,
    authorization: Option<String>,
    dpop: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let is_form = is_form(request.headers());
        let authorization = authorization(request.headers()).map_err(refused)?;
        let dpop = dpop::header(request.headers()).map_err(refused)?;
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                refused(match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => {
                        Refusal::InvalidRequest("the request body is too large")
                    }
                    _ => Refusal::InvalidRequest("the request body could not be read"),
                })
            })?;
        if !is_form {
            return Err(refused(Refusal::InvalidRequest(
                "the Content-Type has to be application/x-www-form-urlencoded",
            )));
        }
        Self::read(&body, authorization, dpop).map_err(refused)
    }
}

impl Form {
    fn read(
        body: &[u8],
        authorization: Option<String>,
        dpop: Option<String>,
    ) -> Result<Self, Refusal> {
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
        Ok(Self {
            fields,
            authorization,
            dpop,
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

    /// The authorization request in the form (RFC 9126, section 2.1).
    pub(super) fn authorization_parameters(&self) -> AuthorizationParameters {
        let fields = self.fields.iter();
        AuthorizationParameters::from_fields(fields.map(|(name, value)| (&**name, &**value)))
    }

    /// Who is asking (RFC 6749, section 2.3): by HTTP Basic, a secret in the form
    /// or an assertion, one of them. Basic with an empty password is how some
    /// public clients give their name.
    pub(super) fn credentials(&self, settings: &Settings) -> Result<ClientCredentials, Refusal> {
        let id = self.optional("client_id");
        let secret = self.optional("client_secret");
        let assertion = self.assertion()?;
        let header = match (&self.authorization, secret, assertion) {
            (None, None, None) => {
                return Ok(ClientCredentials::public(id.ok_or(Refusal::InvalidClient)?));
            }
            (None, Some(secret), None) => {
                let id = id.ok_or(Refusal::InvalidClient)?;
                return Ok(ClientCredentials::with_secret(id, Secret::new(secret)));
            }
            (None, None, Some(jwt)) => {
                let token_endpoint = settings.url(paths::TOKEN);
                return ClientCredentials::with_assertion(id, Secret::new(jwt), token_endpoint);
            }
            (Some(header), None, None) => header,
            _ => {
                return Err(Refusal::InvalidRequest(
                    "the client authenticates in more than one way",
                ));
            }
        };
        let credentials = basic(header).ok_or(Refusal::InvalidClient)?;
        if id.is_some_and(|id| id != credentials.id()) {
            return Err(Refusal::InvalidRequest(
                "the header and the form name different clients",
            ));
        }
        Ok(credentials)
    }

    /// The key that is proved to be the client's, at the endpoint with this path
    /// (RFC 9449, section 5).
    pub(super) fn proof(&self, settings: &Settings, path: &str) -> Option<DpopProof> {
        let jwt = self.dpop.as_deref()?;
        Some(dpop::proof(jwt, "POST", settings.url(path)))
    }

    /// The `client_assertion`, if there is one (RFC 7521, section 4.2).
    fn assertion(&self) -> Result<Option<&str>, Refusal> {
        let assertion = self.optional("client_assertion");
        match self.optional("client_assertion_type") {
            None if assertion.is_none() => Ok(None),
            Some(CLIENT_ASSERTION_TYPE) if assertion.is_some() => Ok(assertion),
            _ => Err(Refusal::InvalidRequest(
                "client_assertion and a client_assertion_type that is known here belong together",
            )),
        }
    }

    /// The token of a request to userinfo: in the header, or in the form
    /// (RFC 6750, section 2.2), not in both.
    pub(super) fn into_presented(self) -> Option<Presented> {
        let in_form = self.optional("access_token").map(Presented::in_form);
        match (&self.authorization, in_form) {
            (Some(header), None) => Presented::in_header(header),
            (None, in_form) => in_form,
            (Some(_), Some(_)) => None,
        }
    }
}

/// HTTP Basic with both parts form-encoded (RFC 6749, section 2.3.1).
fn basic(header: &str) -> Option<ClientCredentials> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let secret = Secret::from(form_decoded(secret)?);
    Some(ClientCredentials::with_secret(form_decoded(id)?, secret))
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

/// The `Authorization` header, if there is exactly one that is text.
fn authorization(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let value = value.to_str().map_err(|_| Refusal::InvalidClient)?;
            Ok(Some(value.to_owned()))
        }
        (Some(_), Some(_)) => Err(Refusal::InvalidRequest(
            "there are two Authorization headers",
        )),
    }
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

    use super::super::presented::Scheme;
    use super::*;

    fn settings() -> Settings {
        Settings::new(url::Url::parse("http://127.0.0.1:8628").unwrap())
    }

    fn form(authorization: Option<&str>, body: &str) -> Result<Form, Refusal> {
        Form::read(body.as_bytes(), authorization.map(str::to_owned), None)
    }

    #[test]
    fn the_content_type_may_name_a_character_set_and_be_in_any_case() {
        let takes = |content_type: &'static str| {
            let value = HeaderValue::from_static(content_type);
            is_form(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        assert!(takes("application/x-www-form-urlencoded"));
        assert!(takes("application/x-www-form-urlencoded;charset=UTF-8"));
        assert!(takes("Application/X-WWW-Form-Urlencoded ; charset=utf-8"));
        assert!(!takes("application/x-www-form-urlencoded2"));
        assert!(!takes("application/json"));
        assert!(!is_form(&HeaderMap::new()));
    }

    #[test]
    fn two_authorization_headers_are_one_too_many() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic Y2xpOg=="));
        assert_eq!(
            authorization(&headers).unwrap().as_deref(),
            Some("Basic Y2xpOg==")
        );
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic Y2xpOg=="));
        assert!(authorization(&headers).is_err());
    }

    #[test]
    fn a_parameter_given_twice_is_refused_unless_it_is_a_resource() {
        assert!(form(None, "client_id=a&client_id=a").is_err());
        let twice = form(None, "resource=a&resource=b").unwrap();
        assert_eq!(twice.all("resource"), ["a", "b"]);
    }

    #[test]
    fn a_parameter_without_a_value_is_absent() {
        let form = form(None, "scope=&scope=&a=b").unwrap();
        assert_eq!(form.optional("scope"), None);
    }

    #[test]
    fn basic_with_an_empty_password_is_a_public_client() {
        // "cli:" in base64.
        let form = form(Some("Basic Y2xpOg=="), "a=b").unwrap();
        let credentials = form.credentials(&settings()).unwrap();
        assert_eq!(credentials, ClientCredentials::public("cli"));
    }

    #[test]
    fn basic_credentials_are_form_encoded() {
        // "a%3Ab:c%2Bd%25" in base64.
        let form = form(Some("basic YSUzQWI6YyUyQmQlMjU="), "x=y").unwrap();
        let credentials = form.credentials(&settings()).unwrap();
        assert_eq!(
            credentials,
            ClientCredentials::with_secret("a:b", Secret::new("c+d%"))
        );
    }

    #[test]
    fn two_ways_to_authenticate_at_once_are_refused() {
        let both = form(Some("Basic Y2xpOng="), "client_id=cli&client_secret=x").unwrap();
        assert!(matches!(
            both.credentials(&settings()),
            Err(Refusal::InvalidRequest(_))
        ));
        let other = form(Some("Basic Y2xpOng="), "client_id=other").unwrap();
        assert!(matches!(
            other.credentials(&settings()),
            Err(Refusal::InvalidRequest(_))
        ));
    }

    #[test]
    fn nonsense_in_the_header_is_an_invalid_client() {
        for header in ["Basic", "Basic !!!!", "Bearer abc", "Basic bm9jb2xvbg=="] {
            let form = form(Some(header), "client_id=cli").unwrap();
            assert_eq!(
                form.credentials(&settings()).unwrap_err(),
                Refusal::InvalidClient,
                "{header}"
            );
        }
    }

    #[test]
    fn an_access_token_comes_one_way_only() {
        let token = |header, body| {
            let presented = form(header, body).unwrap().into_presented()?;
            Some((presented.scheme, presented.token.expose().to_owned()))
        };
        let bearer = Some((Scheme::Bearer, "abc".to_owned()));
        assert_eq!(token(Some("Bearer abc"), "x=y"), bearer);
        assert_eq!(token(Some("bearer abc"), "x=y"), bearer);
        assert_eq!(token(None, "access_token=abc"), bearer);
        let bound = Some((Scheme::Dpop, "abc".to_owned()));
        assert_eq!(token(Some("DPoP abc"), "x=y"), bound);
        assert_eq!(token(Some("Basic abc"), "x=y"), None);
        assert_eq!(token(Some("Bearer abc"), "access_token=abc"), None);
        assert_eq!(token(None, "x=y"), None);
    }
}

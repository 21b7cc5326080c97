//! Who is asking: the client's identifier and how it proves itself.

mod assertion;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_jose::Timestamp;
use url::Url;

pub use assertion::{AssertionAudience, ClientKey};

use crate::http::{Form, HeaderValue};
use crate::{DpopKey, Error, HttpRequest, Issuer, Secret};

/// A client as it is registered at the authorization server (RFC 6749, section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The identifier. It is not a secret.
    pub client_id: String,
    /// How the client proves that it is this client.
    pub authentication: ClientAuthentication,
    /// The key that its tokens are bound to (RFC 9449), if they are to be.
    pub dpop: Option<DpopKey>,
}

/// How a client authenticates (RFC 6749, section 2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// Not at all: a public client, as every program on a person's machine is. No secret is ever
    /// sent, and some servers insist on that.
    None,
    /// `client_secret_basic`: in the `Authorization` header.
    SecretBasic(Secret),
    /// `client_secret_post`: in the form.
    SecretPost(Secret),
    /// `private_key_jwt`: a signed assertion in the form (RFC 7523, section 2.2).
    PrivateKeyJwt(ClientKey),
}

impl Client {
    /// A public client.
    pub fn public(client_id: impl Into<String>) -> Self {
        Self::new(client_id, ClientAuthentication::None)
    }

    /// A client that authenticates like this.
    pub fn new(client_id: impl Into<String>, authentication: ClientAuthentication) -> Self {
        Self {
            client_id: client_id.into(),
            authentication,
            dpop: None,
        }
    }

    /// The client with its tokens bound to `key` (RFC 9449).
    #[must_use]
    pub fn with_dpop(mut self, key: DpopKey) -> Self {
        self.dpop = Some(key);
        self
    }

    /// What a request with `own` secrets in it holds that no message may repeat.
    pub(crate) fn secrets(&self, own: &[&Secret]) -> Vec<Secret> {
        let client_secret = match &self.authentication {
            ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt(_) => None,
            ClientAuthentication::SecretBasic(secret)
            | ClientAuthentication::SecretPost(secret) => Some(secret),
        };
        own.iter().copied().chain(client_secret).cloned().collect()
    }

    /// A `POST` of `form` to an endpoint of `issuer` with this client's credentials, as of `now`.
    pub(crate) fn post(
        &self,
        issuer: &Issuer,
        url: &Url,
        mut form: Form,
        now: Timestamp,
    ) -> Result<HttpRequest, Error> {
        let mut authorization = None;
        match &self.authentication {
            ClientAuthentication::SecretBasic(secret) => {
                authorization = Some(basic(&self.client_id, secret));
            }
            _ if form.has("client_id") => {}
            _ => form.add("client_id", &self.client_id),
        }
        match &self.authentication {
            ClientAuthentication::None | ClientAuthentication::SecretBasic(_) => {}
            ClientAuthentication::SecretPost(secret) => form.add("client_secret", secret.expose()),
            ClientAuthentication::PrivateKeyJwt(key) => {
                let assertion = key.assertion(&self.client_id, issuer, url, now)?;
                form.add("client_assertion_type", assertion::TYPE);
                form.add("client_assertion", assertion.expose());
            }
        }
        let mut request = HttpRequest::post_form(url.clone(), &form);
        if let Some(value) = authorization {
            request
                .headers
                .push(("authorization", HeaderValue::Secret(value)));
        }
        match &self.dpop {
            Some(key) => request.proved(key, None, now),
            None => Ok(request),
        }
    }
}

/// Both halves are form-encoded before they are joined (RFC 6749, section 2.3.1), which keeps a colon
/// in either of them apart from the one in the middle.
fn basic(client_id: &str, secret: &Secret) -> Secret {
    let encode =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = Secret::new(format!("{}:{}", encode(client_id), encode(secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(authentication: ClientAuthentication) -> HttpRequest {
        let client = Client::new("a:b c", authentication);
        let issuer = Issuer::parse("https://a.example").unwrap();
        let url = Url::parse("https://a.example/token").unwrap();
        let mut form = Form::default();
        form.add("grant_type", "x");
        let now = Timestamp::from_secs(1_800_000_000);
        client.post(&issuer, &url, form, now).unwrap()
    }

    fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
        request
            .headers
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.expose())
    }

    #[test]
    fn a_public_client_sends_its_id_and_no_secret() {
        let request = post(ClientAuthentication::None);
        assert_eq!(
            request.body.as_ref().unwrap().expose(),
            "grant_type=x&client_id=a%3Ab+c"
        );
        assert_eq!(header(&request, "authorization"), None);
    }

    #[test]
    fn basic_credentials_are_form_encoded_before_they_are_joined() {
        let request = post(ClientAuthentication::SecretBasic(Secret::new("p:w%")));
        let expected = format!("Basic {}", STANDARD.encode("a%3Ab+c:p%3Aw%25"));
        assert_eq!(header(&request, "authorization"), Some(expected.as_str()));
        assert_eq!(request.body.as_ref().unwrap().expose(), "grant_type=x");
    }

    #[test]
    fn posted_credentials_stand_in_the_form_only() {
        let request = post(ClientAuthentication::SecretPost(Secret::new("p&w")));
        let body = request.body.as_ref().unwrap().expose();
        assert_eq!(body, "grant_type=x&client_id=a%3Ab+c&client_secret=p%26w");
        assert_eq!(header(&request, "authorization"), None);
    }

    #[test]
    fn the_media_type_of_a_form_has_no_parameter() {
        let request = post(ClientAuthentication::None);
        let media_type = header(&request, "content-type");
        assert_eq!(media_type, Some("application/x-www-form-urlencoded"));
        assert_eq!(header(&request, "accept"), Some("application/json"));
    }

    #[test]
    fn debug_of_a_request_shows_no_credentials() {
        for authentication in [
            ClientAuthentication::SecretBasic(Secret::new("canary")),
            ClientAuthentication::SecretPost(Secret::new("canary")),
        ] {
            let shown = format!("{:?} {authentication:?}", post(authentication.clone()));
            assert!(!shown.contains("canary"), "{shown}");
            assert!(
                !shown.contains(&STANDARD.encode("a%3Ab+c:canary")),
                "{shown}"
            );
        }
    }
}

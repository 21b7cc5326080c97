//! What is kept of a login, and what can be said about it without a network.

mod apart;
mod client;
mod identity;
mod life;

use std::time::Duration;

use countersign_jose::crypto::ring;
use countersign_oauth::id_token::Expected;
use countersign_oauth::preset::ScopeSeparator;
use countersign_oauth::secret::exposed;
use countersign_oauth::{
    AuthorizationRequest, Client, EndpointOverrides, Error as ExchangeError, Issuer, ScopeSet,
    TokenResponse, TokenType,
};
use countersign_store::VaultKind;
use serde::{Deserialize, Serialize};

use self::apart::Apart;
pub use self::apart::SessionSecrets;
use self::client::StoredMethod;
pub(crate) use self::client::{BindingKey, KeyFile, assertion_audience};
pub use self::identity::Identity;
pub(crate) use self::life::Life;
use crate::{Error, Secret, SignIn, Timestamp};

/// What a login asked for: enough to ask again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) issuer: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Option<String>,
    pub(crate) resources: Vec<String>,
    #[serde(default)]
    pub(crate) trusted_audiences: Vec<String>,
    pub(crate) endpoints: EndpointOverrides,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preset: Option<String>,
    /// Further parameters, where the request is made again without a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parameters: Vec<(String, String)>,
}

/// A login that is kept: its tokens, and what is known about them.
///
/// It holds secrets, and serialising it writes them out: to a private file, and nowhere else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    request: Request,
    client_id: String,
    /// The way the person signed in; unknown in sessions of older versions, which had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flow: Option<SignIn>,
    client_authentication: StoredMethod,
    #[serde(default, with = "exposed", skip_serializing_if = "Option::is_none")]
    client_secret: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_key: Option<KeyFile>,
    /// The key that the access token is bound to; without one, whoever holds it may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dpop: Option<BindingKey>,
    #[serde(with = "exposed")]
    access_token: Secret,
    #[serde(default, with = "exposed", skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Secret>,
    access_token_life: Life,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token: Option<IdTokenRecord>,
    granted: Vec<String>,
    /// When the person signed in; renewals do not change it.
    signed_in_at: Timestamp,
    /// The server has said that this session is over.
    #[serde(default)]
    ended: bool,
    identity: Identity,
    /// Set where this was read without the secrets that a vault keeps: there are none here, then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apart: Option<Apart>,
    /// Where the secrets were when this was read.
    #[serde(skip)]
    kept_in: Option<VaultKind>,
    /// Whether another session may be meant when this one is named.
    #[serde(skip)]
    has_others: bool,
}

impl Request {
    /// The same request once more, where no person is needed for it.
    pub(crate) fn again(&self) -> Result<AuthorizationRequest, Error> {
        let scopes =
            ScopeSet::parse(&self.scopes.join(" ")).map_err(|error| Error::Configuration {
                what: "scope",
                why: error.to_string(),
            })?;
        Ok(AuthorizationRequest {
            scopes,
            audience: self.audience.clone(),
            resource: self.resources.clone(),
            extra: self.parameters.clone(),
            ..AuthorizationRequest::default()
        })
    }

    /// What an ID token must be that answers this.
    pub(crate) fn expected(
        &self,
        client_id: &str,
        tokens: &TokenResponse,
    ) -> Result<Expected, Error> {
        let issuer = Issuer::parse(&self.issuer).map_err(ExchangeError::from)?;
        let mut expected = Expected::new(issuer, client_id, ring::provider());
        expected
            .trusted_audiences
            .clone_from(&self.trusted_audiences);
        expected.access_token = Some(tokens.access_token.clone());
        Ok(expected)
    }
}

/// An ID token that was verified. Its own `exp` is by the server's clock, its `life` by ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct IdTokenRecord {
    #[serde(with = "exposed")]
    token: Secret,
    life: Life,
}

/// What a session is made from, beside the tokens.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    pub(crate) request: Request,
    pub(crate) client: &'a Client,
    pub(crate) flow: SignIn,
    pub(crate) client_key: Option<KeyFile>,
    /// Tokens need not be bound to the client's key.
    pub(crate) or_bearer: bool,
}

/// What is known about an ID token that was verified.
#[derive(Debug, Clone)]
pub(crate) struct CheckedIdToken {
    pub(crate) token: Secret,
    pub(crate) identity: Identity,
    pub(crate) expires_at: Timestamp,
}

impl Session {
    /// The session of a login that was answered by `tokens` to a request sent at `sent`.
    pub(crate) fn begin(
        made: Made<'_>,
        tokens: TokenResponse,
        id_token: Option<CheckedIdToken>,
        sent: Timestamp,
    ) -> Self {
        let Made {
            request,
            client,
            flow,
            client_key,
            or_bearer,
        } = made;
        let (method, secret) = StoredMethod::of(client);
        // A key that nothing is bound to would only be one more secret.
        let dpop = client
            .dpop
            .as_ref()
            .filter(|_| tokens.token_type == TokenType::Dpop)
            .map(|key| BindingKey::new(key, or_bearer));
        let mut session = Self {
            granted: request.scopes.clone(),
            request,
            client_id: client.client_id.clone(),
            flow: Some(flow),
            client_authentication: method,
            client_secret: secret,
            client_key,
            dpop,
            access_token: tokens.access_token.clone(),
            refresh_token: None,
            access_token_life: Life {
                obtained_at: sent,
                expires_at: None,
            },
            id_token: None,
            signed_in_at: sent,
            ended: false,
            identity: Identity::default(),
            apart: None,
            kept_in: None,
            has_others: false,
        };
        session.renew(tokens, id_token, sent);
        session
    }

    /// Takes over what a token response brings, and keeps what it leaves out: the refresh token
    /// (RFC 6749, section 6), the ID token (`OpenID` Connect Core, section 12.2) and the scope
    /// (RFC 6749, section 5.1).
    pub(crate) fn renew(
        &mut self,
        tokens: TokenResponse,
        id_token: Option<CheckedIdToken>,
        sent: Timestamp,
    ) {
        if tokens.token_type == TokenType::Bearer {
            // Only when the client accepts that: the key is of no use with this one.
            self.dpop = None;
        }
        self.access_token = tokens.access_token;
        let expires_at = tokens.expires_in.map(|lifetime| sent + lifetime);
        self.access_token_life = Life {
            obtained_at: sent,
            expires_at,
        };
        if tokens.refresh_token.is_some() {
            self.refresh_token = tokens.refresh_token;
        }
        if let Some(scope) = tokens.scope {
            let commas = self
                .known_preset()
                .is_some_and(|preset| preset.quirks.scope_separator == ScopeSeparator::Comma);
            let between = |c: char| c.is_ascii_whitespace() || (commas && c == ',');
            let scopes = scope.split(between).filter(|scope| !scope.is_empty());
            self.granted = scopes.map(str::to_owned).collect();
        }
        if let Some(checked) = id_token {
            let life = Life {
                obtained_at: sent,
                expires_at: Some(checked.expires_at),
            };
            self.id_token = Some(IdTokenRecord {
                token: checked.token,
                life,
            });
            self.identity = checked.identity;
        }
    }

    /// The same session with another refresh token and nothing else that came with it.
    pub(crate) fn with_refresh_token(&self, token: &Secret) -> Self {
        let mut session = self.clone();
        session.refresh_token = Some(token.clone());
        session
    }

    /// Takes over who it was from where the provider says it, when there was no ID token.
    pub(crate) fn belongs_to(&mut self, identity: Identity) {
        self.identity = identity;
    }

    /// Notes that the server does not accept the refresh token any more.
    pub(crate) fn end(&mut self) {
        self.refresh_token = None;
        self.ended = true;
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// What an ID token must be that comes with `tokens`, now or when the session is renewed.
    pub(crate) fn expected(&self, tokens: &TokenResponse) -> Result<Expected, Error> {
        let mut expected = self.request.expected(&self.client_id, tokens)?;
        expected.subject.clone_from(&self.identity.subject);
        Ok(expected)
    }

    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// The issuer the person signed in at.
    pub fn issuer(&self) -> &str {
        &self.request.issuer
    }

    /// The application they signed in to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The way the person signed in, when that is known.
    pub fn flow(&self) -> Option<SignIn> {
        self.flow
    }

    /// Whether the access token is bound to a key of this session (RFC 9449). Then it goes with a proof,
    /// which [`TokenSource::authorization`](crate::TokenSource::authorization) makes.
    pub fn is_bound(&self) -> bool {
        self.dpop.is_some()
    }

    /// The preset of the provider that was signed in at.
    pub fn preset(&self) -> Option<&str> {
        self.request.preset.as_deref()
    }

    /// Who signed in. Empty when the server issued no ID token.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The scopes that were granted; those asked for when the server did not say.
    pub fn scopes(&self) -> &[String] {
        &self.granted
    }

    /// The `audience` that was asked for.
    pub fn audience(&self) -> Option<&str> {
        self.request.audience.as_deref()
    }

    /// The `resource` values that were asked for (RFC 8707).
    pub fn resources(&self) -> &[String] {
        &self.request.resources
    }

    /// The access token, whether still good or not.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// The ID token, when the server issued one.
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref().map(|record| &record.token)
    }

    /// Whether the session can be renewed without a person.
    pub fn has_refresh_token(&self) -> bool {
        let here = self.refresh_token.is_some();
        self.apart.map_or(here, |apart| apart.renewable)
    }

    /// Whether the session can be renewed as things are, and without anybody being asked anything.
    pub(crate) fn renews_by_itself(&self) -> bool {
        let as_itself = self.flow == Some(SignIn::ClientCredentials) && !self.ended;
        (as_itself || self.has_refresh_token()) && self.kept_in != Some(VaultKind::Passphrase)
    }

    /// Where the refresh token was when the session was read; `None` when this version does not know
    /// the place.
    pub fn kept_in(&self) -> Option<VaultKind> {
        self.kept_in
    }

    pub(crate) fn was_in(mut self, kind: Option<VaultKind>) -> Self {
        self.kept_in = kind;
        self
    }

    /// Whether the session was read from where other accounts are beside it, so that it need not be the one
    /// that is meant: [`Accounts`](crate::Accounts) know.
    pub fn has_others(&self) -> bool {
        self.has_others
    }

    pub(crate) fn beside_others(mut self, has_others: bool) -> Self {
        self.has_others = has_others;
        self
    }

    /// Whether the server has said that the session is over. The access token may still be good.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// When the person signed in, by this computer's clock.
    pub fn signed_in_at(&self) -> Timestamp {
        self.signed_in_at
    }

    /// When the access token was asked for, by this computer's clock.
    pub fn obtained_at(&self) -> Timestamp {
        self.access_token_life.obtained_at
    }

    /// When the access token expires, by this computer's clock; `None` when the server did not say.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.access_token_life.expires_at
    }

    /// How long the access token is still good at `now`; zero when it is not, `None` when the server
    /// did not say.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        self.access_token_life.left(now)
    }

    /// The same of the ID token; `None` when there is none.
    pub fn id_token_remaining(&self, now: Timestamp) -> Option<Duration> {
        self.id_token_life().and_then(|life| life.left(now))
    }

    pub(crate) fn access_token_life(&self) -> Life {
        self.access_token_life
    }

    pub(crate) fn id_token_life(&self) -> Option<Life> {
        self.id_token.as_ref().map(|record| record.life)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use countersign_oauth::ClientAuthentication;

    pub(crate) fn response(name: &str, lifetime: Option<u64>) -> TokenResponse {
        TokenResponse {
            access_token: Secret::new(format!("access-{name}")),
            token_type: TokenType::Bearer,
            expires_in: lifetime.map(Duration::from_secs),
            refresh_token: Some(Secret::new(format!("refresh-{name}"))),
            id_token: None,
            scope: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn session() -> Session {
        let request = Request {
            issuer: "https://id.example.com".to_owned(),
            scopes: vec!["openid".to_owned(), "api".to_owned()],
            audience: None,
            resources: Vec::new(),
            trusted_audiences: Vec::new(),
            endpoints: EndpointOverrides::default(),
            preset: None,
            parameters: Vec::new(),
        };
        let secret = Secret::new("canary-client-secret");
        let client = Client::new("cli", ClientAuthentication::SecretPost(secret));
        let made = Made {
            request,
            client: &client,
            flow: SignIn::Device,
            client_key: None,
            or_bearer: false,
        };
        Session::begin(made, response("one", Some(600)), None, at(1000))
    }

    #[test]
    fn a_session_survives_being_written_and_read() {
        let text = serde_json::to_string(&session()).unwrap();
        let back: Session = serde_json::from_str(&text).unwrap();
        assert_eq!(back.access_token().expose(), "access-one");
        assert_eq!(back.refresh_token().unwrap().expose(), "refresh-one");
        assert_eq!(back.client().unwrap(), session().client().unwrap());
        assert_eq!(back.expires_at(), Some(at(1600)));
        assert_eq!(back.scopes(), ["openid", "api"]);
    }

    #[test]
    fn debug_of_a_session_shows_no_token() {
        let shown = format!("{:?}", session());
        for secret in ["access-one", "refresh-one", "canary-client-secret"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn what_a_renewal_leaves_out_is_kept() {
        let mut session = session();
        let mut second = response("two", None);
        second.refresh_token = None;
        session.renew(second, None, at(1500));
        assert_eq!(session.access_token().expose(), "access-two");
        assert_eq!(session.refresh_token().unwrap().expose(), "refresh-one");
        assert_eq!(session.scopes(), ["openid", "api"]);
        assert_eq!(session.remaining(at(9999)), None);
        assert_eq!(session.signed_in_at(), at(1000));
        let mut third = response("three", Some(60));
        third.scope = Some("openid".to_owned());
        session.renew(third, None, at(2000));
        assert_eq!(session.refresh_token().unwrap().expose(), "refresh-three");
        assert_eq!(session.scopes(), ["openid"]);
    }

    #[test]
    fn a_clock_that_was_set_back_ends_what_it_vouched_for() {
        let session = session();
        assert_eq!(session.remaining(at(1100)), Some(Duration::from_secs(500)));
        assert_eq!(session.remaining(at(1600)), Some(Duration::ZERO));
        assert_eq!(session.remaining(at(990)), Some(Duration::from_secs(610)));
        assert_eq!(session.remaining(at(500)), Some(Duration::ZERO));
    }
}

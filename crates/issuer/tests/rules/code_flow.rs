//! A login by authorization code, as far as a test wants it to go.

use countersign_issuer::core::{
    AuthorizationParameters, AuthorizationProblem, AuthorizationRequest, AuthorizationResponse,
    BrowserSession, ClientCredentials, CodeRequest, Failure, Standing, Tokens, Unanswerable,
};
use countersign_oauth::Secret;
use url::form_urlencoded;

use crate::fixture::{Fixture, cli};

/// RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:49152/callback";

/// An honest request of `cli`, with changes: another value, or none at all.
pub(crate) fn asking(changes: &[(&str, &str)]) -> AuthorizationParameters {
    let honest = [
        ("response_type", "code"),
        ("client_id", "cli"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid offline_access"),
        ("state", "af0ifjsldkj"),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let kept = honest
        .iter()
        .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    encoded(kept.chain(changes))
}

pub(crate) fn encoded<'a>(
    pairs: impl IntoIterator<Item = &'a (&'a str, &'a str)>,
) -> AuthorizationParameters {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    AuthorizationParameters::parse(query.as_bytes())
}

/// A parameter of the address that a browser is sent to.
#[track_caller]
pub(crate) fn answer(response: &AuthorizationResponse, name: &str) -> Option<String> {
    let (_, query) = response.url.expose().split_once('?').unwrap();
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    assert!(values.next().is_none(), "{name} is given once");
    value
}

/// The `error` of an answer, after checking what is true of every one.
#[track_caller]
pub(crate) fn error_of(response: &AuthorizationResponse) -> String {
    assert_eq!(
        answer(response, "iss").as_deref(),
        Some("http://127.0.0.1:8628")
    );
    assert_eq!(answer(response, "code"), None);
    answer(response, "error").unwrap()
}

impl Fixture {
    pub(crate) fn ask(
        &self,
        changes: &[(&str, &str)],
    ) -> Result<AuthorizationRequest, AuthorizationProblem> {
        self.core.begin_authorization(asking(changes), self.now())
    }

    /// The answer to the client that a request has to end in.
    #[track_caller]
    pub(crate) fn answered(&self, changes: &[(&str, &str)]) -> AuthorizationResponse {
        match self.ask(changes) {
            Err(AuthorizationProblem::Answered(response)) => response,
            other => panic!("an answer to {changes:?}, not {other:?}"),
        }
    }

    /// Why a request is not answered to its client.
    #[track_caller]
    pub(crate) fn shown(&self, changes: &[(&str, &str)]) -> Unanswerable {
        match self.ask(changes) {
            Err(AuthorizationProblem::Shown(problem)) => problem,
            other => panic!("no answer to {changes:?}, not {other:?}"),
        }
    }

    pub(crate) fn standing(
        &self,
        request: &AuthorizationRequest,
        session: Option<&BrowserSession>,
    ) -> Standing {
        self.core
            .authorization_standing(request, session, self.now())
            .unwrap()
    }

    /// A code for a request that `session` approves.
    pub(crate) async fn code(&self, changes: &[(&str, &str)], session: &BrowserSession) -> Secret {
        let request = self.ask(changes).unwrap();
        let response = self
            .core
            .approve_authorization(&request, session, self.now())
            .await
            .unwrap();
        Secret::from(answer(&response, "code").unwrap())
    }

    pub(crate) async fn redeem(&self, code: &Secret) -> Result<Tokens, Failure> {
        self.redeem_as(cli(), code, CALLBACK, VERIFIER).await
    }

    pub(crate) async fn redeem_as(
        &self,
        credentials: ClientCredentials,
        code: &Secret,
        redirect_uri: &str,
        code_verifier: &str,
    ) -> Result<Tokens, Failure> {
        let request = CodeRequest {
            credentials,
            code: code.clone(),
            redirect_uri: redirect_uri.to_owned(),
            code_verifier: Secret::new(code_verifier),
            resources: Vec::new(),
        };
        self.core.redeem_code(request, self.now()).await
    }
}

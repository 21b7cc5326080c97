//! One provider at a time, made of the shapes it is documented to send.

use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, KeySet, SigningKey, Verified};
use countersign_oauth::id_token::{self, Expected};
use countersign_oauth::preset::{Meaning, Preset, RedirectPorts, RefreshTokens};
use countersign_oauth::{
    AuthorizationCode, AuthorizationRequest, CallbackError, Client, CodeFlow, DeviceAuthorization,
    DeviceFlow, Error, Flow, HttpResponse, IdToken, Issuer, Metadata, PendingAuthorization,
    RefreshFlow, ScopeSet, Secret, Step, Timestamp, TokenResponse,
};
use serde_json::{Value, json};

use crate::common::{T0, exchange, json as answer};

/// A provider of one preset.
pub(crate) struct Recorded {
    pub(crate) preset: &'static Preset,
    pub(crate) metadata: Metadata,
    pub(crate) client: Client,
}

impl Recorded {
    /// The preset called `name`, with the document that its server publishes at `issuer`.
    pub(crate) fn new(name: &str, issuer: &str, document: &Value) -> Self {
        let issuer = Issuer::parse(issuer).unwrap();
        let document = document.to_string();
        Self {
            preset: Preset::by_name(name).unwrap(),
            metadata: Metadata::from_json(document.as_bytes(), &issuer).unwrap(),
            client: Client::public("cli"),
        }
    }

    /// Asks for a device code and gets this.
    pub(crate) fn device(&self, status: u16, body: &Value) -> Result<DeviceAuthorization, Error> {
        let scopes = ScopeSet::parse(&self.preset.scopes.join(" ")).unwrap();
        let request = AuthorizationRequest::new(scopes);
        let flow = request.start_device(&self.metadata, &self.client)?;
        exchange(flow, &answer(status, &body.to_string()))
    }

    /// Polls with a device code and gets these answers, one after another.
    pub(crate) fn poll(&self, answers: &[HttpResponse]) -> Result<TokenResponse, Error> {
        let authorization = DeviceAuthorization {
            device_code: Secret::new("device-code-1"),
            user_code: "BCDF-GHJK".to_owned(),
            verification_uri: self.metadata.issuer.as_url().clone(),
            verification_uri_complete: None,
            expires_at: T0 + std::time::Duration::from_secs(900),
            interval: std::time::Duration::from_secs(5),
            code_verifier: None,
        };
        let mut flow = DeviceFlow::new(&self.metadata, &self.client, &authorization, T0)?;
        let mut now = T0;
        let mut answers = answers.iter();
        loop {
            match flow.poll(now)? {
                Step::Done(tokens) => return Ok(tokens),
                Step::WaitUntil(time) => now = time,
                Step::Send(_) => flow.handle(answers.next().expect("one more poll"), now)?,
            }
        }
    }

    /// The same, answered once with an error.
    pub(crate) fn poll_error(&self, status: u16, code: &str, description: &str) -> Error {
        self.poll(&[refusal(status, code, description)])
            .expect_err("an error answer")
    }

    /// A sign-in in the browser that is under way, with the first redirect URI that is registered.
    pub(crate) fn pending(&self) -> PendingAuthorization {
        let redirect = self.preset.quirks.redirect;
        let port = match redirect.ports {
            RedirectPorts::Registered(ports) => ports[0],
            _ => 49_152,
        };
        let uri = format!("http://{}:{port}{}", redirect.host, redirect.path);
        let scopes = ScopeSet::parse(&self.preset.scopes.join(" ")).unwrap();
        let mut request = AuthorizationRequest::new(scopes);
        if let RefreshTokens::Parameters(parameters) = self.preset.quirks.refresh {
            let extra = parameters.iter().filter(|(name, _)| *name != "prompt");
            request.extra = extra
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            request.prompt = parameters
                .iter()
                .find_map(|(name, value)| (*name == "prompt").then(|| (*value).to_owned()));
        }
        let flow = request
            .start_code(&self.metadata, &self.client, &uri, ring::provider())
            .unwrap();
        done(flow)
    }

    /// The browser comes back with these parameters; `STATE` in them is ours.
    pub(crate) fn callback(
        &self,
        parameters: &str,
    ) -> Result<(PendingAuthorization, AuthorizationCode), CallbackError> {
        let pending = self.pending();
        let query = pending.url().query_pairs();
        let state = query
            .into_owned()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1;
        let code = pending.accept(&parameters.replace("STATE", &state))?;
        Ok((pending, code))
    }

    /// Redeems the code that came back, and gets this.
    pub(crate) fn redeem(
        &self,
        parameters: &str,
        response: &HttpResponse,
    ) -> Result<TokenResponse, Error> {
        let (pending, code) = self.callback(parameters)?;
        let flow = CodeFlow::new(&self.metadata, &self.client, &pending, &code)?;
        exchange(flow, response)
    }

    /// What the browser is sent to: the parameters of the authorization request.
    pub(crate) fn asked(&self, name: &str) -> Option<String> {
        let pending = self.pending();
        let mut query = pending.url().query_pairs().into_owned();
        query
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Refreshes and gets this.
    pub(crate) fn refresh(&self, response: &HttpResponse) -> Result<TokenResponse, Error> {
        let token = Secret::new("refresh-token-1");
        exchange(
            RefreshFlow::new(&self.metadata, &self.client, &token)?,
            response,
        )
    }

    /// Verifies an ID token of this issuer that has these claims besides the usual ones.
    pub(crate) fn id_token(&self, claims: &Value) -> Result<Verified<IdToken>, Error> {
        let now = T0.as_secs();
        let mut all = json!({
            "iss": self.metadata.issuer.as_str(), "sub": "subject-1", "aud": "cli",
            "iat": now - 5, "exp": now + 3600,
        });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let key = SigningKey::generate(Algorithm::Es256, ring::provider()).unwrap();
        let token = Secret::new(key.sign("JWT", &all).unwrap());
        let keys = KeySet::from(key.verifying_key().unwrap());
        let expected = Expected::new(self.metadata.issuer.clone(), "cli", ring::provider());
        id_token::verify(&id_token::parse(&token)?, &keys, &expected, T0)
    }

    /// What an error of one of the machines means at this provider.
    #[track_caller]
    pub(crate) fn meaning(&self, error: &Error) -> Meaning {
        let refusal = error.refusal().expect("the server said no");
        self.preset
            .explain_refusal(refusal)
            .unwrap_or_else(|| panic!("{} does not know {refusal}", self.preset.name))
    }
}

/// The output of a machine that sends nothing.
fn done<F: Flow>(mut flow: F) -> F::Output {
    match flow.poll(T0) {
        Ok(Step::Done(output)) => output,
        _ => panic!("it is done at once"),
    }
}

/// An error answer (RFC 6749, section 5.2).
pub(crate) fn refusal(status: u16, code: &str, description: &str) -> HttpResponse {
    let body = json!({ "error": code, "error_description": description });
    answer(status, &body.to_string())
}

/// A successful answer.
pub(crate) fn ok(body: &Value) -> HttpResponse {
    answer(200, &body.to_string())
}

/// Seconds from T0 on.
pub(crate) fn after(seconds: u64) -> Timestamp {
    T0 + std::time::Duration::from_secs(seconds)
}

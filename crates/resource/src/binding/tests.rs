//! Bound tokens, proofs and revocation, through the validator and without a
//! socket.

mod certificates;
mod logged_out;
mod proofs;
mod revoked;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use countersign_jose::{VerifyingKey, base64url, crypto};
use countersign_testkit::{Key as TestKey, Signature};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::{Value, json};

use super::*;
use crate::testing::{FakeClock, FakeIssuer, START, claims_with, signed, validator};
use crate::{Caller, Demands, Validator, ValidatorBuilder};

const ORIGIN: &str = "https://api.example.com";

/// An API, an issuer, and a client that holds a key.
struct Scene {
    clock: FakeClock,
    issuer: FakeIssuer,
    issuers_key: TestKey,
    clients_key: TestKey,
    validator: Validator,
    /// Signed once: no two signatures are the same.
    bound: OnceLock<String>,
}

impl Scene {
    fn new() -> Self {
        Self::with(|builder| builder.dpop(DpopPolicy::new().origin(ORIGIN).unwrap()))
    }

    fn with(refine: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> Self {
        let issuers_key = TestKey::generate("k1");
        let clock = FakeClock::default();
        let issuer = FakeIssuer::publishing(&[&issuers_key]);
        let validator = refine(validator(&issuer, &clock)).build().unwrap();
        // Far enough from the start that a proof can only be of afterwards.
        clock.advance(Duration::from_secs(100));
        Self {
            clock,
            issuer,
            issuers_key,
            clients_key: TestKey::generate("c1"),
            validator,
            bound: OnceLock::new(),
        }
    }

    fn now(&self) -> i64 {
        crate::Clock::now(&self.clock).as_secs()
    }

    fn thumbprint(&self) -> String {
        thumbprint(&self.clients_key)
    }

    /// A token that is bound like this.
    fn token(&self, cnf: &Value) -> String {
        let claims = claims_with(&json!({ "cnf": cnf, "exp": START + 100_000, "sid": "s-1" }));
        signed(&self.issuers_key, &claims)
    }

    /// A token that is bound to the client's key.
    fn bound_token(&self) -> String {
        let token = || self.token(&json!({ "jkt": self.thumbprint() }));
        self.bound.get_or_init(token).clone()
    }

    fn plain_token(&self) -> String {
        self.token(&Value::Null)
    }
}

fn thumbprint(key: &TestKey) -> String {
    let jwk = key.jwk().to_string();
    let key = VerifyingKey::from_json(jwk.as_bytes(), crypto::aws_lc::provider());
    key.unwrap().thumbprint()
}

/// A request, as far as anybody here looks at it.
#[derive(Clone)]
struct Sent {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    certificate: Option<Vec<u8>>,
    source: Option<std::net::IpAddr>,
}

impl Sent {
    fn new(scheme: &str, token: &str) -> Self {
        let sent = Self {
            method: Method::GET,
            uri: Uri::from_static("/stock/7?page=2"),
            headers: HeaderMap::new(),
            certificate: None,
            source: None,
        };
        sent.header("authorization", &format!("{scheme} {token}"))
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.append(name, value);
        self
    }

    async fn check(&self, validator: &Validator, demands: &Demands) -> Result<Caller, Rejection> {
        let presented = Presented::new(&self.method, &self.uri, &self.headers)
            .client_certificate(self.certificate.as_deref())
            .source(self.source);
        validator.check(&presented, demands).await
    }

    /// How it was presented, or why it is refused.
    async fn meets(&self, scene: &Scene) -> &'static str {
        match self.check(&scene.validator, &Demands::none()).await {
            Ok(caller) => caller.presentation().code(),
            Err(Rejection::InvalidProof(error)) => error.code(),
            Err(rejection) => rejection.code(),
        }
    }
}

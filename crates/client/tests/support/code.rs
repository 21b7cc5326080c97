//! The part of the server that has to do with browsers: the authorization endpoint, pushed requests,
//! codes; and the proofs of DPoP and of clients.

use std::collections::HashMap;

use countersign_jose::crypto::ring;
use countersign_jose::{Claims, KeySet, Unverified, base64url, dpop};
use countersign_oauth::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::{ISSUER, Seen, Server, State};

type Pairs = Vec<(String, String)>;
type Edit = Box<dyn FnMut(&mut Pairs) + Send>;

/// What the server insists on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demands {
    /// Requests must be pushed (RFC 9126).
    pub(crate) par: bool,
    /// Proofs must hold this nonce (RFC 9449, section 8).
    pub(crate) nonce: Option<String>,
    /// Clients must sign assertions with this key (RFC 7523).
    pub(crate) client_key: Option<Value>,
    /// There are no tokens without a proof.
    pub(crate) bound: bool,
    /// Tokens are bound to nothing, whatever the client sends.
    pub(crate) ignores_dpop: bool,
}

/// What has been asked for in a browser.
#[derive(Default)]
pub(super) struct Codes {
    offered: bool,
    demands: Demands,
    pushed: HashMap<String, Pairs>,
    approved: HashMap<String, HashMap<String, String>>,
    issued: usize,
    edit: Option<Edit>,
}

impl Server {
    /// From now on, there is a page for browsers.
    pub(crate) fn offers_code(&self) {
        self.state().code.offered = true;
    }

    pub(crate) fn demands(&self, demands: Demands) {
        self.state().code.demands = demands;
    }

    /// Changes what every redirect brings back.
    pub(crate) fn edit_redirect(&self, edit: impl FnMut(&mut Pairs) + Send + 'static) {
        self.state().code.edit = Some(Box::new(edit));
    }

    /// A person opens `address` in a browser and approves: where the browser is sent.
    pub(crate) fn visit(&self, address: &str) -> Url {
        self.state().authorize(&Url::parse(address).unwrap())
    }
}

impl State {
    pub(super) fn metadata(&self) -> Value {
        let mut document = super::metadata();
        if self.code.offered {
            let at = |path: &str| Value::from(format!("{ISSUER}{path}"));
            document["authorization_endpoint"] = at("/authorize");
            document["pushed_authorization_request_endpoint"] = at("/par");
            document["authorization_response_iss_parameter_supported"] = true.into();
            document["require_pushed_authorization_requests"] = self.code.demands.par.into();
        }
        document
    }

    fn authorize(&mut self, address: &Url) -> Url {
        assert_eq!(address.path(), "/authorize");
        let mut asked: Pairs = address.query_pairs().into_owned().collect();
        let find = |pairs: &Pairs, name: &str| {
            let found = pairs.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        if let Some(reference) = find(&asked, "request_uri") {
            let named: Vec<&str> = asked.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(named, ["client_id", "request_uri"]);
            asked = self.code.pushed.remove(&reference).unwrap();
        } else {
            assert!(!self.code.demands.par, "it was not pushed");
        }
        let asked: HashMap<String, String> = asked.into_iter().collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["code_challenge_method"], "S256");
        self.code.issued += 1;
        let code = format!("secret-code-{}", self.code.issued);
        let mut answer = vec![
            ("code".to_owned(), code.clone()),
            ("state".to_owned(), asked["state"].clone()),
            ("iss".to_owned(), ISSUER.to_owned()),
        ];
        if let Some(edit) = &mut self.code.edit {
            edit(&mut answer);
        }
        let mut location = Url::parse(&asked["redirect_uri"]).unwrap();
        location.query_pairs_mut().extend_pairs(&answer);
        self.code.approved.insert(code, asked);
        location
    }

    pub(super) fn push(&mut self, asked: &Seen) -> (u16, Value) {
        if let Err(refusal) = self.proved(asked, "POST", None) {
            return refusal;
        }
        if let Err(refusal) = self.authenticated(asked) {
            return refusal;
        }
        let reference = format!("urn:example:pushed-{}", self.code.pushed.len());
        let pairs = asked.form.clone().into_iter().collect();
        self.code.pushed.insert(reference.clone(), pairs);
        (201, json!({ "request_uri": reference, "expires_in": 60 }))
    }

    /// The nonce that was asked for with the code; a code is good once.
    pub(super) fn redeem(
        &mut self,
        form: &HashMap<String, String>,
        thumbprint: Option<&str>,
    ) -> Result<String, (u16, Value)> {
        let refused = |why: &str| {
            let body = json!({ "error": "invalid_grant", "error_description": why });
            (400, body)
        };
        let asked = self.code.approved.remove(&form["code"]);
        let asked = asked.ok_or_else(|| refused("the code was used before, or never issued"))?;
        let challenge = ring::provider().sha256(form["code_verifier"].as_bytes());
        if base64url::encode(&challenge) != asked["code_challenge"] {
            return Err(refused("the verifier does not fit"));
        }
        if form["redirect_uri"] != asked["redirect_uri"] {
            return Err(refused("the redirect URI is another"));
        }
        let jkt = asked.get("dpop_jkt").map(String::as_str);
        if jkt.is_some() && jkt != thumbprint && !self.code.demands.ignores_dpop {
            return Err(refused("the key is another"));
        }
        Ok(asked["nonce"].clone())
    }

    /// The thumbprint of the key that was proved, if one was.
    pub(super) fn proved(
        &self,
        asked: &Seen,
        method: &str,
        token: Option<&str>,
    ) -> Result<Option<String>, (u16, Value)> {
        let Some(proof) = asked
            .proof
            .as_ref()
            .filter(|_| !self.code.demands.ignores_dpop)
        else {
            return Ok(None);
        };
        let address = format!("{ISSUER}{}", asked.path);
        let mut expected = dpop::Expected::new(method, &address);
        expected.access_token = token;
        let nonce = self.code.demands.nonce.as_deref();
        let nonces = [nonce.unwrap_or_default()];
        expected.nonces = nonce.map(|_| &nonces[..]);
        let now = Timestamp::from_secs(asked.at);
        match dpop::verify(proof, &expected, ring::provider(), now) {
            Ok(verified) => Ok(Some(verified.thumbprint().to_owned())),
            Err(error) => {
                let code = if nonce.is_some() {
                    "use_dpop_nonce"
                } else {
                    "invalid_dpop_proof"
                };
                let body = json!({ "error": code, "error_description": error.to_string() });
                Err((400, body))
            }
        }
    }

    /// Whether a proof is missing that there must be.
    pub(super) fn lacks_proof(&self, thumbprint: Option<&str>) -> Option<(u16, Value)> {
        let lacks = self.code.demands.bound && thumbprint.is_none();
        lacks.then(|| (400, json!({ "error": "invalid_dpop_proof" })))
    }

    /// Whether the client proved itself as it must.
    pub(super) fn authenticated(&self, asked: &Seen) -> Result<(), (u16, Value)> {
        let Some(key) = &self.code.demands.client_key else {
            return Ok(());
        };
        let keys = json!({ "keys": [key] }).to_string();
        let keys = KeySet::from_json(keys.as_bytes(), ring::provider()).unwrap();
        let good = asked.form.get("client_assertion").is_some_and(|assertion| {
            let unverified = Unverified::<Claims>::parse(assertion).unwrap();
            let claims = unverified.verify(&keys, &countersign_jose::Algorithm::ALL);
            claims.is_ok_and(|claims| {
                let is = |name, value| claims.str(name).unwrap() == Some(value);
                is("iss", "cli") && is("sub", "cli") && is("aud", ISSUER)
            })
        });
        if good {
            Ok(())
        } else {
            Err((401, json!({ "error": "invalid_client" })))
        }
    }
}

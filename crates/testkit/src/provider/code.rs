//! The authorization code grant: `/authorize`, which approves by itself, pushed requests, and the
//! exchange of the code (RFC 6749, section 4.1; RFC 7636; RFC 9126; RFC 9207).

use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded;

use super::Endpoint;
use super::state::{Grant, State, refused};
use crate::signing::sha256;
use crate::{Reply, Request};

/// Form or query members, in order.
pub(super) type Parameters = Vec<(String, String)>;

/// What was approved, until its code is redeemed.
#[derive(Clone, Debug)]
pub(super) struct Approval {
    grant: Grant,
    redirect_uri: String,
    code_challenge: String,
    dpop_jkt: Option<String>,
}

fn value<'p>(parameters: &'p Parameters, name: &str) -> Option<&'p str> {
    parameters
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

impl State {
    /// Answers the person's browser: with a redirect, or with a page that says what is wrong with the
    /// request.
    pub(super) fn authorize(&mut self, request: &Request) -> Reply {
        let asked = form_urlencoded::parse(request.query.as_bytes())
            .into_owned()
            .collect();
        match self.decide(asked) {
            Ok(location) => Reply::redirect(302, &location),
            Err(why) => Reply::text(400, "text/plain", format!("not a good request: {why}\n")),
        }
    }

    fn decide(&mut self, asked: Parameters) -> Result<String, String> {
        let asked = self.resolve(asked)?;
        let need = |name: &str| value(&asked, name).ok_or(format!("no {name}"));
        let state = value(&asked, "state").map(str::to_owned);
        let redirect_uri = need("redirect_uri")?.to_owned();
        let approval = Approval {
            grant: Grant {
                client_id: need("client_id")?.to_owned(),
                scope: value(&asked, "scope").unwrap_or_default().to_owned(),
                nonce: value(&asked, "nonce").map(str::to_owned),
                polls: 0,
                thumbprint: None,
            },
            code_challenge: need("code_challenge")?.to_owned(),
            dpop_jkt: value(&asked, "dpop_jkt").map(str::to_owned),
            redirect_uri: redirect_uri.clone(),
        };
        if need("response_type")? != "code" {
            return Err("response_type is not code".to_owned());
        }
        if need("code_challenge_method")? != "S256" {
            return Err("code_challenge_method is not S256".to_owned());
        }
        let mut answer: Parameters = Vec::new();
        if let Some(denial) = &self.denial {
            answer.extend(denial.clone());
        } else {
            let code = self.secret("code");
            self.codes.insert(code.clone(), approval);
            answer.push(("code".to_owned(), code));
        }
        answer.extend(state.map(|state| ("state".to_owned(), state)));
        answer.push(("iss".to_owned(), self.issuer.clone()));
        for edit in &mut self.response_edits {
            edit(&mut answer);
        }
        let mut location = Url::parse(&redirect_uri).map_err(|error| error.to_string())?;
        location.query_pairs_mut().extend_pairs(&answer);
        Ok(location.into())
    }

    /// The request itself, which may have been pushed before.
    fn resolve(&mut self, asked: Parameters) -> Result<Parameters, String> {
        let Some(request_uri) = value(&asked, "request_uri") else {
            if self.demands.par {
                return Err("it was not pushed".to_owned());
            }
            return Ok(asked);
        };
        let pushed = self
            .pushed
            .remove(request_uri)
            .ok_or("nobody pushed it, or it was used before")?;
        if value(&pushed, "client_id") != value(&asked, "client_id") {
            return Err("another client pushed it".to_owned());
        }
        Ok(pushed)
    }

    pub(super) fn push(&mut self, request: &Request) -> Result<Value, Reply> {
        let client_id = self.authenticate(request)?;
        let thumbprint = self.proof(request, Endpoint::PushedAuthorization)?;
        let mut parameters = request.form();
        if value(&parameters, "request_uri").is_some() {
            return Err(refused(400, "invalid_request"));
        }
        if value(&parameters, "client_id").is_none() {
            parameters.push(("client_id".to_owned(), client_id));
        }
        if let (None, Some(thumbprint)) = (value(&parameters, "dpop_jkt"), thumbprint) {
            parameters.push(("dpop_jkt".to_owned(), thumbprint));
        }
        let request_uri = format!(
            "urn:ietf:params:oauth:request_uri:{}",
            self.secret("request")
        );
        self.pushed.insert(request_uri.clone(), parameters);
        Ok(json!({ "request_uri": request_uri, "expires_in": 60 }))
    }

    /// The grant behind a code, which is good once.
    pub(super) fn redeem(
        &mut self,
        request: &Request,
        client_id: &str,
        thumbprint: Option<&str>,
    ) -> Result<Grant, Reply> {
        let code = request
            .form_value("code")
            .ok_or_else(|| refused(400, "invalid_request"))?;
        let approval = self
            .codes
            .remove(&code)
            .ok_or_else(|| refused(400, "invalid_grant"))?;
        let verifier = request.form_value("code_verifier").unwrap_or_default();
        let fits = approval.grant.client_id == client_id
            && request.form_value("redirect_uri").as_deref() == Some(&approval.redirect_uri)
            && sha256(&verifier) == approval.code_challenge
            && approval
                .dpop_jkt
                .as_deref()
                .is_none_or(|promised| Some(promised) == thumbprint);
        if fits {
            Ok(approval.grant)
        } else {
            Err(refused(400, "invalid_grant"))
        }
    }
}

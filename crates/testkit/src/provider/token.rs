//! The token endpoint: every grant ends here.

use std::time::Instant;

use serde_json::{Value, json};

use super::state::{Grant, Spent, State, refused, unix_now};
use super::{ClientAuthentication, Endpoint};
use crate::signing::at_hash;
use crate::{Reply, Request};

impl State {
    pub(super) fn token(&mut self, request: &Request) -> Result<Value, Reply> {
        let client_id = self.authenticate(request)?;
        let thumbprint = self.proof(request, Endpoint::Token)?;
        let need = |name: &str| {
            request
                .form_value(name)
                .ok_or_else(|| refused(400, "invalid_request"))
        };
        match need("grant_type")?.as_str() {
            "authorization_code" => {
                let mut grant = self.redeem(request, &client_id, thumbprint.as_deref())?;
                grant.thumbprint = thumbprint;
                Ok(self.tokens(&grant))
            }
            "urn:ietf:params:oauth:grant-type:device_code" => {
                let mut grant = self.poll(&need("device_code")?)?;
                grant.thumbprint = thumbprint;
                Ok(self.tokens(&grant))
            }
            "refresh_token" => {
                let token = need("refresh_token")?;
                if let Some(successor) = self.told_again(&token) {
                    let grant = self.renewable(&successor, thumbprint.as_deref())?;
                    let (access_token, id_token) = self.access_and_id_token(&grant);
                    let body = body(&grant, &access_token, &id_token, Some(&successor));
                    self.refresh_tokens.insert(successor, grant);
                    return Ok(body);
                }
                let grant = self.renewable(&token, thumbprint.as_deref())?;
                if self.refresh_tokens_stay {
                    let (access_token, id_token) = self.access_and_id_token(&grant);
                    let body = body(&grant, &access_token, &id_token, None);
                    self.refresh_tokens.insert(token, grant);
                    return Ok(body);
                }
                let body = self.tokens(&grant);
                if let Some(successor) = body.get("refresh_token").and_then(Value::as_str) {
                    let spent = Spent {
                        successor: successor.to_owned(),
                        at: Instant::now(),
                    };
                    self.spent.insert(token, spent);
                }
                Ok(body)
            }
            "client_credentials" if self.demands.authentication != ClientAuthentication::None => {
                Ok(json!({
                    "access_token": self.access_token(thumbprint.as_deref()),
                    "token_type": token_type(thumbprint.as_deref()),
                    "expires_in": 600,
                    "scope": request.form_value("scope").unwrap_or_default(),
                }))
            }
            "client_credentials" => Err(refused(400, "unauthorized_client")),
            "urn:ietf:params:oauth:grant-type:token-exchange" => {
                need("subject_token")?;
                Ok(json!({
                    "access_token": self.access_token(thumbprint.as_deref()),
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                    "token_type": token_type(thumbprint.as_deref()),
                    "expires_in": 600,
                }))
            }
            _ => Err(refused(400, "unsupported_grant_type")),
        }
    }

    /// The grant of a refresh token that is good, which is then spent.
    fn renewable(&mut self, token: &str, thumbprint: Option<&str>) -> Result<Grant, Reply> {
        let found = self.refresh_tokens.remove(token);
        let mut grant = found
            .filter(|grant| grant.thumbprint.as_deref() == thumbprint)
            .ok_or_else(|| refused(400, "invalid_grant"))?;
        grant.nonce = None;
        Ok(grant)
    }

    /// The successor of a spent token that is still in its grace. One that is not ends its login, however
    /// often it was renewed since, if the provider is that strict.
    fn told_again(&mut self, token: &str) -> Option<String> {
        let (grace, spent) = (self.grace?, self.spent.get(token)?);
        let successor = spent.successor.clone();
        if spent.at.elapsed() <= grace && self.refresh_tokens.contains_key(&successor) {
            return Some(successor);
        }
        let mut last = successor;
        while let Some(next) = self.spent.get(&last) {
            last.clone_from(&next.successor);
        }
        if self.refresh_tokens.remove(&last).is_some() {
            self.reuses += 1;
        }
        None
    }

    fn poll(&mut self, device_code: &str) -> Result<Grant, Reply> {
        let grant = self
            .device_codes
            .get_mut(device_code)
            .ok_or_else(|| refused(400, "invalid_grant"))?;
        if grant.polls < self.pending_polls {
            grant.polls += 1;
            return Err(refused(400, "authorization_pending"));
        }
        // A device code is redeemed once.
        let grant = self.device_codes.remove(device_code);
        grant.ok_or_else(|| refused(400, "invalid_grant"))
    }

    fn access_token(&mut self, thumbprint: Option<&str>) -> String {
        let access_token = self.secret("access");
        if let Some(thumbprint) = thumbprint {
            self.bound
                .insert(access_token.clone(), thumbprint.to_owned());
        }
        access_token
    }

    fn access_and_id_token(&mut self, grant: &Grant) -> (String, String) {
        let access_token = self.access_token(grant.thumbprint.as_deref());
        let id_token = self.id_token(grant, &access_token);
        self.secrets.push(id_token.clone());
        (access_token, id_token)
    }

    fn tokens(&mut self, grant: &Grant) -> Value {
        let (access_token, id_token) = self.access_and_id_token(grant);
        let asked = grant
            .scope
            .split(' ')
            .any(|scope| scope == "offline_access");
        let refresh_token = (asked || !self.refresh_when_asked).then(|| self.secret("refresh"));
        if let Some(token) = &refresh_token {
            self.refresh_tokens.insert(token.clone(), grant.clone());
        }
        body(grant, &access_token, &id_token, refresh_token.as_deref())
    }

    fn id_token(&mut self, grant: &Grant, access_token: &str) -> String {
        let now = unix_now();
        let mut header = json!({ "typ": "JWT" });
        let mut claims = json!({
            "iss": self.issuer, "sub": "ada", "aud": grant.client_id,
            "iat": now, "exp": now + 600, "auth_time": now,
            "at_hash": at_hash(access_token),
            "name": "Ada Lovelace", "email": "ada@example.com",
        });
        if let (Some(claims), Some(nonce)) = (claims.as_object_mut(), &grant.nonce) {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        for edit in &mut self.id_token_edits {
            edit(&mut header, &mut claims);
        }
        let key = self.keys.last().expect("there is always a key");
        key.sign(&header, &claims, self.signature)
    }
}

fn token_type(thumbprint: Option<&str>) -> &'static str {
    if thumbprint.is_some() {
        "DPoP"
    } else {
        "Bearer"
    }
}

fn body(grant: &Grant, access_token: &str, id_token: &str, refresh_token: Option<&str>) -> Value {
    let mut body = json!({
        "access_token": access_token,
        "token_type": token_type(grant.thumbprint.as_deref()),
        "expires_in": 600,
        "refresh_token": refresh_token,
        "id_token": id_token,
        "scope": grant.scope,
    });
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    body
}

//! Who asks: client authentication (RFC 6749, section 2.3) and proof of possession (RFC 9449).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::state::{State, refused};
use super::{Endpoint, dpop};
use crate::{Reply, Request};

/// How a client has to prove who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Not at all.
    #[default]
    None,
    /// `client_secret_basic`, with this secret.
    SecretBasic(String),
    /// `client_secret_post`, with this secret.
    SecretPost(String),
}

impl ClientAuthentication {
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
        }
    }
}

/// What the provider insists on.
#[derive(Debug, Default)]
pub(super) struct Demands {
    pub(super) authentication: ClientAuthentication,
    pub(super) par: bool,
    pub(super) dpop: bool,
    pub(super) dpop_nonce: Option<String>,
}

impl State {
    /// The client id, once the client has proved it as demanded.
    pub(super) fn authenticate(&self, request: &Request) -> Result<String, Reply> {
        let denied = || refused(401, "invalid_client");
        let basic = basic_credentials(request);
        let named = request.form_value("client_id");
        let posted = request.form_value("client_secret");
        match &self.demands.authentication {
            ClientAuthentication::None => named
                .or_else(|| basic.map(|(id, _)| id))
                .ok_or_else(|| refused(400, "invalid_request")),
            ClientAuthentication::SecretBasic(secret) => basic
                .filter(|(_, given)| given == secret && posted.is_none())
                .map(|(id, _)| id)
                .ok_or_else(denied),
            ClientAuthentication::SecretPost(secret) => named
                .filter(|_| posted.as_deref() == Some(secret) && basic.is_none())
                .ok_or_else(denied),
        }
    }

    /// The thumbprint of the key that the client has proved to have, if it has or must.
    pub(super) fn proof(
        &mut self,
        request: &Request,
        endpoint: Endpoint,
    ) -> Result<Option<String>, Reply> {
        // A resource answers 401, the token endpoint 400 (RFC 9449, sections 7.1 and 5).
        let status = if endpoint == Endpoint::Userinfo {
            401
        } else {
            400
        };
        let access_token = request
            .header("authorization")
            .and_then(|field| field.strip_prefix("DPoP "));
        let Some(proof) = request.header("dpop") else {
            return if self.demands.dpop {
                Err(refused(status, "invalid_dpop_proof"))
            } else {
                Ok(None)
            };
        };
        let url = self.url(endpoint);
        let proof = dpop::check(proof, endpoint.method(), &url, access_token).map_err(|why| {
            Reply::json(
                status,
                &serde_json::json!({ "error": "invalid_dpop_proof", "error_description": why }),
            )
        })?;
        if let Some(nonce) = &self.demands.dpop_nonce
            && proof.nonce.as_ref() != Some(nonce)
        {
            let challenge = "DPoP error=\"use_dpop_nonce\"";
            return Err(refused(status, "use_dpop_nonce")
                .with_header("www-authenticate", challenge)
                .with_header("dpop-nonce", nonce));
        }
        if !self.proofs.insert(proof.jti) {
            return Err(refused(status, "invalid_dpop_proof"));
        }
        Ok(Some(proof.thumbprint))
    }
}

/// Both halves are form-encoded before they are joined (RFC 6749, section 2.3.1).
fn basic_credentials(request: &Request) -> Option<(String, String)> {
    let field = request.header("authorization")?.strip_prefix("Basic ")?;
    let joined = String::from_utf8(STANDARD.decode(field).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((decode(id), decode(secret)))
}

fn decode(half: &str) -> String {
    form_urlencoded::parse(format!("={half}").as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect()
}

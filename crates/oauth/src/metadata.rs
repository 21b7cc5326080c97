//! What an authorization server says about itself.
//!
//! One type serves both documents: OpenID Connect Discovery 1.0, section 3, and RFC 8414, section 2.
//! Not responsible for: fetching it ([`crate::Discovery`]) and keeping it.

mod overrides;

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

pub use overrides::EndpointOverrides;

use crate::answer::{self, Object};
use crate::error::Endpoint;
use crate::{Error, Issuer, PeerMisbehaved};

/// The metadata of an authorization server.
///
/// A list that is absent, or is no list, says nothing, and is never a reason to refuse: real servers
/// leave out grants and authentication methods that they offer. Endpoints are `https`, or `http` on
/// loopback if the issuer is. Serialized, it is a document that a server can publish and a client can
/// cache; reading it back checks it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Metadata {
    /// The issuer, exactly as the document writes it.
    pub issuer: Issuer,
    /// Where a browser starts a sign-in (RFC 6749, section 3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<Url>,
    /// Where grants become tokens (RFC 6749, section 3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<Url>,
    /// Where a device starts a sign-in (RFC 8628, section 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<Url>,
    /// Where the keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<Url>,
    /// Who the token is about (OpenID Connect Core 1.0, section 5.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_endpoint: Option<Url>,
    /// Where tokens end (RFC 7009).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<Url>,
    /// Whether a token is good (RFC 7662).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<Url>,
    /// Where a browser session ends (OpenID Connect RP-Initiated Logout 1.0, section 2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<Url>,
    /// Where a client leaves an authorization request before it opens a browser (RFC 9126, section 5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// Scopes the server is willing to name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    /// Response types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_types_supported: Option<Vec<String>>,
    /// Ways in which an authorization response may come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_modes_supported: Option<Vec<String>>,
    /// Grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_types_supported: Option<Vec<String>>,
    /// Whether `sub` is the same for every client (`public`) or not (`pairwise`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_types_supported: Option<Vec<String>>,
    /// How ID tokens are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signing_alg_values_supported: Option<Vec<String>>,
    /// How clients authenticate at the token endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// How clients authenticate at the revocation endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// How clients authenticate at the introspection endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// How clients may sign who they are at the token endpoint (RFC 8414, section 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    /// PKCE methods (RFC 7636).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Claims the server may give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_supported: Option<Vec<String>>,
    /// Authentication context classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr_values_supported: Option<Vec<String>>,
    /// Values of `prompt` (Initiating User Registration via OpenID Connect 1.0, section 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_values_supported: Option<Vec<String>>,
    /// How proofs of possession may be signed (RFC 9449, section 5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// Whether authorization responses carry `iss` (RFC 9207).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_response_iss_parameter_supported: Option<bool>,
    /// Whether authorization requests must be pushed first (RFC 9126, section 5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pushed_authorization_requests: Option<bool>,
    /// Whether the server takes signed requests (OpenID Connect Discovery 1.0, section 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_parameter_supported: Option<bool>,
    /// Whether the server fetches signed requests; true unless it says otherwise (OpenID Connect
    /// Discovery 1.0, section 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uri_parameter_supported: Option<bool>,
    /// Whether the confirmation page shows what a device says of itself in `countersign_host` and
    /// `countersign_command`. No RFC has this; servers that do not say so are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countersign_requester_supported: Option<bool>,
}

impl Metadata {
    /// A document that names the issuer and nothing else: the start for a server that publishes one,
    /// and for a client whose server publishes none and whose endpoints are configured.
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            authorization_endpoint: None,
            token_endpoint: None,
            device_authorization_endpoint: None,
            jwks_uri: None,
            userinfo_endpoint: None,
            revocation_endpoint: None,
            introspection_endpoint: None,
            end_session_endpoint: None,
            pushed_authorization_request_endpoint: None,
            scopes_supported: None,
            response_types_supported: None,
            response_modes_supported: None,
            grant_types_supported: None,
            subject_types_supported: None,
            id_token_signing_alg_values_supported: None,
            token_endpoint_auth_methods_supported: None,
            revocation_endpoint_auth_methods_supported: None,
            introspection_endpoint_auth_methods_supported: None,
            token_endpoint_auth_signing_alg_values_supported: None,
            code_challenge_methods_supported: None,
            claims_supported: None,
            acr_values_supported: None,
            prompt_values_supported: None,
            dpop_signing_alg_values_supported: None,
            authorization_response_iss_parameter_supported: None,
            require_pushed_authorization_requests: None,
            request_parameter_supported: None,
            request_uri_parameter_supported: None,
            countersign_requester_supported: None,
        }
    }

    /// Reads a document and checks that it belongs to `issuer`.
    ///
    /// # Errors
    /// [`Error::PeerMisbehaved`], with [`PeerMisbehaved::IssuerMismatch`] if the document's issuer is not
    /// the same string (RFC 8414, section 3.3).
    pub fn from_json(json: &[u8], issuer: &Issuer) -> Result<Self, Error> {
        let endpoint = Endpoint::Discovery;
        let members = answer::json(json).map_err(|what| Error::peer(endpoint, what))?;
        Self::from_object(&Object::new(endpoint, members), issuer)
    }

    pub(crate) fn from_object(object: &Object, issuer: &Issuer) -> Result<Self, Error> {
        let received = object.required_str("issuer")?;
        if received != issuer.as_str() {
            return Err(object.fail(PeerMisbehaved::IssuerMismatch {
                expected: issuer.to_string(),
                received: crate::text::printable(received),
            }));
        }
        Ok(Self {
            issuer: issuer.clone(),
            authorization_endpoint: object.url("authorization_endpoint", issuer)?,
            token_endpoint: object.url("token_endpoint", issuer)?,
            device_authorization_endpoint: object.url("device_authorization_endpoint", issuer)?,
            jwks_uri: object.url("jwks_uri", issuer)?,
            userinfo_endpoint: object.url("userinfo_endpoint", issuer)?,
            revocation_endpoint: object.url("revocation_endpoint", issuer)?,
            introspection_endpoint: object.url("introspection_endpoint", issuer)?,
            end_session_endpoint: object.url("end_session_endpoint", issuer)?,
            pushed_authorization_request_endpoint: object
                .url("pushed_authorization_request_endpoint", issuer)?,
            scopes_supported: object.list("scopes_supported"),
            response_types_supported: object.list("response_types_supported"),
            response_modes_supported: object.list("response_modes_supported"),
            grant_types_supported: object.list("grant_types_supported"),
            subject_types_supported: object.list("subject_types_supported"),
            id_token_signing_alg_values_supported: object
                .list("id_token_signing_alg_values_supported"),
            token_endpoint_auth_methods_supported: object
                .list("token_endpoint_auth_methods_supported"),
            revocation_endpoint_auth_methods_supported: object
                .list("revocation_endpoint_auth_methods_supported"),
            introspection_endpoint_auth_methods_supported: object
                .list("introspection_endpoint_auth_methods_supported"),
            token_endpoint_auth_signing_alg_values_supported: object
                .list("token_endpoint_auth_signing_alg_values_supported"),
            code_challenge_methods_supported: object.list("code_challenge_methods_supported"),
            claims_supported: object.list("claims_supported"),
            acr_values_supported: object.list("acr_values_supported"),
            prompt_values_supported: object.list("prompt_values_supported"),
            dpop_signing_alg_values_supported: object.list("dpop_signing_alg_values_supported"),
            authorization_response_iss_parameter_supported: object
                .boolean("authorization_response_iss_parameter_supported")?,
            require_pushed_authorization_requests: object
                .boolean("require_pushed_authorization_requests")?,
            request_parameter_supported: object.boolean("request_parameter_supported")?,
            request_uri_parameter_supported: object.boolean("request_uri_parameter_supported")?,
            countersign_requester_supported: object.boolean("countersign_requester_supported")?,
        })
    }

    /// The address of `endpoint`.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server does not name it.
    pub fn endpoint(&self, endpoint: Endpoint) -> Result<&Url, Error> {
        match endpoint {
            Endpoint::Discovery => Some(self.issuer.as_url()),
            Endpoint::Keys => self.jwks_uri.as_ref(),
            Endpoint::DeviceAuthorization => self.device_authorization_endpoint.as_ref(),
            Endpoint::Token => self.token_endpoint.as_ref(),
            Endpoint::UserInfo => self.userinfo_endpoint.as_ref(),
            Endpoint::Revocation => self.revocation_endpoint.as_ref(),
            Endpoint::Introspection => self.introspection_endpoint.as_ref(),
            Endpoint::Authorization => self.authorization_endpoint.as_ref(),
            Endpoint::PushedAuthorization => self.pushed_authorization_request_endpoint.as_ref(),
            Endpoint::EndSession => self.end_session_endpoint.as_ref(),
        }
        .ok_or(Error::EndpointMissing(endpoint))
    }

    /// Fills what is missing here from `other`, another document of the same issuer.
    pub(crate) fn merge(&mut self, other: Self) {
        macro_rules! fill {
            ($($field:ident),* $(,)?) => { $( self.$field = self.$field.take().or(other.$field); )* };
        }
        fill!(
            authorization_endpoint,
            token_endpoint,
            device_authorization_endpoint,
            jwks_uri,
            userinfo_endpoint,
            revocation_endpoint,
            introspection_endpoint,
            end_session_endpoint,
            pushed_authorization_request_endpoint,
            scopes_supported,
            response_types_supported,
            response_modes_supported,
            grant_types_supported,
            subject_types_supported,
            id_token_signing_alg_values_supported,
            token_endpoint_auth_methods_supported,
            revocation_endpoint_auth_methods_supported,
            introspection_endpoint_auth_methods_supported,
            token_endpoint_auth_signing_alg_values_supported,
            code_challenge_methods_supported,
            claims_supported,
            acr_values_supported,
            prompt_values_supported,
            dpop_signing_alg_values_supported,
            authorization_response_iss_parameter_supported,
            require_pushed_authorization_requests,
            request_parameter_supported,
            request_uri_parameter_supported,
            countersign_requester_supported,
        );
    }
}

/// Reads a document that this type wrote, as from a cache: it is checked as if a server had sent it,
/// against the issuer it names. Whose metadata it should be is for the reader to compare.
impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let document = serde_json::Value::deserialize(deserializer)?;
        let issuer = document
            .get("issuer")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        let issuer = Issuer::parse(issuer).map_err(D::Error::custom)?;
        Self::from_json(document.to_string().as_bytes(), &issuer).map_err(|error| match error {
            Error::PeerMisbehaved { what, .. } => D::Error::custom(what),
            other => D::Error::custom(other),
        })
    }
}

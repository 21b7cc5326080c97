//! What can go wrong outside a request: while a validator is set up, and while
//! the issuer's keys are fetched.
//!
//! What a request did wrong is a [`Rejection`](crate::Rejection).

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use countersign_oauth::{Error as OAuthError, InvalidIssuer, InvalidScope};
use countersign_otp::validation::ConfigProblem;

/// Why a validator could not be built, or keys not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The issuer is not an issuer identifier (RFC 8414, section 2).
    #[error("the issuer cannot be used")]
    Issuer(#[source] InvalidIssuer),

    /// No audience was configured, or an empty one. Without it, a token meant
    /// for any other API would be accepted here.
    #[error("no audience is configured")]
    NoAudience,

    /// A required scope is not a scope token (RFC 6749, section 3.3).
    #[error("the required scope cannot be used")]
    Scope(#[source] InvalidScope),

    /// No signature algorithm is left.
    #[error("no signature algorithm is allowed")]
    NoAlgorithm,

    /// The same issuer is trusted twice. Which of the two sets of rules a token
    /// had to satisfy would be a guess.
    #[error("the issuer {0} is trusted twice")]
    IssuerTwice(String),

    /// An authentication context class cannot stand in a challenge (RFC 9470,
    /// section 3).
    #[error("{0:?} cannot be asked for as an acr value")]
    Acr(String),

    /// A sign-in may be older than a year.
    #[error("a max_age of {0} seconds is longer than a year")]
    MaxAge(u64),

    /// The address of the resource metadata is not one (RFC 9728, section 3).
    #[error("{0:?} cannot be the address of resource metadata")]
    ResourceMetadata(String),

    /// The identifier of this API is not a URL that can have metadata (RFC 9728,
    /// section 1.2).
    #[error("{0:?} cannot be the identifier of a resource")]
    Resource(String),

    /// The leeway is longer than the five minutes that any clock needs.
    #[error("a leeway of {0} seconds is more than the 300 that are allowed")]
    Leeway(u64),

    /// An added CA certificate cannot be used.
    #[error("the added CA certificate cannot be used")]
    CaCertificate(#[source] Box<dyn StdError + Send + Sync>),

    /// The TLS library refused its configuration.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn StdError + Send + Sync>),

    /// The issuer's metadata or keys could not be fetched or read.
    #[error("the issuer's keys could not be fetched")]
    Fetch(#[source] OAuthError),

    /// The issuer's key set holds no key that can verify a token.
    #[error("the issuer's key set holds no usable key")]
    NoUsableKey,

    /// The origin under which proofs are made is no `http` or `https` URL.
    #[error("the origin {0:?} cannot be used")]
    Origin(String),

    /// The header for client certificates, or a network that it is taken from,
    /// cannot be used.
    #[error("client certificates cannot be taken from a header: {0}")]
    CertificateHeader(String),

    /// The address of the shared state is none.
    #[error("the address of the shared state cannot be used: {0}")]
    StateAddress(&'static str),

    /// This machine gives no random values.
    #[error("there are no random values")]
    Random(#[source] Box<dyn StdError + Send + Sync>),

    /// A one-time password cannot be asked for like this.
    #[error("a one-time password cannot be asked for: {0}")]
    StepUp(String),

    /// More than one issuer is to be asked about opaque tokens, and they do not
    /// say whose they are.
    #[error("two issuers cannot both be asked about tokens")]
    IntrospectionTwice,

    /// The address to ask at is none that the issuer may have.
    #[error("the introspection endpoint must be an https URL")]
    IntrospectionEndpoint,

    /// The key that this API authenticates with at the issuer cannot be used.
    #[error("the client's key cannot be used")]
    ClientKey(#[source] Box<dyn StdError + Send + Sync>),

    /// The issuer could not be asked about a token, or did not say.
    #[error("the issuer did not say whether the token is good")]
    Introspection(#[source] OAuthError),

    /// A load balancer is not described well enough to be trusted.
    #[error("the load balancer cannot be used: {0}")]
    LoadBalancer(String),

    /// The validation servers cannot be used.
    #[error("the validation servers cannot be used")]
    ValidationServers(#[source] Box<dyn StdError + Send + Sync>),

    /// A file of records cannot be used.
    #[error("the file {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The file of the issuer's last good keys cannot be used or written. Keys
    /// are fetched all the same; only a start without the issuer fails.
    #[error("the file of the issuer's keys cannot be used")]
    KeyFile(#[source] io::Error),
}

impl Error {
    pub(crate) fn validation(problem: ConfigProblem) -> Self {
        Self::ValidationServers(problem.into())
    }

    /// A stable name for this kind of error, for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Issuer(_) => "invalid_issuer",
            Self::NoAudience => "audience_missing",
            Self::Scope(_) => "invalid_scope",
            Self::NoAlgorithm => "algorithm_missing",
            Self::IssuerTwice(_) => "issuer_twice",
            Self::Acr(_) => "invalid_acr",
            Self::MaxAge(_) => "max_age_too_long",
            Self::ResourceMetadata(_) => "invalid_resource_metadata",
            Self::Resource(_) => "invalid_resource",
            Self::Leeway(_) => "leeway_too_long",
            Self::CaCertificate(_) => "ca_certificate_unusable",
            Self::Tls(_) => "tls_configuration",
            Self::NoUsableKey => "no_usable_key",
            Self::Origin(_) => "invalid_origin",
            Self::CertificateHeader(_) => "certificate_header_unusable",
            Self::ValidationServers(_) => "validation_servers_unusable",
            Self::File { .. } => "file_unusable",
            Self::Random(_) => "no_random_values",
            Self::StepUp(_) => "step_up_unusable",
            Self::IntrospectionTwice => "introspection_twice",
            Self::IntrospectionEndpoint => "introspection_endpoint_unusable",
            Self::ClientKey(_) => "client_key_unusable",
            Self::Fetch(error) | Self::Introspection(error) => error.code(),
            Self::LoadBalancer(_) => "load_balancer_unusable",
            Self::KeyFile(_) => "key_file_unusable",
            Self::StateAddress(_) => "invalid_state_address",
        }
    }

    /// What somebody could do about it, one sentence each; often nothing.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoAudience => vec![
                "set the identifier that this API has at its authorization server, often its URL"
                    .to_owned(),
            ],
            Self::CaCertificate(_) => {
                vec!["the file must be PEM: -----BEGIN CERTIFICATE-----".to_owned()]
            }
            Self::Fetch(error) | Self::Introspection(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

//! The file as it is written: tables, keys and their types. Every key is named here, and no other is
//! taken.
//!
//! Not responsible for what the values mean together; that is `check`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use countersign_console::settings::{Bytes, OneOrMany, Span};
use countersign_resource::policy::PolicyBuilder;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) listen: Listen,
    pub(super) tls: Option<Tls>,
    #[serde(default)]
    pub(super) forward_auth: Vec<Spanned<ForwardAuth>>,
    #[serde(default)]
    pub(super) issuer: Vec<Spanned<Issuer>>,
    #[serde(default)]
    pub(super) upstream: Vec<Spanned<Upstream>>,
    #[serde(default)]
    pub(super) route: Vec<Spanned<Route>>,
    #[serde(default)]
    pub(super) policy: BTreeMap<String, Spanned<PolicyBuilder>>,
    #[serde(default)]
    pub(super) dpop: Dpop,
    pub(super) sign_in: Option<Spanned<SignIn>>,
    pub(super) state: Option<Spanned<State>>,
    pub(super) otp: Option<Spanned<OtpService>>,
    pub(super) step_up: Option<Spanned<StepUp>>,
    #[serde(default)]
    pub(super) resource: Resources,
    pub(super) client_certificate: Option<Spanned<ClientCertificate>>,
    pub(super) aws_load_balancer: Option<Spanned<AwsLoadBalancer>>,
    #[serde(default)]
    pub(super) challenge: Challenge,
    #[serde(default)]
    pub(super) identity: Identity,
    #[serde(default)]
    pub(super) limits: Limits,
    pub(super) audit: Option<Audit>,
    #[serde(default)]
    pub(super) forwarded: Forwarded,
    #[serde(default)]
    pub(super) metrics: Metrics,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) address: Option<Spanned<OneOrMany>>,
    /// The origins by which callers know the gateway.
    pub(super) origin: Option<Spanned<OneOrMany>>,
    /// `/healthz`, `/readyz`, `/metrics` and the identity keys.
    pub(super) admin: Option<Spanned<String>>,
    pub(super) workers: Option<Spanned<usize>>,
    #[serde(default)]
    pub(super) h2c: bool,
    pub(super) drain: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificates: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

/// What another proxy is, that asks about its requests.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Preset {
    Nginx,
    Traefik,
    Caddy,
    Envoy,
    EnvoyGrpc,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForwardAuth {
    pub(super) preset: Preset,
    pub(super) address: String,
    /// Who may connect to the unix socket, in octal digits.
    pub(super) mode: Option<String>,
    #[serde(default)]
    pub(super) trust: Vec<String>,
    pub(super) tls: Option<Tls>,
    pub(super) origin: Option<Spanned<OneOrMany>>,
    pub(super) audience: Option<String>,
    pub(super) method_header: Option<String>,
    pub(super) uri_header: Option<String>,
    pub(super) host_header: Option<String>,
    pub(super) client_header: Option<String>,
    /// Whether Envoy hands bodies over, by `with_request_body`.
    #[serde(default)]
    pub(super) body: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) audience: OneOrMany,
    pub(super) profile: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) longest_staleness: Option<Span>,
    /// Where the last good keys are kept over a restart.
    pub(super) keep_keys: Option<PathBuf>,
    pub(super) introspection: Option<Introspection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Introspection {
    pub(super) client_id: String,
    pub(super) secret_file: PathBuf,
    pub(super) endpoint: Option<String>,
    pub(super) horizon: Option<Span>,
    #[serde(default)]
    pub(super) jwt_too: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dpop {
    #[serde(default)]
    pub(super) require_nonce: bool,
    pub(super) nonce_key_file: Option<PathBuf>,
}

/// `[resource]`, which is everything behind the gateway, or `[[resource]]`, each a part of it.
#[derive(Debug, Default)]
pub(super) enum Resources {
    #[default]
    None,
    Whole(Box<Resource>),
    Parts(Vec<Spanned<Resource>>),
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Resources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[resource], or several [[resource]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Resources, A::Error> {
                let whole = Resource::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Resources::Whole(Box::new(whole)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Resources, A::Error> {
                let parts = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(Resources::Parts(parts))
            }
        }

        from.deserialize_any(Reader)
    }
}

/// What services behind are called, for those who do not know them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    pub(super) url: Spanned<String>,
    pub(super) name: Option<String>,
    pub(super) documentation: Option<url::Url>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CertificateForm {
    EscapedPem,
    Rfc9440,
}

/// A header in which a proxy in front says who its TLS client is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientCertificate {
    pub(super) header: String,
    pub(super) form: CertificateForm,
    pub(super) trust: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AwsLoadBalancer {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) signer: OneOrMany,
    pub(super) trust: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) secret_file: Option<PathBuf>,
    /// The key of `private_key_jwt`, and what the issuer calls it.
    pub(super) client_key_file: Option<PathBuf>,
    pub(super) client_key_id: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    pub(super) audience: Option<String>,
    pub(super) resource: Option<String>,
    /// Where our own endpoints are.
    pub(super) prefix: Option<String>,
    /// The first seals, all of them open.
    pub(super) cookie_key_file: OneOrMany,
    pub(super) cookie_name: Option<String>,
    pub(super) idle: Option<Span>,
    pub(super) longest: Option<Span>,
    pub(super) after_sign_out: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) url: Option<String>,
    pub(super) user: Option<String>,
    pub(super) database: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) tls: bool,
    pub(super) time: Option<Span>,
    #[serde(default)]
    pub(super) danger_allow_without: bool,
}

/// One-time passwords.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtpService {
    /// A file, or `shared`.
    pub(super) registry: PathBuf,
    /// The first seals, all of them open.
    pub(super) key_file: OneOrMany,
    pub(super) failures: Option<u32>,
    pub(super) window: Option<Span>,
    pub(super) validation: Option<Validation>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Validation {
    pub(super) client_id: String,
    pub(super) api_key_file: PathBuf,
    pub(super) server: OneOrMany,
    pub(super) time: Option<Span>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) danger_without_counters: bool,
}

/// How requests are confirmed by one-time passwords, whichever route asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepUp {
    /// The first seals, all of them open.
    pub(super) key_file: Option<OneOrMany>,
    pub(super) realm: Option<String>,
    pub(super) life: Option<Span>,
}

/// The methods of one-time passwords by their names on the wire.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum OtpMethod {
    Yubikey,
    Totp,
}

/// What a route asks of a person beside a good token.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteStepUp {
    pub(super) acr: Option<Vec<String>>,
    pub(super) max_age: Option<Span>,
    pub(super) otp: Option<Vec<OtpMethod>>,
    /// `request`, or a length of time.
    pub(super) per: Option<String>,
    pub(super) action: Option<String>,
    pub(super) body_limit: Option<Bytes>,
    #[serde(default)]
    pub(super) danger_unbound_body: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Challenge {
    pub(super) realm: Option<String>,
    pub(super) resource_metadata: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    /// HTTP/1.1, or what ALPN chooses over TLS.
    #[default]
    Auto,
    Http1,
    Http2,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Host {
    #[default]
    Caller,
    Upstream,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) address: OneOrMany,
    #[serde(default)]
    pub(super) protocol: Protocol,
    #[serde(default)]
    pub(super) host: Host,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) audience: Option<String>,
    pub(super) connect_time: Option<Span>,
    pub(super) answer_time: Option<Span>,
    pub(super) idle_time: Option<Span>,
    pub(super) total_time: Option<Span>,
    pub(super) keep: Option<usize>,
    pub(super) keep_time: Option<Span>,
    pub(super) health: Option<Health>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    pub(super) path: String,
    pub(super) interval: Option<Span>,
}

#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Pass {
    Assertion,
    Headers,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub(super) struct Route {
    pub(super) name: Option<String>,
    pub(super) path: String,
    pub(super) methods: Option<Vec<String>>,
    /// None when another proxy has it, and asks by forward-auth.
    pub(super) upstream: Option<String>,
    #[serde(default)]
    pub(super) public: bool,
    /// Whether people at a browser are sent to sign in.
    #[serde(default)]
    pub(super) sign_in: bool,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) issuers: Option<Vec<String>>,
    pub(super) acr: Option<Vec<String>>,
    pub(super) max_age: Option<Span>,
    pub(super) step_up: Option<RouteStepUp>,
    #[serde(default)]
    pub(super) sender_constrained: bool,
    pub(super) policy: Option<String>,
    pub(super) identity: Option<Vec<Pass>>,
    #[serde(default)]
    pub(super) forward_token: bool,
    #[serde(default)]
    pub(super) websocket: bool,
    pub(super) max_body: Option<Bytes>,
    pub(super) body_rate: Option<Bytes>,
    pub(super) total_time: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) key_file: Option<PathBuf>,
    pub(super) lifetime: Option<Span>,
    pub(super) header: Option<String>,
    pub(super) prefix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) connections: Option<usize>,
    pub(super) handshake_time: Option<Span>,
    pub(super) head_time: Option<Span>,
    pub(super) head_bytes: Option<Bytes>,
    pub(super) headers: Option<usize>,
    pub(super) body: Option<Bytes>,
    pub(super) body_idle_time: Option<Span>,
    /// Bytes in a second.
    pub(super) body_rate: Option<Bytes>,
    pub(super) streams: Option<u32>,
    pub(super) leeway: Option<Span>,
    pub(super) token_cache: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) file: Option<PathBuf>,
    #[serde(default)]
    pub(super) stdout: bool,
    #[serde(default)]
    pub(super) query: bool,
    #[serde(default)]
    pub(super) danger_lossy: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forwarded {
    #[serde(default)]
    pub(super) trust: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    #[serde(default = "yes")]
    pub(super) routes: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { routes: true }
    }
}

fn yes() -> bool {
    true
}

//! The configuration: one TOML file, read, checked as a whole, and only then used.
//!
//! A file counts entirely or not at all. Unknown keys are errors with their line and the key that was
//! probably meant. Secrets stand in files of their own, which the configuration names.
//!
//! Not responsible for doing any of it: what is here holds no socket, key or cache.

mod check;
mod explain;
mod file;
mod otp;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_console::Problem;
use countersign_console::settings::Source;
use countersign_oauth::ScopeSet;
use countersign_resource::policy::Policy;
use countersign_resource::step_up;
use countersign_resource::{CertificateForm, Network, TokenProfile};
use http::uri::Authority;
use http::{HeaderName, Method};
use url::Url;

pub use explain::explain;
pub(crate) use explain::sentence;
pub(crate) use otp::{Otp, Registry, Validation};

use crate::route::{Pattern, Table};

/// A file far beyond what a person writes is not read into memory.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    pub(crate) listen: Listen,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) forward_auth: Vec<ForwardAuth>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) routes: Vec<Route>,
    pub(crate) table: Table,
    pub(crate) identity: Identity,
    pub(crate) dpop: Dpop,
    pub(crate) sign_in: Option<SignIn>,
    pub(crate) state: State,
    pub(crate) otp: Option<Otp>,
    pub(crate) step_up: StepUp,
    pub(crate) resources: Vec<Resource>,
    pub(crate) client_certificate: Option<ClientCertificate>,
    pub(crate) aws_load_balancer: Option<AwsLoadBalancer>,
    pub(crate) challenge: Challenge,
    pub(crate) limits: Limits,
    pub(crate) audit: Option<Audit>,
    pub(crate) trust: Vec<Network>,
    pub(crate) metrics: Metrics,
    /// What is allowed and may still not be meant.
    pub(crate) warnings: Vec<String>,
}

/// Where callers come in. Fixed for the life of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) workers: usize,
    /// Whether HTTP/2 without TLS is taken from those who begin with it.
    pub(crate) h2c: bool,
    /// How long running requests have at the end.
    pub(crate) drain: Duration,
    /// The names by which callers know the gateway; the first is its own name.
    pub(crate) origins: Vec<Origin>,
}

/// Scheme, host and port as callers write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) url: Url,
    /// Host and port as they stand in `Host`: without the port of the scheme.
    pub(crate) authority: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
}

/// How another proxy asks about requests that it has, and what it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForwardAuth {
    pub(crate) preset: Preset,
    pub(crate) place: Place,
    /// Who is believed, by address; nobody when there is none, but for what `tls` and a unix socket
    /// say.
    pub(crate) trust: Vec<Network>,
    /// With `client_ca`, only who shows a certificate of it is believed.
    pub(crate) tls: Option<TlsFiles>,
    /// The names by which callers know the proxy.
    pub(crate) origins: Vec<Origin>,
    /// `aud` of assertions for routes that have no upstream.
    pub(crate) audience: String,
    pub(crate) asked: Asked,
    /// Whether it hands the bodies of requests over.
    pub(crate) body: bool,
    /// Where it stands in the file.
    pub(crate) line: usize,
}

/// What another proxy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    Nginx,
    Traefik,
    Caddy,
    Envoy,
    EnvoyGrpc,
}

/// Where another proxy asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    /// A socket in the file system, and who may connect to it.
    Unix(PathBuf, u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path, _) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where the request stands that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// In these headers.
    Headers {
        method: HeaderName,
        uri: HeaderName,
        host: HeaderName,
        client: HeaderName,
    },
    /// It is the request itself, without its body; the address of the caller may be in a header.
    Request { client: Option<HeaderName> },
    /// In the message of a call by gRPC.
    Message,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) profile: TokenProfile,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) longest_staleness: Option<Duration>,
    pub(crate) keep_keys: Option<PathBuf>,
    pub(crate) introspection: Option<Introspection>,
}

/// How an issuer is asked about tokens (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Introspection {
    pub(crate) client_id: String,
    pub(crate) secret_file: PathBuf,
    pub(crate) endpoint: Option<String>,
    pub(crate) horizon: Option<Duration>,
    /// Whether tokens are asked about that could be verified without.
    pub(crate) jwt_too: bool,
}

/// How proofs of possession are taken (RFC 9449).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dpop {
    pub(crate) require_nonce: bool,
    pub(crate) nonce_key_file: Option<PathBuf>,
}

/// What the services behind are called together (RFC 9728).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) url: String,
    /// None when it is everything behind the gateway.
    pub(crate) part: Option<Part>,
    pub(crate) name: Option<String>,
    pub(crate) documentation: Option<Url>,
    pub(crate) scopes: Vec<String>,
}

/// The addresses that are a resource of their own: these routes take only tokens that name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) url: Url,
    /// Without a slash at its end; empty for all of the origin.
    pub(crate) path: String,
    /// Numbers of the issuers that give tokens to it.
    pub(crate) issuers: Vec<usize>,
}

impl Part {
    /// Whether a path, in its one form, is this one or beneath it.
    pub(crate) fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A header in which a proxy in front says who its TLS client is, and from where it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    pub(crate) header: String,
    pub(crate) form: CertificateForm,
    pub(crate) trust: Vec<Network>,
}

/// A load balancer of AWS that signs people in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsLoadBalancer {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) signers: Vec<String>,
    pub(crate) trust: Vec<Network>,
}

/// How people at a browser sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignIn {
    /// Number among the issuers.
    pub(crate) issuer: usize,
    pub(crate) client_id: String,
    pub(crate) proof: ClientProof,
    pub(crate) scopes: ScopeSet,
    pub(crate) audience: Option<String>,
    pub(crate) resource: Option<String>,
    /// What the paths of our own endpoints begin with; it begins and ends with a slash.
    pub(crate) prefix: String,
    /// The first seals, all of them open.
    pub(crate) cookie_key_files: Vec<PathBuf>,
    pub(crate) cookie_name: String,
    /// How long a session lasts that nobody uses, and any.
    pub(crate) idle: Duration,
    pub(crate) longest: Duration,
    /// A path; none is a page of ours.
    pub(crate) after_sign_out: Option<String>,
}

/// How we prove to an issuer who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientProof {
    None,
    Secret(PathBuf),
    Key { file: PathBuf, id: Option<String> },
}

/// Where it is kept which proofs were used and what was revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// None is the memory of this process.
    pub(crate) shared: Option<SharedState>,
    /// Whether requests pass while it cannot be asked.
    pub(crate) danger_allow_without: bool,
}

/// How requests are confirmed by one-time passwords, whichever route asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StepUp {
    /// The first seals, all of them open; none is a key of this process alone.
    pub(crate) key_files: Vec<PathBuf>,
    /// The name that challenges are of; the gateway's own one when there is none.
    pub(crate) realm: Option<String>,
}

/// A database that several replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedState {
    pub(crate) url: String,
    pub(crate) kind: StateKind,
    pub(crate) user: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) tls: bool,
    pub(crate) time: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateKind {
    Redis,
    Postgres,
}

/// What a challenge says beside the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) realm: Option<String>,
    pub(crate) resource_metadata: Option<String>,
}

/// The policies of the file by their names.
pub(crate) type Policies = BTreeMap<String, Arc<Policy>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// What ALPN chooses; only over TLS.
    Negotiated,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub(crate) name: Arc<str>,
    pub(crate) targets: Vec<Target>,
    pub(crate) protocol: Protocol,
    pub(crate) host: HostHeader,
    pub(crate) ca_file: Option<PathBuf>,
    /// `aud` of the assertions for it.
    pub(crate) audience: String,
    pub(crate) connect_time: Duration,
    pub(crate) answer_time: Duration,
    pub(crate) idle_time: Duration,
    pub(crate) total_time: Option<Duration>,
    pub(crate) keep: usize,
    pub(crate) keep_time: Duration,
    pub(crate) health: Option<Health>,
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: Authority,
}

/// What the upstream sees in `Host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostHeader {
    /// What the caller wrote; it has been compared with the origins.
    Caller,
    /// The upstream's own address.
    Upstream,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) path: String,
    pub(crate) interval: Duration,
}

/// A rule: who may make which requests, and who answers them.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) pattern: Pattern,
    /// None means any.
    pub(crate) methods: Vec<Method>,
    pub(crate) access: Access,
    /// Number among the upstreams; none when another proxy has it, and asks by forward-auth.
    pub(crate) upstream: Option<usize>,
    pub(crate) pass: Pass,
    pub(crate) websocket: bool,
    /// What a person has to confirm each request by.
    pub(crate) confirm: Option<Confirm>,
    /// Whether people at a browser are sent to sign in.
    pub(crate) sign_in: bool,
    pub(crate) max_body: Option<u64>,
    pub(crate) body_rate: Option<u64>,
    pub(crate) total_time: Option<Duration>,
    /// Where the rule stands in the file.
    pub(crate) line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Access {
    /// Anybody, with or without a token; nothing is checked.
    Public,
    /// Whoever has a good token that satisfies this.
    Token(Wanted),
}

/// What a route asks of a token beyond being good.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) scopes: Vec<String>,
    /// Numbers among the issuers; none means any of them.
    pub(crate) issuers: Vec<usize>,
    pub(crate) acr: Vec<String>,
    pub(crate) max_age: Option<Duration>,
    /// Whether a token counts that anybody who finds it could use.
    pub(crate) sender_constrained: bool,
    /// A policy of the file, and its name.
    pub(crate) policy: Option<(String, Arc<Policy>)>,
}

/// A one-time password that a route asks for.
#[derive(Debug, Clone)]
pub(crate) struct Confirm {
    pub(crate) asked: step_up::StepUp,
    /// Whether a password counts for a request whose body nobody here sees.
    pub(crate) danger_unbound_body: bool,
}

/// What an upstream learns of the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) assertion: bool,
    pub(crate) headers: bool,
    pub(crate) token: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) lifetime: Duration,
    /// The header of the assertion.
    pub(crate) header: HeaderName,
    /// What the plain headers begin with.
    pub(crate) prefix: String,
    /// The plain headers.
    pub(crate) plain: PlainNames,
}

/// The names of the headers that tell who calls, one fact each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainNames {
    pub(crate) subject: HeaderName,
    pub(crate) issuer: HeaderName,
    pub(crate) client_id: HeaderName,
    pub(crate) scope: HeaderName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) handshake_time: Duration,
    pub(crate) head_time: Duration,
    pub(crate) head_bytes: usize,
    pub(crate) headers: usize,
    pub(crate) body: u64,
    pub(crate) body_idle_time: Duration,
    /// How many bytes of a body have to come in a second, on the whole; any for 0.
    pub(crate) body_rate: u64,
    pub(crate) streams: u32,
    /// How far the clocks of issuers may be from ours.
    pub(crate) leeway: Duration,
    /// How many bytes verified tokens may take.
    pub(crate) token_cache: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    /// None is stdout.
    pub(crate) file: Option<PathBuf>,
    pub(crate) query: bool,
    /// Whether requests pass that could not be written down.
    pub(crate) danger_lossy: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metrics {
    /// Whether requests are counted for each route.
    pub(crate) routes: bool,
}

impl Config {
    /// Reads and checks a file. Paths in it are taken from its own directory.
    ///
    /// # Errors
    ///
    /// What is wrong with it, where, and what to write instead.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let unreadable = |error| Problem::unreadable(path, &error);
        let file = File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(MAX_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(Problem::new(format!("{} is too long", path.display())));
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, &path.display().to_string(), directory)
    }

    /// Checks the text of a file; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn parse(text: &str, name: &str, directory: &Path) -> Result<Self, Problem> {
        let source = Source::new(text, name);
        let file = source.read("countersign-gateway check --help")?;
        check::Check::new(source, directory).run(file)
    }

    /// The other files that it is made of, certificates and keys.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let forward = self.forward_auth.iter().filter_map(|one| one.tls.as_ref());
        let tls = self.tls.iter().chain(forward).flat_map(|tls| {
            [
                Some(&tls.certificates),
                Some(&tls.key),
                tls.client_ca.as_ref(),
            ]
        });
        let cookies = self.sign_in.iter().flat_map(|it| &it.cookie_key_files);
        let seals = self.otp.iter().flat_map(|otp| &otp.key_files);
        tls.flatten()
            .chain(cookies)
            .chain(seals)
            .chain(&self.step_up.key_files)
            .map(PathBuf::as_path)
    }

    /// What is allowed and may still not be meant: public routes, overlaps, what is not used.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;

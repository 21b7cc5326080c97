//! A configuration at work: validators, upstreams and keys that were made of it.
//!
//! It never changes. A reload makes another one, which takes over whatever is the same in both: the
//! keys of an issuer, the connections to an upstream, the counters of a route.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use countersign_console::Problem;
use countersign_jose::{base64url, crypto};
use countersign_resource::otp::OtpService;
use countersign_resource::step_up::Confirmer;
use countersign_resource::{
    Advice, CertificateHeader, Demands, DpopPolicy, IntrospectionPolicy, LoadBalancer,
    ResourceMetadata, Trust, Validator,
};
use http::HeaderValue;
use url::Url;

use crate::audit::Audit;
use crate::browser::SignIn;
use crate::config::{Access, Config, Dpop, Introspection, Issuer, Resource, Route};
use crate::identity::{Signer, check_private};
use crate::metrics::{Metrics, RouteCounts};
use crate::otp;
use crate::proxy::Upstream;
use crate::route::Table;
use crate::state::Memory;

/// The configuration in use.
#[derive(Debug)]
pub(crate) struct Live {
    config: Config,
    validator: Option<Validator>,
    memory: Memory,
    otp: Option<OtpService>,
    published: Vec<Published>,
    rules: Vec<Rule>,
    upstreams: Vec<Arc<Upstream>>,
    signer: Arc<Signer>,
    sign_in: Option<SignIn>,
    confirmer: Option<Confirmer>,
    /// Seals challenges where no file has a key, and outlives the configuration.
    own_key: [u8; 32],
    audit: Option<Arc<Audit>>,
    /// `Host` values that are ours, as bytes to compare with.
    hosts: Vec<HeaderValue>,
    own_name: String,
}

/// A resource that everybody may know of (RFC 9728).
#[derive(Debug)]
pub(crate) struct Published {
    resource: Resource,
    metadata: ResourceMetadata,
    advice: Advice,
}

impl Published {
    /// What tokens for it have in `aud`.
    pub(crate) fn url(&self) -> &str {
        &self.resource.url
    }

    /// The document about it.
    pub(crate) fn metadata(&self) -> &ResourceMetadata {
        &self.metadata
    }

    fn is_at(&self, origin: Option<&Url>) -> bool {
        let part = self.resource.part.as_ref();
        part.is_none_or(|part| origin.is_some_and(|ours| ours.origin() == part.url.origin()))
    }
}

/// A route, ready to decide.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) route: Route,
    pub(crate) demands: Demands,
    /// None when another proxy has it.
    pub(crate) upstream: Option<Arc<Upstream>>,
    pub(crate) counts: Arc<RouteCounts>,
}

impl Live {
    /// Makes everything that a configuration needs, or says what is missing. Nothing is sent.
    pub(crate) fn new(
        config: Config,
        previous: Option<&Self>,
        metrics: &Metrics,
    ) -> Result<Self, Problem> {
        let memory = match previous {
            Some(previous) if previous.config.state.shared == config.state.shared => {
                previous.memory.clone()
            }
            _ => Memory::new(&config.state)?,
        };
        let validator = match previous {
            Some(previous) if same_validator(&previous.config, &config) => {
                previous.validator.clone()
            }
            _ => validator(&config, &memory)?,
        };
        let otp = match previous {
            Some(previous)
                if previous.config.otp == config.otp
                    && previous.config.state.shared == config.state.shared =>
            {
                previous.otp.clone()
            }
            _ => otp::service(&config, &memory)?,
        };
        let published = match &validator {
            Some(validator) => published(validator, &config)?,
            None => Vec::new(),
        };
        let signer = match previous {
            Some(previous) if previous.config.identity.key_file == config.identity.key_file => {
                Arc::clone(&previous.signer)
            }
            _ => Arc::new(Signer::load(config.identity.key_file.as_deref())?),
        };
        let sign_in = SignIn::new(&config, previous.and_then(Self::sign_in))?;
        let mut upstreams = Vec::new();
        for upstream in &config.upstreams {
            let kept = previous
                .into_iter()
                .flat_map(|previous| &previous.upstreams)
                .find(|kept| kept.spec() == upstream);
            upstreams.push(match kept {
                Some(kept) => Arc::clone(kept),
                None => Arc::new(Upstream::new(upstream.clone(), config.listen.workers)?),
            });
        }
        let mut rules = Vec::new();
        for route in &config.routes {
            rules.push(Rule {
                demands: demands(route)?,
                upstream: route.upstream.and_then(|at| upstreams.get(at)).cloned(),
                counts: metrics.route(&route.name),
                route: route.clone(),
            });
        }
        let audit = match (&config.audit, previous) {
            (None, _) => None,
            (Some(wanted), Some(previous)) if previous.config.audit.as_ref() == Some(wanted) => {
                previous.audit.clone()
            }
            (Some(wanted), _) => Some(Arc::new(Audit::open(wanted)?)),
        };
        let hosts = config
            .listen
            .origins
            .iter()
            .filter_map(|origin| HeaderValue::from_str(&origin.authority).ok())
            .collect();
        let theirs = config.forward_auth.iter().flat_map(|proxy| &proxy.origins);
        let own_name = match config.listen.origins.iter().chain(theirs).next() {
            Some(origin) => origin.url.origin().ascii_serialization(),
            None => "countersign-gateway".to_owned(),
        };
        let own_key = match previous {
            Some(previous) => previous.own_key,
            None => random_key()?,
        };
        let confirmer = match &otp {
            Some(otp) => Some(confirmer(&config, otp, own_key, &own_name)?),
            None => None,
        };
        Ok(Self {
            config,
            validator,
            memory,
            otp,
            published,
            rules,
            upstreams,
            signer,
            sign_in,
            confirmer,
            own_key,
            audit,
            hosts,
            own_name,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn table(&self) -> &Table {
        &self.config.table
    }

    pub(crate) fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    pub(crate) fn validator(&self) -> Option<&Validator> {
        self.validator.as_ref()
    }

    /// The resource whose document is at this address.
    pub(crate) fn published_at(&self, origin: Option<&Url>, path: &str) -> Option<&Published> {
        let mut published = self.published.iter();
        published.find(|it| it.metadata.path() == path && it.is_at(origin))
    }

    /// The part that an address belongs to, if the parts behind the gateway are told apart.
    pub(crate) fn part(&self, origin: Option<&Url>, path: &str) -> Option<&Published> {
        let published = self.published.iter();
        let parts = published.filter_map(|it| Some((it, it.resource.part.as_ref()?)));
        parts
            .filter(|(it, part)| part.holds(path) && it.is_at(origin))
            .max_by_key(|(_, part)| part.path.len())
            .map(|(it, _)| it)
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Who verifies one-time passwords.
    pub(crate) fn otp(&self) -> Option<&OtpService> {
        self.otp.as_ref()
    }

    pub(crate) fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    pub(crate) fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.as_ref()
    }

    /// Whoever has requests confirmed by one-time passwords.
    pub(crate) fn confirmer(&self) -> Option<&Confirmer> {
        self.confirmer.as_ref()
    }

    pub(crate) fn audit(&self) -> Option<&Arc<Audit>> {
        self.audit.as_ref()
    }

    /// The origin that a `Host` value names; our first one for a value that names none.
    pub(crate) fn origin(&self, host: &[u8]) -> Option<&Url> {
        let at = self
            .hosts
            .iter()
            .position(|ours| ours.as_bytes().eq_ignore_ascii_case(host))
            .unwrap_or_default();
        self.config.listen.origins.get(at).map(|origin| &origin.url)
    }

    /// The first origin that callers know, ours or that of a proxy that asks.
    pub(crate) fn first_origin(&self) -> Option<&Url> {
        let theirs = self.config.forward_auth.iter();
        let theirs = theirs.flat_map(|proxy| &proxy.origins);
        let first = self.config.listen.origins.iter().chain(theirs).next();
        first.map(|origin| &origin.url)
    }

    /// What the gateway calls itself in assertions.
    pub(crate) fn own_name(&self) -> &str {
        &self.own_name
    }

    /// Whether a `Host` value is one of ours; any is, when no name is configured.
    pub(crate) fn is_our_host(&self, host: &[u8]) -> bool {
        self.hosts.is_empty()
            || self
                .hosts
                .iter()
                .any(|ours| ours.as_bytes().eq_ignore_ascii_case(host))
    }

    /// What challenges say beside the error, in this part.
    pub(crate) fn advice(&self, part: Option<&Published>) -> Advice {
        match (part, &self.validator) {
            (Some(part), _) => part.advice.clone(),
            (None, Some(validator)) => validator.advice().clone(),
            (None, None) => Advice::none(),
        }
    }
}

/// Whether keys and verified tokens of the one hold for the other.
fn same_validator(one: &Config, other: &Config) -> bool {
    one.issuers == other.issuers
        && one.dpop == other.dpop
        && one.state == other.state
        && one.resources == other.resources
        && one.client_certificate == other.client_certificate
        && one.aws_load_balancer == other.aws_load_balancer
        && one.challenge == other.challenge
        && one.limits.leeway == other.limits.leeway
        && one.limits.token_cache == other.limits.token_cache
}

fn validator(config: &Config, memory: &Memory) -> Result<Option<Validator>, Problem> {
    let Some((first, others)) = config.issuers.split_first() else {
        return Ok(None);
    };
    let unusable = |error: countersign_resource::Error| {
        Problem::new("the issuers cannot be used").because(error)
    };
    let mut advice = Advice::none();
    if let Some(realm) = &config.challenge.realm {
        advice = advice.realm(realm);
    }
    if let Some(url) = &config.challenge.resource_metadata {
        advice = advice.resource_metadata(url).map_err(unusable)?;
    }
    let mut builder = Validator::builder(&first.url)
        .profile(first.profile)
        .advice(advice)
        .dpop(dpop(&config.dpop)?)
        .state(memory.shared())
        .token_cache(config.limits.token_cache)
        .leeway(config.limits.leeway);
    let mut resources = config.resources.iter();
    if let Some(whole) = resources.find(|resource| resource.part.is_none()) {
        builder = builder.resource(&whole.url);
    }
    if let Some(from) = &config.client_certificate {
        let trust = from.trust.iter().map(ToString::to_string);
        let header = CertificateHeader::new(&from.header, from.form, trust).map_err(unusable)?;
        builder = builder.certificate_header(header);
    }
    if let Some(wanted) = &config.aws_load_balancer {
        let mut balancer = LoadBalancer::aws(&wanted.issuer, &wanted.client_id);
        for signer in &wanted.signers {
            balancer = balancer.signer(signer);
        }
        for network in &wanted.trust {
            balancer = balancer.from_network(*network);
        }
        builder = builder.load_balancer(balancer);
    }
    if config.state.danger_allow_without {
        builder = builder.danger_allow_without_state();
    }
    for audience in &first.audiences {
        builder = builder.audience(audience);
    }
    if let Some(staleness) = first.longest_staleness {
        builder = builder.longest_staleness(staleness);
    }
    if let Some(path) = &first.ca_file {
        builder = builder.add_ca_pem(read(path)?);
    }
    if let Some(path) = &first.keep_keys {
        builder = builder.key_file(path);
    }
    if let Some(asked) = &first.introspection {
        builder = builder.introspection(introspection(asked)?);
    }
    for issuer in others {
        builder = builder.trust(trust(issuer)?);
    }
    builder.build().map(Some).map_err(unusable)
}

fn published(validator: &Validator, config: &Config) -> Result<Vec<Published>, Problem> {
    let unusable = |error: countersign_resource::Error| {
        Problem::new("a resource cannot be published").because(error)
    };
    let mut published = Vec::new();
    for wanted in &config.resources {
        let (mut metadata, mut advice) = match (&wanted.part, validator.metadata()) {
            (None, Some(whole)) => (whole.clone(), validator.advice().clone()),
            (None, None) => continue,
            (Some(part), _) => {
                let issuers = part.issuers.iter().filter_map(|at| config.issuers.get(*at));
                let issuers: Vec<&str> = issuers.map(|issuer| &*issuer.url).collect();
                let metadata = validator.metadata_of(&wanted.url, &issuers);
                (metadata.map_err(unusable)?, validator.advice().clone())
            }
        };
        if wanted.part.is_some() {
            advice = advice.resource_metadata(metadata.url()).map_err(unusable)?;
        }
        if let Some(name) = &wanted.name {
            metadata = metadata.resource_name(name);
        }
        if let Some(documentation) = &wanted.documentation {
            metadata = metadata.resource_documentation(documentation);
        }
        if !wanted.scopes.is_empty() {
            metadata = metadata.scopes_supported(&wanted.scopes);
        }
        published.push(Published {
            resource: wanted.clone(),
            metadata,
            advice,
        });
    }
    Ok(published)
}

fn trust(issuer: &Issuer) -> Result<Trust, Problem> {
    let mut trust = Trust::issuer(&issuer.url).profile(issuer.profile);
    for audience in &issuer.audiences {
        trust = trust.audience(audience);
    }
    if let Some(staleness) = issuer.longest_staleness {
        trust = trust.longest_staleness(staleness);
    }
    if let Some(path) = &issuer.ca_file {
        trust = trust.add_ca_pem(read(path)?);
    }
    if let Some(path) = &issuer.keep_keys {
        trust = trust.key_file(path);
    }
    if let Some(asked) = &issuer.introspection {
        trust = trust.introspection(introspection(asked)?);
    }
    Ok(trust)
}

fn introspection(asked: &Introspection) -> Result<IntrospectionPolicy, Problem> {
    let secret = read_secret(&asked.secret_file)?;
    let mut policy = IntrospectionPolicy::secret_basic(&asked.client_id, secret);
    if let Some(endpoint) = &asked.endpoint {
        policy = policy.endpoint(endpoint);
    }
    if let Some(horizon) = asked.horizon {
        policy = policy.horizon(horizon);
    }
    if asked.jwt_too {
        policy = policy.jwt_too();
    }
    Ok(policy)
}

fn dpop(wanted: &Dpop) -> Result<DpopPolicy, Problem> {
    let mut policy = DpopPolicy::new();
    if wanted.require_nonce {
        policy = policy.require_nonce();
    }
    if let Some(path) = &wanted.nonce_key_file {
        policy = policy.nonce_key(read_key(path, "nonces")?);
    }
    Ok(policy)
}

fn confirmer(
    config: &Config,
    otp: &OtpService,
    own_key: [u8; 32],
    own_name: &str,
) -> Result<Confirmer, Problem> {
    let wanted = &config.step_up;
    let realm = wanted.realm.as_deref().unwrap_or(own_name);
    let mut builder = Confirmer::builder(realm, otp.clone());
    if wanted.key_files.is_empty() {
        builder = builder.key(own_key);
    }
    for path in &wanted.key_files {
        builder = builder.key(read_key(path, "challenges")?);
    }
    builder
        .build()
        .map_err(|error| Problem::new("one-time passwords cannot be asked for").because(error))
}

fn random_key() -> Result<[u8; 32], Problem> {
    let mut key = [0; 32];
    crypto::aws_lc::provider()
        .fill_random(&mut key)
        .map_err(|error| Problem::new("this machine gives no random values").because(error))?;
    Ok(key)
}

/// 32 bytes that nobody else knows.
fn read_key(path: &Path, what_for: &str) -> Result<[u8; 32], Problem> {
    let text = read_secret(path)?;
    let key = base64url::decode(&text)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    key.ok_or_else(|| {
        Problem::new(format!("{} is no key for {what_for}", path.display())).hint(format!(
            "make one: openssl rand 32 | basenc --base64url | tr -d = > {}",
            path.display()
        ))
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    fs::read(path).map_err(|error| Problem::unreadable(path, &error))
}

/// A secret is a line in a file that nobody else can read.
pub(crate) fn read_secret(path: &Path) -> Result<String, Problem> {
    check_private(path)?;
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Problem::new(format!("{} is no text", path.display())))?;
    Ok(text.trim().to_owned())
}

fn demands(route: &Route) -> Result<Demands, Problem> {
    let Access::Token(wanted) = &route.access else {
        return Ok(Demands::none());
    };
    let mut builder = Demands::builder().acr(&wanted.acr);
    for scope in &wanted.scopes {
        builder = builder.scope(scope);
    }
    if let Some(age) = wanted.max_age {
        builder = builder.max_age(age);
    }
    if let Some((_, policy)) = &wanted.policy {
        builder = builder.policy(Arc::clone(policy));
    }
    if wanted.sender_constrained {
        builder = builder.sender_constrained();
    }
    builder.build().map_err(|error| {
        Problem::new(format!(
            "the route `{}` asks for what no token has",
            route.name
        ))
        .because(error)
    })
}

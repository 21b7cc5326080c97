//! From the file as it is written to a configuration that can be used.
//!
//! Everything that can be known without opening a socket or a key is decided here, so that `check`
//! on another machine says what `run` would say.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_console::Problem;
use countersign_console::settings::Source;
use countersign_resource::{InvalidNetwork, Network};

use super::{Config, Metrics, TlsFiles, explain, file};

mod forward;
mod issuer;
mod listen;
mod otp;
mod resource;
mod rest;
mod route;
mod sign_in;
mod state;
mod step_up;
mod upstream;

/// Longer than any answer that is worth waiting for, and short enough to end.
const LONGEST_TIME: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Check<'f> {
    source: Source<'f>,
    directory: &'f Path,
}

impl<'f> Check<'f> {
    pub(super) fn new(source: Source<'f>, directory: &'f Path) -> Self {
        Self { source, directory }
    }

    pub(super) fn run(&self, file: file::File) -> Result<Config, Problem> {
        let has_tls = file.tls.is_some();
        let listen = self.listen(file.listen, has_tls, !file.forward_auth.is_empty())?;
        let tls = file.tls.map(|tls| self.tls(tls));
        let forward_auth = self.forward_auth(file.forward_auth, &listen)?;
        let issuers = self.issuers(file.issuer)?;
        let theirs = forward_auth.iter().flat_map(|proxy| &proxy.origins);
        let origins: Vec<_> = listen.origins.iter().chain(theirs).collect();
        let resources = self.resources(file.resource, &issuers, &origins)?;
        let upstreams = self.upstreams(file.upstream)?;
        let policies = self.policies(file.policy)?;
        let (step_up, life) = self.step_up(file.step_up)?;
        let around = route::Around {
            issuers: &issuers,
            upstreams: &upstreams,
            policies: &policies,
            forward_auth: &forward_auth,
            has_origin: !listen.origins.is_empty(),
            has_otp: file.otp.is_some(),
            life,
        };
        let (routes, table) = self.routes(file.route, &around)?;
        let identity = self.identity(file.identity)?;
        let sign_in = self.sign_in(file.sign_in, &listen, &issuers, &routes)?;
        self.people_get_in(sign_in.as_ref(), &routes, &resources)?;
        let mut trust = Vec::new();
        for block in file.forwarded.trust {
            trust.push(self.network(&block.span(), block.get_ref())?);
        }
        let state = self.state(file.state)?;
        let mut config = Config {
            listen,
            tls,
            forward_auth,
            issuers,
            upstreams,
            routes,
            table,
            identity,
            dpop: self.dpop(file.dpop),
            sign_in,
            otp: self.otp(file.otp, &state)?,
            state,
            step_up,
            resources,
            client_certificate: self.client_certificate(file.client_certificate)?,
            aws_load_balancer: self.aws_load_balancer(file.aws_load_balancer)?,
            challenge: self.challenge(file.challenge)?,
            limits: self.limits(&file.limits)?,
            audit: self.audit(file.audit)?,
            trust,
            metrics: Metrics {
                routes: file.metrics.routes,
            },
            warnings: Vec::new(),
        };
        config.warnings = explain::warnings(&config);
        Ok(config)
    }

    /// A problem of a place in the file.
    fn at(&self, span: &Range<usize>, what: impl AsRef<str>) -> Problem {
        self.source.at(span, what)
    }

    fn network(&self, span: &Range<usize>, text: &str) -> Result<Network, Problem> {
        text.parse().map_err(|problem: InvalidNetwork| {
            self.at(span, format!("`{text}` cannot be trusted"))
                .because(problem)
        })
    }

    fn tls(&self, tls: file::Tls) -> TlsFiles {
        TlsFiles {
            certificates: self.path(tls.certificates),
            key: self.path(tls.key),
            client_ca: tls.client_ca.map(|path| self.path(path)),
        }
    }

    fn path(&self, path: PathBuf) -> PathBuf {
        self.directory.join(path)
    }
}

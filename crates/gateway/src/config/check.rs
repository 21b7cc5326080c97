//! From the file as it is written to a configuration that can be used.
//!
//! Everything that can be known without opening a socket or a key is decided here, so that `check`
//! on another machine says what `run` would say.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_oauth::ScopeSet;
use countersign_resource::TokenProfile;
use http::{HeaderName, Method, Uri};
use toml::Spanned;
use url::Url;

use super::suggest::line_of;
use super::text::Span;
use super::{
    Access, Audit, Cidr, Config, Health, HostHeader, Identity, Issuer, Limits, Listen, Metrics,
    Origin, Pass, Protocol, Route, Target, TlsFiles, Upstream, Wanted, explain, file,
};
use crate::problem::Problem;
use crate::route::{Pattern, PatternProblem, Table, canonical};

/// Longer than any answer that is worth waiting for, and short enough to end.
const LONGEST_TIME: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Check<'f> {
    text: &'f str,
    name: &'f str,
    directory: &'f Path,
}

impl<'f> Check<'f> {
    pub(super) fn new(text: &'f str, name: &'f str, directory: &'f Path) -> Self {
        Self {
            text,
            name,
            directory,
        }
    }

    pub(super) fn run(&self, file: file::File) -> Result<Config, Problem> {
        let has_tls = file.tls.is_some();
        let listen = self.listen(file.listen, has_tls)?;
        let tls = file.tls.map(|tls| TlsFiles {
            certificates: self.path(tls.certificates),
            key: self.path(tls.key),
            client_ca: tls.client_ca.map(|path| self.path(path)),
        });
        let issuers = self.issuers(file.issuer)?;
        let upstreams = self.upstreams(file.upstream)?;
        let (routes, table) = self.routes(file.route, &issuers, &upstreams)?;
        let identity = self.identity(file.identity)?;
        let mut trust = Vec::new();
        for block in file.forwarded.trust {
            let span = block.span();
            let text = block.into_inner();
            trust.push(text.parse::<Cidr>().map_err(|problem| {
                self.at(&span, format!("`{text}` cannot be trusted"))
                    .because(problem)
            })?);
        }
        let mut config = Config {
            listen,
            tls,
            issuers,
            upstreams,
            routes,
            table,
            identity,
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
        Problem::new(format!(
            "{}, line {}: {}",
            self.name,
            line_of(self.text, span.start),
            what.as_ref()
        ))
    }

    fn path(&self, path: PathBuf) -> PathBuf {
        self.directory.join(path)
    }

    fn listen(&self, listen: file::Listen, has_tls: bool) -> Result<Listen, Problem> {
        let span = listen.address.span();
        let mut addresses = Vec::new();
        for text in listen.address.into_inner().into_vec() {
            addresses.push(self.address(&span, &text)?);
        }
        if addresses.is_empty() {
            return Err(self.at(&span, "there is no address to listen on"));
        }
        let admin = match listen.admin {
            None => None,
            Some(admin) => Some(self.address(&admin.span(), admin.get_ref())?),
        };
        let origins = match listen.origin {
            Some(origin) => self.origins(origin)?,
            None => Vec::new(),
        };
        let on_loopback = addresses.iter().all(|address| address.ip().is_loopback());
        if origins.is_empty() && !on_loopback {
            return Err(self
                .at(
                    &span,
                    "the gateway can be reached from other machines and has no name",
                )
                .hint("add the name that callers write: origin = \"https://api.example.com\""));
        }
        let secure = |origin: &Origin| origin.url.scheme() == "https";
        if has_tls && !origins.iter().all(secure) {
            return Err(self
                .at(&span, "with [tls], every origin begins with https://")
                .hint("origin = \"https://api.example.com\""));
        }
        let workers = match listen.workers {
            None => std::thread::available_parallelism().map_or(1, usize::from),
            Some(workers) if (1..=256).contains(workers.get_ref()) => workers.into_inner(),
            Some(workers) => return Err(self.at(&workers.span(), "workers is from 1 to 256")),
        };
        if listen.h2c && has_tls {
            return Err(self
                .at(&span, "h2c is HTTP/2 without TLS, and there is [tls]")
                .hint("take h2c out: over TLS, HTTP/2 is chosen by ALPN"));
        }
        Ok(Listen {
            addresses,
            admin,
            workers,
            h2c: listen.h2c,
            drain: listen
                .drain
                .map_or(Duration::from_secs(30), |drain| drain.0),
            origins,
        })
    }

    fn address(&self, span: &Range<usize>, text: &str) -> Result<SocketAddr, Problem> {
        text.parse().map_err(|_| {
            self.at(span, format!("`{text}` is no address with a port"))
                .hint("write it as 127.0.0.1:8443, 0.0.0.0:443 or [::]:443")
        })
    }

    fn origins(&self, origin: Spanned<file::OneOrMany>) -> Result<Vec<Origin>, Problem> {
        let span = origin.span();
        let mut origins: Vec<Origin> = Vec::new();
        for text in origin.into_inner().into_vec() {
            let wrong = || {
                self.at(&span, format!("`{text}` is no origin"))
                    .hint("write it as https://api.example.com, without a path")
            };
            let url = Url::parse(&text).map_err(|_| wrong())?;
            let host = url.host_str().ok_or_else(wrong)?;
            let is_bare = url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none();
            if !matches!(url.scheme(), "http" | "https") || !is_bare {
                return Err(wrong());
            }
            let authority = match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            };
            origins.push(Origin { url, authority });
        }
        Ok(origins)
    }

    fn issuers(&self, issuers: Vec<Spanned<file::Issuer>>) -> Result<Vec<Issuer>, Problem> {
        let mut checked: Vec<Issuer> = Vec::new();
        for issuer in issuers {
            let span = issuer.span();
            let issuer = issuer.into_inner();
            countersign_oauth::Issuer::parse(&issuer.url).map_err(|error| {
                self.at(&span, format!("`{}` cannot be an issuer", issuer.url))
                    .because(error)
            })?;
            if checked.iter().any(|other| other.url == issuer.url) {
                return Err(self.at(
                    &span,
                    format!("the issuer {} stands here twice", issuer.url),
                ));
            }
            let audiences = issuer.audience.into_vec();
            if audiences.is_empty() || audiences.iter().any(String::is_empty) {
                return Err(self
                    .at(&span, format!("the issuer {} has no audience", issuer.url))
                    .hint("a token for nobody in particular is for nobody: audience = \"https://api.example.com\""));
            }
            let profile = match &issuer.profile {
                None => TokenProfile::default(),
                Some(name) => TokenProfile::ALL
                    .iter()
                    .copied()
                    .find(|profile| profile.name() == name)
                    .ok_or_else(|| {
                        let names: Vec<&str> = TokenProfile::ALL
                            .iter()
                            .map(|profile| profile.name())
                            .collect();
                        self.at(&span, format!("there is no token profile `{name}`"))
                            .hint(format!("one of: {}", names.join(", ")))
                    })?,
            };
            checked.push(Issuer {
                url: issuer.url,
                audiences,
                profile,
                ca_file: issuer.ca_file.map(|path| self.path(path)),
                longest_staleness: issuer.longest_staleness.map(|staleness| staleness.0),
            });
        }
        Ok(checked)
    }

    fn upstreams(&self, upstreams: Vec<Spanned<file::Upstream>>) -> Result<Vec<Upstream>, Problem> {
        let mut checked: Vec<Upstream> = Vec::new();
        for upstream in upstreams {
            let span = upstream.span();
            let upstream = self.upstream(&span, upstream.into_inner())?;
            if checked.iter().any(|other| other.name == upstream.name) {
                return Err(self.at(
                    &span,
                    format!("the upstream `{}` stands here twice", upstream.name),
                ));
            }
            checked.push(upstream);
        }
        Ok(checked)
    }

    fn upstream(&self, span: &Range<usize>, upstream: file::Upstream) -> Result<Upstream, Problem> {
        let name = upstream.name;
        if !is_name(&name) {
            return Err(self.at(
                span,
                format!("`{name}` is no name: letters, digits, - _ . only"),
            ));
        }
        let mut targets = Vec::new();
        for text in upstream.address.into_vec() {
            targets.push(self.target(span, &text)?);
        }
        let Some(tls) = targets.first().map(|target| target.tls) else {
            return Err(self.at(span, format!("the upstream `{name}` has no address")));
        };
        if targets.iter().any(|target| target.tls != tls) {
            return Err(self.at(
                span,
                format!("the addresses of `{name}` are to be all http or all https"),
            ));
        }
        let protocol = match (upstream.protocol, tls) {
            (file::Protocol::Auto, true) => Protocol::Negotiated,
            (file::Protocol::Auto | file::Protocol::Http1, _) => Protocol::Http1,
            (file::Protocol::Http2, _) => Protocol::Http2,
        };
        let time = |given: Option<Span>, default: u64| {
            given
                .map_or(Duration::from_secs(default), |time| time.0)
                .clamp(Duration::from_millis(1), LONGEST_TIME)
        };
        let health = match upstream.health {
            None => None,
            Some(health) => {
                if !canonical(&health.path).is_ok_and(|path| path == health.path) {
                    return Err(self.at(span, format!("`{}` is no path", health.path)));
                }
                Some(Health {
                    path: health.path,
                    interval: time(health.interval, 10).max(Duration::from_millis(100)),
                })
            }
        };
        Ok(Upstream {
            audience: upstream.audience.unwrap_or_else(|| name.clone()),
            name: name.into(),
            targets,
            protocol,
            host: match upstream.host {
                file::Host::Caller => HostHeader::Caller,
                file::Host::Upstream => HostHeader::Upstream,
            },
            ca_file: upstream.ca_file.map(|path| self.path(path)),
            connect_time: time(upstream.connect_time, 3),
            answer_time: time(upstream.answer_time, 60),
            idle_time: time(upstream.idle_time, 60),
            total_time: upstream.total_time.map(|time| time.0),
            keep: upstream.keep.unwrap_or(64),
            keep_time: time(upstream.keep_time, 60),
            health,
        })
    }

    fn target(&self, span: &Range<usize>, text: &str) -> Result<Target, Problem> {
        let wrong = || {
            self.at(span, format!("`{text}` is no address of an upstream"))
                .hint("write it as http://127.0.0.1:8080 or https://service.internal")
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if uri.path_and_query().is_some_and(|path| path != "/") || authority.as_str().contains('@')
        {
            return Err(wrong().why("the path of a request is passed on as it was matched"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        Ok(Target {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.clone(),
        })
    }

    fn routes(
        &self,
        routes: Vec<Spanned<file::Route>>,
        issuers: &[Issuer],
        upstreams: &[Upstream],
    ) -> Result<(Vec<Route>, Table), Problem> {
        let mut checked: Vec<Route> = Vec::new();
        let mut table = Table::default();
        let mut names = HashSet::new();
        for route in routes {
            let span = route.span();
            let route = self.route(&span, route.into_inner(), issuers, upstreams)?;
            if !names.insert(Arc::clone(&route.name)) {
                return Err(self
                    .at(
                        &span,
                        format!("the name `{}` is taken by another route", route.name),
                    )
                    .hint("give one of them a name of its own: name = \"…\""));
            }
            table
                .add(checked.len(), &route.pattern, &route.methods)
                .map_err(|other| {
                    let line = checked.get(other).map_or(0, |other| other.line);
                    self.at(
                        &span,
                        format!(
                            "the route for {} is the one of line {line} again",
                            route.pattern
                        ),
                    )
                })?;
            checked.push(route);
        }
        Ok((checked, table))
    }

    fn route(
        &self,
        span: &Range<usize>,
        route: file::Route,
        issuers: &[Issuer],
        upstreams: &[Upstream],
    ) -> Result<Route, Problem> {
        let pattern = Pattern::parse(&route.path).map_err(|problem| {
            let hint = match &problem {
                PatternProblem::NotCanonical {
                    form: Some(form), ..
                } => Some(format!("path = \"{form}\"")),
                _ => None,
            };
            let problem = self
                .at(span, format!("`{}` is no path", route.path))
                .because(problem);
            hint.into_iter().fold(problem, Problem::hint)
        })?;
        let methods = self.methods(span, route.methods.as_deref())?;
        let upstream = upstreams
            .iter()
            .position(|upstream| *upstream.name == *route.upstream)
            .ok_or_else(|| {
                self.at(span, format!("there is no upstream `{}`", route.upstream))
                    .hint(format!(
                        "add [[upstream]] with name = \"{}\"",
                        route.upstream
                    ))
            })?;
        let speaks_http1 = upstreams
            .get(upstream)
            .is_some_and(|upstream| upstream.protocol == Protocol::Http1);
        if route.websocket && !speaks_http1 {
            return Err(self
                .at(
                    span,
                    format!("WebSocket needs HTTP/1.1 to `{}`", route.upstream),
                )
                .hint("add protocol = \"http1\" to that upstream"));
        }
        let asks = route.scopes.is_some()
            || route.issuers.is_some()
            || route.acr.is_some()
            || route.max_age.is_some()
            || route.sender_constrained;
        let access = if route.public {
            if asks {
                return Err(self
                    .at(span, "the route is public and asks for something")
                    .hint("take out public = true, or what it asks for"));
            }
            Access::Public
        } else {
            if issuers.is_empty() {
                return Err(self
                    .at(span, "the route needs a token, and there is no [[issuer]]")
                    .hint("add [[issuer]] with url and audience, or public = true to the route"));
            }
            Access::Token(self.wanted(span, &route, issuers)?)
        };
        let pass = match (&route.identity, route.public) {
            (Some(_), true) => {
                return Err(self.at(
                    span,
                    "the route is public, so there is no identity to pass on",
                ));
            }
            (None, true) => Vec::new(),
            (None, false) => vec![file::Pass::Assertion],
            (Some(pass), false) => pass.clone(),
        };
        let name = route.name.unwrap_or_else(|| {
            let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
            if methods.is_empty() {
                pattern.to_string()
            } else {
                format!("{} {pattern}", methods.join(","))
            }
        });
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err(self.at(span, "the name of the route is empty or too long"));
        }
        Ok(Route {
            name: name.into(),
            pattern,
            methods,
            access,
            upstream,
            pass: Pass {
                assertion: pass.contains(&file::Pass::Assertion),
                headers: pass.contains(&file::Pass::Headers),
                token: route.forward_token,
            },
            websocket: route.websocket,
            max_body: route.max_body.map(|bytes| bytes.0),
            total_time: route.total_time.map(|time| time.0),
            line: line_of(self.text, span.start),
        })
    }

    fn methods(
        &self,
        span: &Range<usize>,
        names: Option<&[String]>,
    ) -> Result<Vec<Method>, Problem> {
        let Some(names) = names else {
            return Ok(Vec::new());
        };
        if names.is_empty() {
            return Err(self
                .at(
                    span,
                    "the list of methods is empty, so the route admits nothing",
                )
                .hint("name methods, or take the line out to admit any"));
        }
        let mut methods = Vec::new();
        for name in names {
            let method = Method::from_bytes(name.as_bytes())
                .ok()
                .filter(|method| *method != Method::CONNECT)
                .ok_or_else(|| self.at(span, format!("`{name}` is no method that passes here")))?;
            // Methods are told apart by case (RFC 9110, section 9.1), so `get` is never sent.
            if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
                return Err(self
                    .at(span, format!("`{name}` is no method"))
                    .hint(format!(
                        "methods are written in capitals: {}",
                        name.to_ascii_uppercase()
                    )));
            }
            methods.push(method);
        }
        Ok(methods)
    }

    fn wanted(
        &self,
        span: &Range<usize>,
        route: &file::Route,
        issuers: &[Issuer],
    ) -> Result<Wanted, Problem> {
        let scopes = route.scopes.clone().unwrap_or_default();
        let mut set = ScopeSet::new();
        for scope in &scopes {
            set.insert(scope.clone()).map_err(|error| {
                self.at(span, format!("`{scope}` is no scope"))
                    .because(error)
            })?;
        }
        let mut among = Vec::new();
        for url in route.issuers.iter().flatten() {
            let at = issuers.iter().position(|issuer| issuer.url == *url);
            among.push(at.ok_or_else(|| self.at(span, format!("there is no issuer {url}")))?);
        }
        for list in [&route.issuers, &route.acr].into_iter().flatten() {
            if list.is_empty() || list.iter().any(String::is_empty) {
                return Err(self.at(
                    span,
                    "a list of what is wanted is empty, or has an empty text",
                ));
            }
        }
        Ok(Wanted {
            scopes,
            issuers: among,
            acr: route.acr.clone().unwrap_or_default(),
            max_age: route.max_age.map(|age| age.0),
            sender_constrained: route.sender_constrained,
        })
    }

    fn identity(&self, identity: file::Identity) -> Result<Identity, Problem> {
        let header = identity
            .header
            .as_deref()
            .unwrap_or("x-countersign-identity");
        let header =
            HeaderName::from_bytes(header.to_ascii_lowercase().as_bytes()).map_err(|_| {
                Problem::new(format!("{}: `{header}` is no name of a header", self.name))
            })?;
        let prefix = identity
            .prefix
            .unwrap_or_else(|| "x-auth-".to_owned())
            .to_ascii_lowercase();
        // Removing what outsiders send goes by prefix, so it must not take the world away.
        let is_own = prefix.starts_with("x-") && prefix.len() > 3;
        if !is_own || HeaderName::from_bytes(prefix.as_bytes()).is_err() {
            return Err(Problem::new(format!(
                "{}: `{prefix}` is no prefix for headers",
                self.name
            ))
            .hint("write it as prefix = \"x-auth-\""));
        }
        let lifetime = identity
            .lifetime
            .map_or(Duration::from_secs(60), |time| time.0);
        if lifetime < Duration::from_secs(5) || lifetime > Duration::from_secs(60) {
            return Err(Problem::new(format!(
                "{}: an assertion lasts from 5 to 60 seconds",
                self.name
            )));
        }
        Ok(Identity {
            key_file: identity.key_file.map(|path| self.path(path)),
            lifetime,
            header,
            prefix,
        })
    }

    fn limits(&self, limits: &file::Limits) -> Result<Limits, Problem> {
        let seconds = Duration::from_secs;
        let time = |given: Option<Span>, default| {
            given
                .map_or(default, |time| time.0)
                .clamp(Duration::from_millis(10), LONGEST_TIME)
        };
        let head_bytes = limits.head_bytes.map_or(32 * 1024, |bytes| bytes.0);
        let head_bytes = usize::try_from(head_bytes)
            .ok()
            .filter(|bytes| (8 * 1024..=1024 * 1024).contains(bytes))
            .ok_or_else(|| {
                Problem::new(format!("{}: head_bytes is from 8KiB to 1MiB", self.name))
            })?;
        Ok(Limits {
            connections: limits.connections.unwrap_or(10_000).max(1),
            handshake_time: time(limits.handshake_time, seconds(10)),
            head_time: time(limits.head_time, seconds(20)),
            head_bytes,
            headers: limits.headers.unwrap_or(100).clamp(1, 1000),
            body: limits.body.map_or(10 << 20, |bytes| bytes.0),
            body_idle_time: time(limits.body_idle_time, seconds(30)),
            streams: limits.streams.unwrap_or(100).clamp(1, 1000),
            leeway: limits.leeway.map_or(seconds(60), |leeway| leeway.0),
        })
    }

    fn audit(&self, audit: Option<file::Audit>) -> Result<Option<Audit>, Problem> {
        let Some(audit) = audit else {
            return Ok(None);
        };
        if audit.file.is_some() == audit.stdout {
            return Err(
                Problem::new(format!("{}: [audit] goes to one place", self.name))
                    .hint("file = \"/var/log/countersign/audit.jsonl\", or stdout = true"),
            );
        }
        Ok(Some(Audit {
            file: audit.file.map(|path| self.path(path)),
            query: audit.query,
            danger_lossy: audit.danger_lossy,
        }))
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

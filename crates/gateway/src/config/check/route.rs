//! `[[route]]`: which requests pass, for whom, and where to.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use countersign_console::Problem;
use countersign_oauth::ScopeSet;
use http::Method;
use toml::Spanned;

use super::super::{
    Access, ForwardAuth, Issuer, Pass, Policies, Protocol, Route, Upstream, Wanted, file,
};
use super::Check;
use crate::route::{Pattern, PatternProblem, Table};

/// What a route may name, and what it has to fit in with.
pub(super) struct Around<'a> {
    pub(super) issuers: &'a [Issuer],
    pub(super) upstreams: &'a [Upstream],
    pub(super) policies: &'a Policies,
    pub(super) forward_auth: &'a [ForwardAuth],
    /// Whether it is said by which names callers know the gateway.
    pub(super) has_origin: bool,
    /// Whether anybody judges one-time passwords.
    pub(super) has_otp: bool,
    /// How long a challenge is good for.
    pub(super) life: Option<Duration>,
}

impl Check<'_> {
    pub(super) fn routes(
        &self,
        routes: Vec<Spanned<file::Route>>,
        around: &Around<'_>,
    ) -> Result<(Vec<Route>, Table), Problem> {
        let mut checked: Vec<Route> = Vec::new();
        let mut table = Table::default();
        let mut names = HashSet::new();
        for route in routes {
            let span = route.span();
            let route = self.route(&span, route.into_inner(), around)?;
            if route.upstream.is_none() && around.forward_auth.is_empty() {
                return Err(self
                    .at(&span, "the route has no upstream, and no other proxy asks")
                    .hint("add upstream = \"…\" to it, or [[forward_auth]] to the file"));
            }
            let is_limited = route.websocket
                || route.max_body.is_some()
                || route.body_rate.is_some()
                || route.total_time.is_some();
            if route.upstream.is_none() && is_limited {
                return Err(self
                    .at(
                        &span,
                        "the route has no upstream, so the proxy that asks has its bodies and its time",
                    )
                    .hint("take out websocket, max_body, body_rate and total_time"));
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
            if !names.insert(Arc::clone(&route.name)) {
                return Err(self
                    .at(
                        &span,
                        format!("the name `{}` is taken by another route", route.name),
                    )
                    .hint("give one of them a name of its own: name = \"…\""));
            }
            checked.push(route);
        }
        Ok((checked, table))
    }

    fn route(
        &self,
        span: &Range<usize>,
        mut route: file::Route,
        around: &Around<'_>,
    ) -> Result<Route, Problem> {
        let Around {
            issuers,
            upstreams,
            policies,
            ..
        } = *around;
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
        let upstream = match &route.upstream {
            None => None,
            Some(name) => Some(self.upstream_of(span, name, &route, upstreams)?),
        };
        let step_up = route.step_up.take();
        if let Some(step_up) = &step_up {
            self.sign_in_of(span, step_up, &mut route)?;
        }
        let asks = route.scopes.is_some()
            || step_up.is_some()
            || route.issuers.is_some()
            || route.acr.is_some()
            || route.max_age.is_some()
            || route.sender_constrained
            || route.policy.is_some()
            || route.sign_in;
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
            Access::Token(self.wanted(span, &route, issuers, policies)?)
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
        let name = route.name.take().unwrap_or_else(|| {
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
        let confirm = match step_up {
            None => None,
            Some(step_up) => self.confirm(span, &step_up, &name, &route, around)?,
        };
        Ok(Route {
            name: name.into(),
            confirm,
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
            sign_in: route.sign_in,
            max_body: route.max_body.map(|bytes| bytes.0),
            body_rate: route.body_rate.map(|bytes| bytes.0),
            total_time: route.total_time.map(|time| time.0),
            line: self.source.line(span),
        })
    }

    /// The number of the upstream of this name, if it can do what the route wants.
    fn upstream_of(
        &self,
        span: &Range<usize>,
        name: &str,
        route: &file::Route,
        upstreams: &[Upstream],
    ) -> Result<usize, Problem> {
        let found = upstreams
            .iter()
            .enumerate()
            .find(|(_, upstream)| &*upstream.name == name);
        let Some((number, upstream)) = found else {
            return Err(self
                .at(span, format!("there is no upstream `{name}`"))
                .hint(format!("add [[upstream]] with name = \"{name}\"")));
        };
        if route.websocket && upstream.protocol != Protocol::Http1 {
            return Err(self
                .at(span, format!("WebSocket needs HTTP/1.1 to `{name}`"))
                .hint("add protocol = \"http1\" to that upstream"));
        }
        Ok(number)
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
        policies: &Policies,
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
        let policy = match &route.policy {
            None => None,
            Some(name) => match policies.get(name) {
                Some(policy) => Some((name.clone(), Arc::clone(policy))),
                None => {
                    return Err(self
                        .at(span, format!("there is no policy `{name}`"))
                        .hint(format!("add [[policy.{name}.allow]]")));
                }
            },
        };
        Ok(Wanted {
            scopes,
            issuers: among,
            acr: route.acr.clone().unwrap_or_default(),
            max_age: route.max_age.map(|age| age.0),
            sender_constrained: route.sender_constrained,
            policy,
        })
    }
}

//! The configuration in words, for `check` and for whoever reviews it.
//!
//! Not responsible for refusing anything: what is wrong has been refused before.

use std::fmt::Write as _;

use countersign_console::settings::{Bytes, Span};
use countersign_resource::Network;
use http::Method;

mod forward;
mod otp;
mod sign_in;
mod step_up;

use super::{Access, Config, Route, Wanted};

/// What the whole file does, in words.
pub fn explain(config: &Config) -> String {
    let mut out = String::new();
    let listen = &config.listen;
    if listen.addresses.is_empty() {
        out.push_str("takes no requests itself, and answers other proxies only\n");
    } else {
        let addresses: Vec<String> = listen.addresses.iter().map(ToString::to_string).collect();
        let tls = if config.tls.is_some() {
            " with TLS"
        } else {
            " without TLS"
        };
        let _ = writeln!(out, "listens on {}{tls}", addresses.join(", "));
    }
    for forward in &config.forward_auth {
        out.push_str(&forward::sentence(forward));
    }
    for origin in &listen.origins {
        let _ = writeln!(out, "is called {}", origin.authority);
    }
    match listen.admin {
        Some(admin) => {
            let _ = writeln!(out, "shows health, metrics and identity keys on {admin}");
        }
        None => out.push_str("shows no health, metrics or identity keys (listen.admin)\n"),
    }
    for issuer in &config.issuers {
        let _ = writeln!(
            out,
            "trusts {} for tokens to {}",
            issuer.url,
            issuer.audiences.join(" or ")
        );
    }
    for resource in &config.resources {
        let _ = writeln!(out, "tells everybody whose tokens are for {}", resource.url);
        if resource.part.is_some() {
            out.push_str("  and takes no other tokens beneath it\n");
        }
    }
    if let Some(from) = &config.client_certificate {
        let header = &from.header;
        let _ = writeln!(
            out,
            "believes the client certificate in {header} of {}",
            list(&from.trust)
        );
    }
    if let Some(balancer) = &config.aws_load_balancer {
        let signers = balancer.signers.join(", ");
        let _ = writeln!(
            out,
            "takes whom {signers} has signed in at {}, of {}",
            balancer.issuer,
            list(&balancer.trust)
        );
    }
    if let Some(sign_in) = &config.sign_in {
        out.push_str(&sign_in::sentence(config, sign_in));
    }
    match &config.state.shared {
        None => out.push_str("knows used proofs and revocations of itself alone ([state])\n"),
        Some(shared) => {
            let _ = writeln!(out, "shares used proofs and revocations at {}", shared.url);
        }
    }
    if let Some(otp) = &config.otp {
        out.push_str(&otp::sentence(config, otp));
    }
    out.push_str(&step_up::sentence(config));
    if config.trust.is_empty() {
        out.push_str("believes nobody's X-Forwarded-For\n");
    } else {
        let _ = writeln!(out, "believes X-Forwarded-For of {}", list(&config.trust));
    }
    match &config.audit {
        None => out.push_str("writes no audit log ([audit])\n"),
        Some(audit) => {
            let place = match &audit.file {
                Some(file) => file.display().to_string(),
                None => "stdout".to_owned(),
            };
            let lossy = if audit.danger_lossy {
                ", and lets requests pass that cannot be written down"
            } else {
                ""
            };
            let _ = writeln!(out, "writes every decision to {place}{lossy}");
        }
    }
    out.push('\n');
    for route in &config.routes {
        let _ = writeln!(out, "{}", sentence(config, route));
    }
    out.push_str("everything else: refused\n");
    out
}

fn list(networks: &[Network]) -> String {
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    networks.join(", ")
}

/// What one route admits, in two lines or three.
pub(crate) fn sentence(config: &Config, route: &Route) -> String {
    let mut out = String::new();
    let methods = if route.methods.is_empty() {
        "any method".to_owned()
    } else {
        let mut names: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        names.join(", ")
    };
    let _ = writeln!(out, "{} ({methods}), line {}", route.pattern, route.line);
    match &route.access {
        Access::Public => out.push_str("  PUBLIC: anybody, without a token\n"),
        Access::Token(wanted) => {
            let _ = writeln!(out, "  {}", who(config, wanted));
        }
    }
    if let Some(confirm) = &route.confirm {
        let _ = writeln!(out, "  {}", step_up::confirmed(confirm));
    }
    if route.sign_in {
        out.push_str("  people at a browser are sent to sign in, programs are not\n");
    }
    let mut passed = Vec::new();
    if route.pass.assertion {
        passed.push("a signed assertion");
    }
    if route.pass.headers {
        passed.push("plain identity headers");
    }
    if route.pass.token {
        passed.push("the caller's own token");
    }
    let with = if passed.is_empty() {
        "nothing about the caller".to_owned()
    } else {
        passed.join(", ")
    };
    let Some(upstream) = upstream(config, route) else {
        let _ = writeln!(
            out,
            "  passed on by the proxy that asks (forward-auth), with {with}"
        );
        return out;
    };
    let _ = write!(
        out,
        "  to {upstream}, with {with}; bodies up to {}",
        Bytes(route.max_body.unwrap_or(config.limits.body))
    );
    if route.websocket {
        out.push_str("; WebSocket");
    }
    out.push('\n');
    out
}

fn upstream<'c>(config: &'c Config, route: &Route) -> Option<&'c str> {
    let upstream = route.upstream.and_then(|at| config.upstreams.get(at));
    upstream.map(|upstream| &*upstream.name)
}

fn who(config: &Config, wanted: &Wanted) -> String {
    let mut out = "whoever has a token".to_owned();
    if !wanted.issuers.is_empty() {
        let names: Vec<&str> = wanted
            .issuers
            .iter()
            .filter_map(|at| config.issuers.get(*at))
            .map(|issuer| issuer.url.as_str())
            .collect();
        let _ = write!(out, " of {}", names.join(" or "));
    }
    let mut parts = Vec::new();
    if !wanted.scopes.is_empty() {
        parts.push(format!("the scope {}", wanted.scopes.join(" and ")));
    }
    if !wanted.acr.is_empty() {
        parts.push(format!("acr {}", wanted.acr.join(" or ")));
    }
    if let Some(age) = wanted.max_age {
        parts.push(format!("a sign-in at most {} ago", Span(age)));
    }
    if let Some((name, _)) = &wanted.policy {
        parts.push(format!("the consent of the policy {name}"));
    }
    if wanted.sender_constrained {
        parts.push("proof that it is theirs".to_owned());
    }
    if !parts.is_empty() {
        let _ = write!(out, " with {}", parts.join(", "));
    }
    out
}

/// What is allowed and may still not be meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.routes.is_empty() {
        warnings.push("there is no route, so every request is refused".to_owned());
    }
    for route in &config.routes {
        if route.access == Access::Public {
            let place = match upstream(config, route) {
                Some(upstream) => format!("`{upstream}`"),
                None => "what the proxy that asks has there".to_owned(),
            };
            warnings.push(format!(
                "line {}: {} is public: anybody gets to {place}",
                route.line, route.pattern
            ));
        }
    }
    for (at, one) in config.routes.iter().enumerate() {
        for other in config.routes.iter().skip(at + 1) {
            warnings.extend(shadow(one, other));
        }
    }
    for (at, upstream) in config.upstreams.iter().enumerate() {
        if !config.routes.iter().any(|route| route.upstream == Some(at)) {
            warnings.push(format!(
                "no route leads to the upstream `{}`",
                upstream.name
            ));
        }
    }
    let needs_issuer = |route: &Route| route.access != Access::Public;
    if !config.issuers.is_empty() && !config.routes.iter().any(needs_issuer) {
        warnings.push("no route needs a token, so no issuer is ever asked".to_owned());
    }
    warnings.extend(step_up::warnings(config));
    if let Some(sign_in) = &config.sign_in {
        warnings.extend(sign_in::warnings(config, sign_in));
    }
    if config.state.danger_allow_without {
        warnings.push(
            "[state] lets requests pass while it cannot be asked: revoked tokens, and proofs that \
             were used before"
                .to_owned(),
        );
    }
    for forward in &config.forward_auth {
        warnings.extend(forward::warnings(config, forward));
    }
    if config.trust.iter().any(is_everybody) {
        warnings.push("[forwarded] trusts every address, so callers choose their own".to_owned());
    }
    warnings
}

fn is_everybody(block: &Network) -> bool {
    block.to_string().ends_with("/0")
}

/// What two routes do to each other, when a reader may not expect it.
fn shadow(one: &Route, other: &Route) -> Option<String> {
    if one.pattern.is_same(&other.pattern) || !one.pattern.overlaps(&other.pattern) {
        return None;
    }
    let (wide, narrow) = if one.pattern.covers(&other.pattern) {
        (one, other)
    } else if other.pattern.covers(&one.pattern) {
        (other, one)
    } else {
        return Some(format!(
            "lines {} and {}: some paths are of both {} and {}; the one with a literal further left wins",
            one.line, other.line, one.pattern, other.pattern
        ));
    };
    let lost: Vec<&str> = wide
        .methods
        .iter()
        .filter(|method| !narrow.methods.contains(method))
        .map(Method::as_str)
        .collect();
    if narrow.methods.is_empty() || (!wide.methods.is_empty() && lost.is_empty()) {
        return None;
    }
    let lost = if wide.methods.is_empty() {
        "other methods".to_owned()
    } else {
        lost.join(", ")
    };
    Some(format!(
        "line {}: requests with {lost} for {} are refused there and do not fall through to {} of line {}",
        narrow.line, narrow.pattern, wide.pattern, wide.line
    ))
}

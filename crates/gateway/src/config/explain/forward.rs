//! `[[forward_auth]]` in words: who is believed about which request, and what makes that dangerous.

use std::fmt::Write as _;

use super::super::{Access, Asked, Config, ForwardAuth, Place, Preset};
use super::is_everybody;

/// What a table does.
pub(super) fn sentence(forward: &ForwardAuth) -> String {
    let name = name(forward.preset);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "answers {name} on {}, for {}",
        forward.place,
        names(forward)
    );
    let who = match (&forward.place, &forward.tls) {
        (Place::Unix(_, mode), _) => {
            format!("whoever may connect to that socket (mode {mode:04o})")
        }
        (Place::Tcp(_), tls) => {
            let mut who = Vec::new();
            if !forward.trust.is_empty() {
                let blocks: Vec<String> = forward.trust.iter().map(ToString::to_string).collect();
                who.push(format!("who comes from {}", blocks.join(" or ")));
            }
            if let Some(authority) = tls.as_ref().and_then(|tls| tls.client_ca.as_ref()) {
                let authority = authority.display();
                who.push(format!("who shows a certificate by {authority}"));
            }
            if who.is_empty() {
                "nobody".to_owned()
            } else {
                who.join(" and ")
            }
        }
    };
    let _ = writeln!(out, "  believes {who}");
    match &forward.asked {
        Asked::Headers {
            method,
            uri,
            host,
            client,
        } => {
            let _ = writeln!(out, "  about {method}, {uri}, {host}, {client}");
        }
        Asked::Request { .. } | Asked::Message => {
            out.push_str("  about method, path and host of the request\n");
        }
    }
    out
}

/// What is allowed and may still not be meant.
pub(super) fn warnings(config: &Config, forward: &ForwardAuth) -> Vec<String> {
    let mut warnings = Vec::new();
    let line = forward.line;
    let certified = forward
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca.is_some());
    match &forward.place {
        Place::Unix(path, mode) => {
            if mode & 0o002 != 0 {
                warnings.push(format!(
                    "line {line}: every user of this machine may connect to {}, and is believed",
                    path.display()
                ));
            }
        }
        Place::Tcp(address) => {
            if forward.trust.is_empty() && !certified {
                warnings.push(format!(
                    "line {line}: [[forward_auth]] trusts nobody, so every request is refused"
                ));
            }
            if forward.trust.iter().any(is_everybody) {
                warnings.push(format!(
                    "line {line}: [[forward_auth]] trusts every address, so whoever reaches {address} says what \
                     is asked about"
                ));
            }
            if forward.tls.is_none() && !address.ip().is_loopback() {
                warnings.push(format!(
                    "line {line}: tokens come to {address} without TLS, for everybody on the way to read"
                ));
            }
        }
    }
    let is_bound =
        |access: &Access| matches!(access, Access::Token(wanted) if wanted.sender_constrained);
    if config.client_certificate.is_none()
        && config.routes.iter().any(|route| is_bound(&route.access))
    {
        warnings.push(format!(
            "line {line}: a token that is bound to a certificate is refused there without [client_certificate]; \
             one that is bound by DPoP is not"
        ));
    }
    warnings
}

fn name(preset: Preset) -> &'static str {
    match preset {
        Preset::Nginx => "nginx",
        Preset::Traefik => "Traefik",
        Preset::Caddy => "Caddy",
        Preset::Envoy => "Envoy (HTTP)",
        Preset::EnvoyGrpc => "Envoy (gRPC)",
    }
}

fn names(forward: &ForwardAuth) -> String {
    let names: Vec<&str> = forward
        .origins
        .iter()
        .map(|origin| &*origin.authority)
        .collect();
    names.join(", ")
}

//! Signing in, in words.

use countersign_console::settings::{Bytes, Span};
use http::Method;

use super::super::{Access, Config, SignIn};

/// A session in four cookies, and the rest of a browser's head.
const MOST_COOKIE_BYTES: usize = 24 * 1024;

/// Where people sign in, and for how long.
pub(super) fn sentence(config: &Config, sign_in: &SignIn) -> String {
    let issuer = config.issuers.get(sign_in.issuer);
    format!(
        "signs people in at {} as {}, for {} unless unused for {}; its own pages are below {}\n",
        issuer.map_or("", |issuer| &issuer.url),
        sign_in.client_id,
        Span(sign_in.longest),
        Span(sign_in.idle),
        sign_in.prefix
    )
}

/// What may surprise those who sign in.
pub(super) fn warnings(config: &Config, sign_in: &SignIn) -> Vec<String> {
    let mut warnings = Vec::new();
    if !config.routes.iter().any(|route| route.sign_in) {
        warnings.push("no route has sign_in = true, so nobody is ever sent to sign in".to_owned());
    }
    for route in &config.routes {
        let begins = route.pattern.to_string().starts_with(&sign_in.prefix);
        if begins {
            warnings.push(format!(
                "line {}: {} is below {}, where requests never get to a route",
                route.line, route.pattern, sign_in.prefix
            ));
        }
        if !route.sign_in {
            continue;
        }
        if !route.methods.is_empty() && !route.methods.contains(&Method::GET) {
            warnings.push(format!(
                "line {}: {} has sign_in and no GET, and only a page that is opened leads to a sign-in",
                route.line, route.pattern
            ));
        }
        if let Access::Token(wanted) = &route.access {
            for scope in &wanted.scopes {
                if !sign_in.scopes.contains(scope) {
                    warnings.push(format!(
                        "line {}: {} wants the scope {scope}, which [sign_in] does not ask for",
                        route.line, route.pattern
                    ));
                }
            }
        }
    }
    if config.limits.head_bytes < MOST_COOKIE_BYTES {
        warnings.push(format!(
            "[limits] head_bytes is less than {}, which the cookies of somebody with long tokens may need",
            Bytes(MOST_COOKIE_BYTES as u64)
        ));
    }
    warnings
}

//! Which rule decides about a request, and why: the answer to "it says 403 and I do not know why".
//!
//! Asks the same question as the proxy. Not responsible for reading the token from anywhere.

use std::error::Error as _;
use std::fmt::Write as _;

use countersign_console::Problem;
use countersign_oauth::text::printable;
use countersign_resource::{Demands, Presented};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::config::{self, Config};
use crate::decide::{Refusal, Verdict, decide};
use crate::live::{Live, Rule};
use crate::metrics::Metrics;

/// A request to be explained.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, with or without a query.
    pub target: &'a str,
    /// Its token; none for a request without one.
    pub token: Option<&'a str>,
}

/// What would be decided, in words, and whether the request would pass.
///
/// # Errors
///
/// When the configuration cannot be used, or what was asked is no request.
pub async fn explain(config: Config, asked: &Asked<'_>) -> Result<(String, bool), Problem> {
    let live = Live::new(config, None, &Metrics::default())?;
    let method = Method::from_bytes(asked.method.as_bytes())
        .map_err(|error| Problem::new("that is no method").because(error))?;
    let uri: Uri = asked
        .target
        .parse()
        .map_err(|error: http::uri::InvalidUri| Problem::new("that is no path").because(error))?;
    let mut headers = HeaderMap::new();
    if let Some(token) = asked.token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|error| Problem::new("that is no token").because(error))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let presented = Presented::new(&method, &uri, &headers).origin(live.first_origin());
    let decision = decide(&live, uri.path(), &presented).await;
    let mut out = String::new();
    let _ = writeln!(out, "request  {method} {}", printable(&decision.path));
    match decision.rule {
        Some(rule) => {
            let sentence = config::sentence(live.config(), &rule.route);
            let _ = write!(out, "rule     {sentence}");
        }
        None => out.push_str("rule     none\n"),
    }
    let passes = match &decision.verdict {
        Verdict::Pass(None) => {
            out.push_str("decision passes, for anybody\n");
            true
        }
        Verdict::Pass(Some(caller)) => {
            let _ = writeln!(
                out,
                "decision passes, for {} of {}",
                printable(caller.subject()),
                printable(caller.issuer())
            );
            true
        }
        Verdict::Confirm(caller) => {
            let _ = writeln!(
                out,
                "decision passes, for {} of {}, once they have confirmed it by a one-time password",
                printable(caller.subject()),
                printable(caller.issuer())
            );
            false
        }
        Verdict::Refuse(refusal) => {
            let response = refusal.response::<()>(&live.advice(decision.part));
            let _ = writeln!(out, "decision refused with {}", response.status().as_u16());
            let _ = writeln!(out, "why      {}", printable(&refusal.to_string()));
            let mut cause = refusal.source();
            while let Some(error) = cause {
                let _ = writeln!(out, "         {}", printable(&error.to_string()));
                cause = error.source();
            }
            let _ = writeln!(out, "code     {}", refusal.code());
            if let Some(text) = by_rule(&live, decision.rule, &presented).await {
                for line in text.lines() {
                    let _ = writeln!(out, "policy   {}", printable(line));
                }
            }
            if let Some(advice) = advice(refusal) {
                let _ = writeln!(out, "hint     {advice}");
            }
            false
        }
    };
    Ok((out, passes))
}

/// What the policy of the rule says, where there is one and the token is good.
async fn by_rule(live: &Live, rule: Option<&Rule>, request: &Presented<'_>) -> Option<String> {
    let (rule, validator) = (rule?, live.validator()?);
    rule.demands.policy()?;
    let caller = validator.check(request, &Demands::none()).await.ok()?;
    let explanation = validator.explain(&caller, request.source, &rule.demands)?;
    Some(explanation.to_string())
}

fn advice(refusal: &Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::NoRule => "add a [[route]] whose path matches",
        Refusal::Method { .. } => "add the method to a route of this very path",
        Refusal::Case => "write the path as the rule does",
        Refusal::Token(rejection) => match rejection.code() {
            "no_credentials" => {
                "give the token on stdin: countersign token | countersign-gateway explain …"
            }
            "wrong_audience" => "ask for a token for this API: countersign token --audience …",
            "insufficient_scope" => "sign in with the scope: countersign login --scope …",
            _ => return None,
        },
        Refusal::Path(_) => return None,
    })
}

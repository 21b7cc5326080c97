//! The one decision: may this request pass, and by which rule.
//!
//! The proxy, forward-auth and `explain` all ask here, so that none of them can be kinder than the
//! others. Nothing about a request is decided by its query or its body; where a person has to confirm
//! it, that is for this query and this body.
//!
//! Not responsible for carrying the decision out, nor for writing it down.

use std::borrow::Cow;

use countersign_oauth::text::printable;
use countersign_resource::step_up::{Confirmed, Seen};
use countersign_resource::{Advice, Caller, Presentation, Presented, Rejection};
use http::header::{ALLOW, CONTENT_LENGTH};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::config::Access;
use crate::live::{Live, Published, Rule};
use crate::route::{Match, PathProblem, canonical};

/// What was decided about a request.
#[derive(Debug)]
pub(crate) struct Decision<'l, 'r> {
    /// The path in the form in which it was compared, and is passed on; as it came when it has none.
    pub(crate) path: Cow<'r, str>,
    /// The rule that decided; none when no rule is for such a request.
    pub(crate) rule: Option<&'l Rule>,
    /// The resource of its own that the address belongs to; none when there are no such parts.
    pub(crate) part: Option<&'l Published>,
    /// Whether it passes.
    pub(crate) verdict: Verdict,
}

/// Whether a request passes.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It passes: for this caller, or for anybody.
    Pass(Option<Caller>),
    /// It does once a person has confirmed it by a one-time password: ask [`confirm`].
    Confirm(Caller),
    /// It does not.
    Refuse(Refusal),
}

impl Verdict {
    /// Whose request it is, as far as that is known.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Pass(caller) => caller.as_ref(),
            Self::Confirm(caller) => Some(caller),
            Self::Refuse(_) => None,
        }
    }
}

/// Why a request does not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// The path can be read in two ways.
    #[error(transparent)]
    Path(#[from] PathProblem),
    /// A part of the path differs from a rule's in case only.
    #[error("the path differs from a rule's in case only")]
    Case,
    /// No rule is for this path. What is not allowed is refused.
    #[error("no rule is for this path")]
    NoRule,
    /// The rules for this path are for other methods.
    #[error("the rules for this path are for other methods")]
    Method {
        /// For which.
        allow: String,
    },
    /// What was presented does not satisfy the rule.
    #[error(transparent)]
    Token(#[from] Rejection),
}

impl Refusal {
    /// A stable name for logs and metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Path(problem) => problem.code(),
            Self::Case => "path_case",
            Self::NoRule => "no_rule",
            Self::Method { .. } => "method",
            Self::Token(rejection) => rejection.code(),
        }
    }

    /// The whole answer to the caller, with an empty body.
    pub(crate) fn response<B: Default>(&self, advice: &Advice) -> Response<B> {
        let status = match self {
            Self::Token(rejection) => return rejection.response(advice),
            Self::Path(_) | Self::Case => StatusCode::BAD_REQUEST,
            Self::NoRule => StatusCode::FORBIDDEN,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
        };
        let mut response = Response::new(B::default());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        if let Self::Method { allow } = self
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

/// Decides about a request whose target has this path.
///
/// `request` says what is presented; its method counts, and the path counts apart from its target,
/// because forward-auth is asked about the target of another request.
pub(crate) async fn decide<'l, 'r>(
    live: &'l Live,
    path: &'r str,
    request: &Presented<'_>,
) -> Decision<'l, 'r> {
    let (path, rule) = match find(live, path, request.method) {
        Ok((path, rule)) => (path, rule),
        Err(refusal) => {
            return Decision {
                path: Cow::Borrowed(path),
                rule: None,
                part: None,
                verdict: Verdict::Refuse(refusal),
            };
        }
    };
    let part = live.part(request.origin, &path);
    let verdict = match admit(live, rule, part, request).await {
        Ok(Some(caller)) if rule.route.confirm.is_some() => Verdict::Confirm(caller),
        Ok(caller) => Verdict::Pass(caller),
        Err(rejection) => Verdict::Refuse(rejection.into()),
    };
    Decision {
        path,
        rule: Some(rule),
        part,
        verdict,
    }
}

/// Whether a person has confirmed a request that its rule lets pass only then. The password that it
/// brings is used up.
pub(crate) async fn confirm(
    live: &Live,
    rule: &Rule,
    caller: &Caller,
    request: &Presented<'_>,
    body: Seen<'_>,
) -> Result<Confirmed, Refusal> {
    let (Some(wanted), Some(confirmer)) = (&rule.route.confirm, live.confirmer()) else {
        // The configuration is refused when a rule asks for a password and nobody judges any.
        return Err(Refusal::NoRule);
    };
    let asking = confirmer.confirm(caller, request, body, &wanted.asked);
    asking.await.map_err(Refusal::Token)
}

/// The rule for a path and a method, and the path's one form.
pub(crate) fn find<'l, 'r>(
    live: &'l Live,
    path: &'r str,
    method: &Method,
) -> Result<(Cow<'r, str>, &'l Rule), Refusal> {
    let path = canonical(path)?;
    match live.table().find(&path, method) {
        Match::Route(number) => match live.rule(number) {
            Some(rule) => Ok((path, rule)),
            None => Err(Refusal::NoRule),
        },
        Match::Method(methods) => Err(Refusal::Method {
            allow: methods.allow(),
        }),
        Match::Nothing => Err(Refusal::NoRule),
        Match::Case => Err(Refusal::Case),
    }
}

async fn admit(
    live: &Live,
    rule: &Rule,
    part: Option<&Published>,
    request: &Presented<'_>,
) -> Result<Option<Caller>, Rejection> {
    let wanted = match &rule.route.access {
        Access::Public => return Ok(None),
        Access::Token(wanted) => wanted,
    };
    // The configuration is refused when a rule wants a token and nobody issues any.
    let Some(validator) = live.validator() else {
        return Err(Rejection::NoCredentials);
    };
    let caller = validator.check(request, &rule.demands).await?;
    if !wanted.issuers.is_empty() {
        let issuers = live.config().issuers.iter().enumerate();
        let mut among = issuers
            .filter(|(at, _)| wanted.issuers.contains(at))
            .map(|(_, issuer)| issuer.url.as_str());
        if !among.clone().any(|issuer| issuer == caller.issuer()) {
            return Err(Rejection::WrongIssuer {
                expected: among.next().unwrap_or_default().to_owned(),
                found: caller.issuer().to_owned(),
            });
        }
    }
    // Whom a load balancer has signed in is named by a header that says nothing of resources.
    if let Some(part) = part.filter(|_| caller.presentation() != Presentation::LoadBalancer) {
        let audiences = caller.audiences();
        if !audiences.contains(&part.url()) {
            return Err(Rejection::WrongAudience {
                expected: vec![part.url().to_owned()],
                found: audiences.into_iter().map(printable).collect(),
            });
        }
    }
    Ok(Some(caller))
}

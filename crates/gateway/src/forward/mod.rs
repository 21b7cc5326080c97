//! Forward-auth: another proxy has the request, asks whether it may pass, and passes it on itself.
//!
//! It is the same decision by the same rules. What the proxy says about the request is believed only
//! from a proxy that is trusted, and only when it says exactly one thing: a header that is missing or
//! there twice is a refusal, and nothing takes its place.
//!
//! An answer never has a body: a proxy that does not read it would have to open a connection for each
//! request. On what passes, every header that tells who calls is in the answer, empty when there is
//! nothing to tell, so that a proxy that copies them overwrites whatever the caller has sent. Only
//! nginx gets no empty ones: it overwrites with a header that is missing as well.
//!
//! Not responsible for how each proxy is told to ask, which is in `docs/gateway`, nor for the body of the
//! request, which is only seen where Envoy hands it over.

mod asked;
mod check_request;
mod envoy;
mod subject;
mod wire;

use std::borrow::Cow;

use countersign_resource::step_up::STEP_UP;
use countersign_resource::{Caller, Presented};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

use crate::config::{Asked, ForwardAuth, Place, Preset};
use crate::decide::{Decision, Refusal, Verdict, decide};
use crate::identity;
use crate::live::Rule;
use crate::proxy::{Download, Received};
use crate::route::{PathProblem, canonical};
use crate::serve::{
    DPOP, DPOP_NONCE, Exchange, REQUEST_ID, Scene, Unsound, bare, next_nonce, unsound,
};
use crate::step_up;
use subject::Subject;

/// Whether a body that Envoy hands over was cut.
const PARTIAL_BODY: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");
/// What most answers hold, and no more room than that.
const USUAL_HEADERS: usize = 8;
/// How Envoy is told by HTTP which headers must not go on.
const TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// What becomes of a request that was asked about.
#[derive(Debug)]
enum Judged {
    /// It may pass, as the proxy is to change it.
    Pass(Box<Change>),
    Refuse(Response<Download>),
}

/// What the proxy has to change in a request before it passes it on.
#[derive(Debug, Default)]
struct Change {
    /// Headers to set. An empty one stands for a header that must not be there.
    set: HeaderMap,
    /// Headers of the caller's that must not go on, for a proxy that can be told so.
    remove: Vec<HeaderName>,
    /// A nonce for the caller's next proof of possession (RFC 9449, section 8.2).
    nonce: Option<HeaderValue>,
}

/// Answers a proxy.
pub(crate) async fn answer(
    exchange: &Exchange<'_>,
    number: usize,
    request: Request<Incoming>,
) -> Response<Download> {
    let (mut parts, body) = request.into_parts();
    // The tables of a running gateway are always the same ones.
    let Some(forward) = exchange.live.config().forward_auth.get(number) else {
        return exchange.refuse_unsound(&parts, None, UNTRUSTED);
    };
    if !is_trusted(exchange, forward) {
        return exchange.refuse_unsound(&parts, None, UNTRUSTED);
    }
    let subject = match &forward.asked {
        Asked::Headers {
            method,
            uri,
            host,
            client,
        } => {
            let names = asked::Names {
                method,
                uri,
                host,
                client,
            };
            asked::by_headers(&mut parts, &names)
        }
        Asked::Request { client } => asked::by_request(&mut parts, client.as_ref()),
        Asked::Message => return envoy::call(exchange, forward, &parts, body).await,
    };
    let subject = match subject {
        Ok(subject) if forward.body => with_body(exchange, subject, body).await,
        subject => subject,
    };
    let judged = match subject {
        Ok(subject) => judge(exchange, forward, subject).await,
        Err(unsound) => Judged::Refuse(exchange.refuse_unsound(&parts, None, unsound)),
    };
    match judged {
        Judged::Pass(change) => pass(forward.preset, *change),
        Judged::Refuse(response) => refuse(forward.preset, response),
    }
}

const UNTRUSTED: Unsound = Unsound {
    code: "untrusted_proxy",
    status: StatusCode::FORBIDDEN,
};

/// Whether this peer may say what a request is. Nobody may, unless the file says so.
fn is_trusted(exchange: &Exchange<'_>, forward: &ForwardAuth) -> bool {
    if matches!(forward.place, Place::Unix(..)) {
        return true;
    }
    let connection = exchange.connection;
    let wants_certificate = forward
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca.is_some());
    if wants_certificate && connection.certificate().is_none() {
        return false;
    }
    if forward.trust.is_empty() {
        return wants_certificate;
    }
    let peer = connection.peer();
    forward.trust.iter().any(|block| block.contains(peer))
}

/// Decides about the request that was asked about, and writes the decision down.
async fn judge(exchange: &Exchange<'_>, forward: &ForwardAuth, subject: Subject) -> Judged {
    let connection = exchange.connection;
    let (path, has_fragment) = match subject.target.split_once('?') {
        Some((path, query)) => (path, query.contains('#')),
        None => (&*subject.target, false),
    };
    let client = subject.client.unwrap_or(connection.peer());
    let origin = forward.origins.iter().find(|origin| {
        let named = subject.host.as_bytes();
        origin.authority.as_bytes().eq_ignore_ascii_case(named)
    });
    let early = if subject.method == Method::CONNECT {
        Some(Unsound {
            code: "method_connect",
            status: StatusCode::METHOD_NOT_ALLOWED,
        })
    } else if origin.is_none() {
        Some(Unsound {
            code: "foreign_host",
            status: StatusCode::MISDIRECTED_REQUEST,
        })
    } else if identity::is_misleading(&subject.headers, &exchange.live.config().identity) {
        Some(unsound("misleading_header"))
    } else {
        None
    };
    // Whatever else is wrong with a path is found by `decide`.
    let uri = if has_fragment {
        Err(Refusal::Path(PathProblem::Delimiter))
    } else {
        Uri::try_from(&*subject.target).map_err(|_| {
            let problem = canonical(path).err();
            Refusal::Path(problem.unwrap_or(PathProblem::BareCharacter))
        })
    };
    let mut parts = Request::new(()).into_parts().0;
    parts.method = subject.method;
    parts.headers = subject.headers;
    let body = subject.body;
    let undecided = |refusal| Decision {
        path: Cow::Borrowed(path),
        rule: None,
        part: None,
        verdict: Verdict::Refuse(refusal),
    };
    let (uri, refusal) = match uri {
        Ok(uri) => (uri, None),
        Err(refusal) => (Uri::default(), Some(refusal)),
    };
    parts.uri = uri;
    let scene = Scene {
        parts: &parts,
        host: &subject.host,
        client,
    };
    if let Some(unsound) = early {
        connection.metrics().code("refuse", unsound.code);
        let decision = undecided(Refusal::NoRule);
        // A refusal that cannot be written down stays a refusal.
        let _ = exchange.record(&scene, &decision, "refuse", unsound.code, None);
        return Judged::Refuse(bare(unsound.status));
    }
    if let Some(refusal) = refusal {
        let decision = undecided(Refusal::NoRule);
        return Judged::Refuse(exchange.refuse(&scene, &decision, &refusal));
    }
    let presented = Presented::head(&parts)
        .origin(origin.map(|origin| &origin.url))
        .source(subject.client)
        .peer(Some(connection.peer()));
    let mut decision = decide(exchange.live, path, &presented).await;
    connection.metrics().decided(exchange.began.elapsed());
    let (rule, caller) = match (&decision.verdict, decision.rule) {
        (Verdict::Pass(caller), Some(rule)) => (rule, caller.clone()),
        (Verdict::Confirm(caller), Some(rule)) => (rule, Some(caller.clone())),
        (Verdict::Refuse(refusal), _) => {
            return Judged::Refuse(exchange.refuse(&scene, &decision, refusal));
        }
        (Verdict::Pass(_) | Verdict::Confirm(_), None) => {
            return Judged::Refuse(exchange.refuse(&scene, &decision, &Refusal::NoRule));
        }
    };
    let change = match change(exchange, forward, rule, caller.as_ref(), &parts) {
        Ok(change) => change,
        Err(unsound) => {
            return Judged::Refuse(exchange.refuse_ruled(&scene, &decision, rule, unsound));
        }
    };
    let asking = exchange.confirm_asked(&scene, &mut decision, rule, &presented, body.as_deref());
    let confirmed = match asking.await {
        Ok(confirmed) => confirmed,
        Err(refused) => return Judged::Refuse(refused),
    };
    if let Some(refused) = exchange.pass(&scene, &decision, rule, confirmed.as_ref()) {
        return Judged::Refuse(refused);
    }
    rule.counts.count_passed();
    Judged::Pass(Box::new(change))
}

/// Adds the body that Envoy hands over with a question by HTTP.
async fn with_body(
    exchange: &Exchange<'_>,
    mut subject: Subject,
    body: Incoming,
) -> Result<Subject, Unsound> {
    let limits = &exchange.live.config().limits;
    let read = Received::read(body, limits.body, limits.body_idle_time, limits.body_rate).await;
    subject.body = whole(&subject.headers, read.map_err(step_up::told)?.into());
    Ok(subject)
}

/// What an Envoy that hands bodies over says about this one: all of it, or none because there is none.
/// It sets the header itself, over whatever the caller has sent.
fn whole(headers: &HeaderMap, body: Vec<u8>) -> Option<Vec<u8>> {
    let mut said = headers.get_all(PARTIAL_BODY).iter();
    match (said.next(), said.next()) {
        // Said of nothing, it is the caller's word: Envoy says it of what it hands over.
        (Some(partial), None) if partial == "false" && !body.is_empty() => Some(body),
        (None, _) if body.is_empty() && !announces_body(headers) => Some(body),
        // It was cut, or Envoy was not told to hand it over.
        _ => None,
    }
}

fn announces_body(headers: &HeaderMap) -> bool {
    let is_some = |length: &HeaderValue| length.as_bytes() != b"0";
    headers.contains_key(TRANSFER_ENCODING) || headers.get_all(CONTENT_LENGTH).iter().any(is_some)
}

/// What the service may know of the caller, and what it must not see.
fn change(
    exchange: &Exchange<'_>,
    forward: &ForwardAuth,
    rule: &Rule,
    caller: Option<&Caller>,
    parts: &Parts,
) -> Result<Change, Unsound> {
    let identity = &exchange.live.config().identity;
    let mut change = Change {
        set: HeaderMap::with_capacity(USUAL_HEADERS),
        ..Change::default()
    };
    // nginx takes a header that is not there for an empty one, and each costs it time.
    if forward.preset != Preset::Nginx {
        identity::blank(&mut change.set, identity);
        let nothing = HeaderValue::from_static("");
        change.set.insert(AUTHORIZATION, nothing);
    }
    if let Some(caller) = caller {
        let audience = match &rule.upstream {
            Some(upstream) => &upstream.spec().audience,
            None => &forward.audience,
        };
        exchange.identify(&mut change.set, caller, rule, audience)?;
        change.nonce = next_nonce(caller);
    }
    let token = parts.headers.get(AUTHORIZATION);
    if let Some(token) = token.filter(|_| rule.route.pass.token) {
        let mut token = token.clone();
        token.set_sensitive(true);
        change.set.insert(AUTHORIZATION, token);
    }
    if !matches!(forward.preset, Preset::Envoy | Preset::EnvoyGrpc) {
        return Ok(change);
    }
    // The others are told in their own files which headers to take away.
    change.set.insert(REQUEST_ID, exchange.id.clone());
    change.remove.push(DPOP);
    change.remove.push(STEP_UP);
    for name in parts.headers.keys() {
        if identity::is_of_outsider(name.as_str(), identity) && !change.set.contains_key(name) {
            change.remove.push(name.clone());
        }
    }
    Ok(change)
}

/// 200 and what the proxy copies.
fn pass(preset: Preset, mut change: Change) -> Response<Download> {
    let mut response = Response::new(Download::Empty);
    if preset == Preset::Envoy {
        // Envoy takes headers away when it is told so; others only overwrite them.
        let empty = change.set.iter().filter(|(_, value)| value.is_empty());
        let names: Vec<&str> = change
            .remove
            .iter()
            .chain(empty.map(|(name, _)| name))
            .map(HeaderName::as_str)
            .collect();
        if let Ok(names) = HeaderValue::from_str(&names.join(",")) {
            change.set.insert(TO_REMOVE, names);
        }
    }
    let headers = response.headers_mut();
    *headers = change.set;
    if let Some(nonce) = change.nonce {
        headers.insert(DPOP_NONCE, nonce);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// The refusal in the form that the proxy hands on to the caller.
fn refuse(preset: Preset, mut response: Response<Download>) -> Response<Download> {
    join_challenges(response.headers_mut());
    if preset == Preset::Nginx && response.status().is_client_error() {
        // It knows these two, and takes all others for an error of ours.
        if response.status() != StatusCode::UNAUTHORIZED {
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
    }
    response
}

/// One header with all challenges (RFC 9110, section 11.6.1): some proxies hand on one only.
fn join_challenges(headers: &mut HeaderMap) {
    let challenges: Vec<&[u8]> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if challenges.len() < 2 {
        return;
    }
    if let Ok(all) = HeaderValue::from_bytes(&challenges.join(&b", "[..])) {
        headers.insert(WWW_AUTHENTICATE, all);
    }
}

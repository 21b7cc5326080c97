//! One request, from its head to the head of its answer.
//!
//! The order: what no request may be (its form), then the decision, then the record of it, and only
//! then the upstream. A refusal says a status and a challenge, never why in words: that is in the
//! audit log.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use countersign_resource::step_up::{Confirmed, STEP_UP};
use countersign_resource::{Caller, Presented, Timestamp};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::audit::Entry;
use crate::browser::Visit;
use crate::connection::{Connection, Door, InFlight};
use crate::decide::{Decision, Refusal, Verdict, decide};
use crate::forward;
use crate::forwarded::{self, Seen};
use crate::identity;
use crate::live::{Live, Rule};
use crate::proxy::{
    self, Download, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, Passing, Unserved, Wish,
};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Answers a request.
pub(crate) async fn answer(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Download>, Infallible> {
    let began = Instant::now();
    let live = connection.live();
    let in_flight = InFlight::begin(&connection);
    let id = connection.shared().request_id(connection.worker());
    let id_text = id.to_str().unwrap_or_default();
    let exchange = Exchange {
        live: &live,
        connection: &connection,
        id: &id,
        id_text,
        began,
    };
    let mut response = match connection.door() {
        Door::Callers => exchange.run(request, in_flight).await,
        Door::ForwardAuth(number) => {
            let answer = forward::answer(&exchange, number, request).await;
            drop(in_flight);
            answer
        }
    };
    response.headers_mut().insert(REQUEST_ID, id.clone());
    connection
        .metrics()
        .answered(response.status(), began.elapsed());
    Ok(response)
}

/// Why a request is refused before anything is decided about it: it is no sound request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsound {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
}

pub(crate) const fn unsound(code: &'static str) -> Unsound {
    Unsound {
        code,
        status: StatusCode::BAD_REQUEST,
    }
}

/// A page of somebody else's makes a browser send what its person has not asked for.
const CROSS_SITE: Unsound = Unsound {
    code: "cross_site",
    status: StatusCode::FORBIDDEN,
};

/// A request that is being answered, and with what.
pub(crate) struct Exchange<'x> {
    pub(crate) live: &'x Live,
    pub(crate) connection: &'x Arc<Connection>,
    pub(crate) id: &'x HeaderValue,
    id_text: &'x str,
    pub(crate) began: Instant,
}

impl Exchange<'_> {
    async fn run(&self, mut request: Request<Incoming>, in_flight: InFlight) -> Response<Download> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (mut parts, body) = request.into_parts();
        let host = match host(&parts) {
            Ok(host) => host,
            Err(unsound) => return self.refuse_unsound(&parts, None, unsound),
        };
        let seen = match self.check(&parts, &host) {
            Ok(seen) => seen,
            Err(unsound) => return self.refuse_unsound(&parts, Some(&host), unsound),
        };
        if let Some(metadata) = self.metadata(&parts, &host) {
            return metadata;
        }
        let visit = match self.receive(&mut parts, &host, seen.client).await {
            Ok(visit) => visit,
            Err(answer) => return *answer,
        };
        let sound = Sound {
            parts,
            body,
            upgrade,
            host,
            seen,
        };
        let mut answer = self.proceed(sound, visit.as_ref(), in_flight).await;
        if let Some(visit) = visit {
            visit.complete(answer.headers_mut(), now());
        }
        answer
    }

    /// Decides about a request and carries that out.
    async fn proceed(
        &self,
        sound: Sound,
        visit: Option<&Visit<'_>>,
        in_flight: InFlight,
    ) -> Response<Download> {
        let Sound {
            mut parts,
            body,
            upgrade,
            host,
            seen,
        } = sound;
        // From here on the path is borrowed and the headers change.
        let uri = parts.uri.clone();
        let presented = Presented::head(&parts)
            .origin(self.live.origin(host.as_bytes()))
            .client_certificate(self.connection.certificate())
            .source(Some(seen.client))
            .peer(Some(self.connection.peer()));
        let mut decision = decide(self.live, uri.path(), &presented).await;
        self.connection.metrics().decided(self.began.elapsed());
        let scene = Scene {
            parts: &parts,
            host: &host,
            client: seen.client,
        };
        let (rule, caller) = match (&decision.verdict, decision.rule) {
            (Verdict::Pass(caller), Some(rule)) => (rule, caller.clone()),
            (Verdict::Confirm(caller), Some(rule)) => (rule, Some(caller.clone())),
            (Verdict::Refuse(refusal), _) => {
                let answer = self.refuse(&scene, &decision, refusal);
                let instead = self.instead(&scene, &decision, visit).await;
                return instead.unwrap_or(answer);
            }
            (Verdict::Pass(_) | Verdict::Confirm(_), None) => {
                return self.refuse(&scene, &decision, &Refusal::NoRule);
            }
        };
        let Some(upstream) = &rule.upstream else {
            let elsewhere = Unsound {
                code: "no_upstream",
                status: StatusCode::FORBIDDEN,
            };
            return self.refuse_ruled(&scene, &decision, rule, elsewhere);
        };
        if visit.is_some_and(Visit::is_forged) {
            return self.refuse_ruled(&scene, &decision, rule, CROSS_SITE);
        }
        let wish = proxy::wish(&parts);
        if let Some(unsound) = self.unfit(&parts, rule, wish) {
            return self.refuse_ruled(&scene, &decision, rule, unsound);
        }
        let asking = self.confirm(&scene, &mut decision, rule, &presented, body);
        let (confirmed, body) = match asking.await {
            Ok(confirmed) => confirmed,
            Err(answer) => {
                let instead = self.instead(&scene, &decision, visit).await;
                return instead.unwrap_or(answer);
            }
        };
        if let Some(refused) = self.pass(&scene, &decision, rule, confirmed.as_ref()) {
            return refused;
        }
        let audience = &upstream.spec().audience;
        let who = caller.as_ref().map(|caller| (caller, &**audience));
        let trailers = match self.dress(&mut parts.headers, &host, &seen, rule, who) {
            Ok(trailers) => trailers,
            Err(unsound) => return self.fail(&parts, &host, &seen, &decision, unsound, None),
        };
        let Some(target) = proxy::target(&decision.path, &uri) else {
            let unsound = unsound("target");
            return self.fail(&parts, &host, &seen, &decision, unsound, None);
        };
        let (method, version) = (parts.method.clone(), parts.version);
        let passing = Passing {
            request: Request::from_parts(parts, body),
            upstream,
            target,
            host: host.clone(),
            trailers,
            upgrade: (wish == Wish::WebSocket).then_some(upgrade),
        };
        match proxy::forward(passing, self.live, rule, self.connection, in_flight).await {
            Ok(mut answer) => {
                rule.counts.count_passed();
                if let Some(nonce) = caller.as_ref().and_then(next_nonce) {
                    answer.headers_mut().insert(DPOP_NONCE, nonce);
                }
                if let Some(visit) = visit {
                    visit.cleanse(answer.headers_mut());
                }
                answer
            }
            Err(unserved) => {
                let mut parts = Request::new(()).into_parts().0;
                (parts.method, parts.version, parts.uri) = (method, version, uri.clone());
                self.unserved(&parts, &host, &seen, &decision, &unserved)
            }
        }
    }

    /// What no request may be, whatever the rules say.
    fn check(&self, parts: &Parts, host: &HeaderValue) -> Result<Seen, Unsound> {
        if parts.method == Method::CONNECT {
            return Err(Unsound {
                code: "method_connect",
                status: StatusCode::METHOD_NOT_ALLOWED,
            });
        }
        if !self.live.is_our_host(host.as_bytes()) {
            return Err(Unsound {
                code: "foreign_host",
                status: StatusCode::MISDIRECTED_REQUEST,
            });
        }
        if let Some(expect) = parts.headers.get(EXPECT)
            && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
        {
            return Err(Unsound {
                code: "expectation",
                status: StatusCode::EXPECTATION_FAILED,
            });
        }
        forwarded::seen(
            self.connection.peer(),
            self.connection.is_secure(),
            &parts.headers,
            &self.live.config().trust,
        )
        .map_err(|_| unsound("forwarded"))
    }

    /// What everybody may know about the services behind (RFC 9728, section 3.1). It is the gateway's
    /// own, so no rule is asked.
    fn metadata(&self, parts: &Parts, host: &HeaderValue) -> Option<Response<Download>> {
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return None;
        }
        let origin = self.live.origin(host.as_bytes());
        let published = self.live.published_at(origin, parts.uri.path())?;
        let (head, text) = published.metadata().response::<String>().into_parts();
        Some(Response::from_parts(head, Download::whole(text)))
    }

    /// What a request of this rule may not be.
    fn unfit(&self, parts: &Parts, rule: &Rule, wish: Wish) -> Option<Unsound> {
        let length = parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let most = rule
            .route
            .max_body
            .unwrap_or(self.live.config().limits.body);
        if length.is_some_and(|length| length > most) {
            return Some(Unsound {
                code: "body_too_long",
                status: StatusCode::PAYLOAD_TOO_LARGE,
            });
        }
        match wish {
            Wish::Malformed => Some(unsound("websocket_malformed")),
            Wish::WebSocket if !rule.route.websocket => Some(Unsound {
                code: "websocket",
                status: StatusCode::FORBIDDEN,
            }),
            _ => None,
        }
    }

    /// Takes out of the request what must not go on, and puts in what the upstream may know. Says
    /// whether the caller takes trailers.
    fn dress(
        &self,
        headers: &mut HeaderMap,
        host: &HeaderValue,
        seen: &Seen,
        rule: &Rule,
        who: Option<(&Caller, &str)>,
    ) -> Result<bool, Unsound> {
        let config = self.live.config();
        let hop = proxy::strip_request(headers).map_err(|_| unsound("connection_header"))?;
        identity::strip(headers, &config.identity);
        proxy::join_cookies(headers);
        headers.remove(EXPECT);
        headers.remove(DPOP);
        headers.remove(STEP_UP);
        if !rule.route.pass.token {
            headers.remove(AUTHORIZATION);
        }
        let client = if seen.client == self.connection.peer() {
            self.connection.peer_value()
        } else {
            address_value(seen.client)
        };
        headers.insert(FORWARDED_FOR, client);
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(seen.scheme));
        headers.insert(FORWARDED_HOST, host.clone());
        headers.insert(REQUEST_ID, self.id.clone());
        if let Some((caller, audience)) = who {
            self.identify(headers, caller, rule, audience)?;
        }
        Ok(hop.trailers)
    }

    /// Puts in who the caller is, as far as the rule tells it.
    pub(crate) fn identify(
        &self,
        headers: &mut HeaderMap,
        caller: &Caller,
        rule: &Rule,
        audience: &str,
    ) -> Result<(), Unsound> {
        let config = self.live.config();
        if rule.route.pass.headers {
            identity::add_headers(headers, caller, &config.identity).map_err(|_| Unsound {
                code: "identity_unfit",
                status: StatusCode::FORBIDDEN,
            })?;
        }
        if rule.route.pass.assertion {
            let assertion = self.live.signer().assertion(
                caller,
                self.live.own_name(),
                audience,
                &config.identity,
                now(),
            );
            let assertion = assertion.ok_or(Unsound {
                code: "assertion",
                status: StatusCode::INTERNAL_SERVER_ERROR,
            })?;
            headers.insert(config.identity.header.clone(), assertion);
        }
        Ok(())
    }

    /// Writes down that a request passes; a refusal when that cannot be done.
    pub(crate) fn pass(
        &self,
        scene: &Scene<'_>,
        decision: &Decision<'_, '_>,
        rule: &Rule,
        confirmed: Option<&Confirmed>,
    ) -> Option<Response<Download>> {
        let passed = self.write(scene, decision, ("pass", "pass"), confirmed, None);
        passed.is_err().then(|| {
            let full = Unsound {
                code: "audit_unavailable",
                status: StatusCode::SERVICE_UNAVAILABLE,
            };
            rule.counts.refused.fetch_add(1, Relaxed);
            self.connection.metrics().code("refuse", full.code);
            bare(full.status)
        })
    }

    pub(crate) fn refuse(
        &self,
        scene: &Scene<'_>,
        decision: &Decision<'_, '_>,
        refusal: &Refusal,
    ) -> Response<Download> {
        let code = refusal.code();
        if let Some(rule) = decision.rule {
            rule.counts.refused.fetch_add(1, Relaxed);
        }
        self.connection.metrics().code("refuse", code);
        // A refusal that cannot be written down stays a refusal.
        let _ = self.record(scene, decision, "refuse", code, None);
        refusal.response(&self.live.advice(decision.part))
    }

    pub(crate) fn refuse_ruled(
        &self,
        scene: &Scene<'_>,
        decision: &Decision<'_, '_>,
        rule: &Rule,
        unsound: Unsound,
    ) -> Response<Download> {
        rule.counts.refused.fetch_add(1, Relaxed);
        self.connection.metrics().code("refuse", unsound.code);
        let _ = self.record(scene, decision, "refuse", unsound.code, None);
        bare(unsound.status)
    }

    pub(crate) fn refuse_unsound(
        &self,
        parts: &Parts,
        host: Option<&HeaderValue>,
        unsound: Unsound,
    ) -> Response<Download> {
        self.connection.metrics().code("refuse", unsound.code);
        let nothing = HeaderValue::from_static("");
        let decision = Decision {
            path: parts.uri.path().into(),
            rule: None,
            part: None,
            verdict: Verdict::Refuse(Refusal::NoRule),
        };
        let scene = Scene {
            parts,
            host: host.unwrap_or(&nothing),
            client: self.connection.peer(),
        };
        let _ = self.record(&scene, &decision, "refuse", unsound.code, None);
        bare(unsound.status)
    }

    /// A request that may pass and was not answered by its upstream.
    fn unserved(
        &self,
        parts: &Parts,
        host: &HeaderValue,
        seen: &Seen,
        decision: &Decision<'_, '_>,
        unserved: &Unserved,
    ) -> Response<Download> {
        let reason = unserved.to_string();
        let told = Unsound {
            code: unserved.code(),
            status: unserved.status(),
        };
        let mut response = self.fail(parts, host, seen, decision, told, Some(&reason));
        if matches!(unserved, Unserved::Body(_)) && parts.version < Version::HTTP_2 {
            // The rest of the body would be read as the next request.
            let close = HeaderValue::from_static("close");
            response
                .headers_mut()
                .insert(http::header::CONNECTION, close);
        }
        response
    }

    /// A request that may pass and cannot be answered.
    fn fail(
        &self,
        parts: &Parts,
        host: &HeaderValue,
        seen: &Seen,
        decision: &Decision<'_, '_>,
        told: Unsound,
        reason: Option<&str>,
    ) -> Response<Download> {
        if let Some(rule) = decision.rule {
            rule.counts.failed.fetch_add(1, Relaxed);
        }
        self.connection.metrics().code("fail", told.code);
        let scene = Scene {
            parts,
            host,
            client: seen.client,
        };
        let _ = self.record(&scene, decision, "fail", told.code, reason);
        bare(told.status)
    }

    pub(crate) fn record(
        &self,
        scene: &Scene<'_>,
        decision: &Decision<'_, '_>,
        said: &'static str,
        code: &str,
        reason: Option<&str>,
    ) -> Result<(), crate::audit::Full> {
        self.write(scene, decision, (said, code), None, reason)
    }

    fn write(
        &self,
        scene: &Scene<'_>,
        decision: &Decision<'_, '_>,
        (said, code): (&'static str, &str),
        confirmed: Option<&Confirmed>,
        reason: Option<&str>,
    ) -> Result<(), crate::audit::Full> {
        let Some(audit) = self.live.audit() else {
            return Ok(());
        };
        audit.record(&Entry {
            time: now(),
            id: self.id_text,
            client: scene.client,
            method: scene.parts.method.as_str(),
            host: scene.host.to_str().unwrap_or_default(),
            path: &decision.path,
            query: scene.parts.uri.query(),
            rule: decision.rule.map(|rule| &*rule.route.name),
            decision: said,
            code,
            caller: decision.verdict.caller(),
            confirmed,
            reason,
        })
    }
}

/// A request whose form is sound, before anything is decided about it.
struct Sound {
    parts: Parts,
    body: Incoming,
    upgrade: OnUpgrade,
    host: HeaderValue,
    seen: Seen,
}

/// What an audit line is about.
pub(crate) struct Scene<'s> {
    pub(crate) parts: &'s Parts,
    pub(crate) host: &'s HeaderValue,
    pub(crate) client: IpAddr,
}

/// The one host that a request names (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
pub(crate) fn host(parts: &Parts) -> Result<HeaderValue, Unsound> {
    let mut values = parts.headers.get_all(HOST).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(unsound("host_twice"));
    }
    let named = match (header, parts.uri.authority()) {
        (Some(header), None) => header.clone(),
        (Some(header), Some(authority)) => {
            if !header
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
            {
                return Err(unsound("host_mismatch"));
            }
            header.clone()
        }
        (None, Some(authority)) => {
            // Only HTTP/2 may leave it out.
            if parts.version < Version::HTTP_2 {
                return Err(unsound("host_missing"));
            }
            HeaderValue::from_str(authority.as_str()).map_err(|_| unsound("host_malformed"))?
        }
        (None, None) => return Err(unsound("host_missing")),
    };
    let is_sound = !named.is_empty()
        && named
            .as_bytes()
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]~".contains(byte));
    if is_sound {
        Ok(named)
    } else {
        Err(unsound("host_malformed"))
    }
}

/// A nonce for the caller's next proof of possession (RFC 9449, section 8.2), when the one at hand is
/// getting old.
pub(crate) fn next_nonce(caller: &Caller) -> Option<HeaderValue> {
    caller
        .next_nonce()
        .and_then(|nonce| HeaderValue::from_str(nonce).ok())
}

/// An answer of ours without a body.
pub(crate) fn bare(status: StatusCode) -> Response<Download> {
    let mut response = Response::new(Download::Empty);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

pub(crate) fn address_value(address: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&address.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

//! Requests that a person has to confirm: their bodies are read, and their password is asked for.
//!
//! Not responsible for what is asked, which is the rule's, nor for the challenge and the password, which
//! are `countersign-resource`'s.

use bytes::Bytes;
use countersign_resource::Presented;
use countersign_resource::step_up::{Confirmed, Seen};
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use hyper::body::Incoming;

use crate::decide::{Decision, Verdict, confirm};
use crate::live::Rule;
use crate::proxy::{BodyProblem, Download, Received, Unserved};
use crate::serve::{DPOP_NONCE, Exchange, Scene, Unsound, next_nonce};

/// A stream of messages has no end that a password could be bound to, and who sends one cannot answer
/// a challenge.
const STREAM: Unsound = Unsound {
    code: "otp_grpc",
    status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
};

/// The proxy that asks has kept the body, or has cut it.
const UNSEEN: Unsound = Unsound {
    code: "otp_body_unseen",
    status: StatusCode::FORBIDDEN,
};

impl Exchange<'_> {
    /// Has a request confirmed if its decision waits for that. Gives the body back, which had to be
    /// read then. Afterwards the decision is made; a refusal has been written down.
    pub(crate) async fn confirm(
        &self,
        scene: &Scene<'_>,
        decision: &mut Decision<'_, '_>,
        rule: &Rule,
        presented: &Presented<'_>,
        body: Incoming,
    ) -> Result<(Option<Confirmed>, Received), Response<Download>> {
        if !matches!(decision.verdict, Verdict::Confirm(_)) {
            return Ok((None, Received::Stream(body)));
        }
        if is_grpc(&scene.parts.headers) {
            return Err(self.refuse_ruled(scene, decision, rule, STREAM));
        }
        let body = match self.read(rule, body).await {
            Ok(body) => body,
            Err(problem) => {
                let mut answer = self.refuse_ruled(scene, decision, rule, told(problem));
                if scene.parts.version < Version::HTTP_2 {
                    // The rest of the body would be read as the next request.
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                return Err(answer);
            }
        };
        let seen = Seen::Whole(&body);
        let confirmed = self.ask(scene, decision, rule, presented, seen).await?;
        Ok((confirmed, Received::Whole(body)))
    }

    /// As [`confirm`](Self::confirm), for a request that another proxy has: `body` is all of it, where
    /// that proxy hands it over.
    pub(crate) async fn confirm_asked(
        &self,
        scene: &Scene<'_>,
        decision: &mut Decision<'_, '_>,
        rule: &Rule,
        presented: &Presented<'_>,
        body: Option<&[u8]>,
    ) -> Result<Option<Confirmed>, Response<Download>> {
        if !matches!(decision.verdict, Verdict::Confirm(_)) {
            return Ok(None);
        }
        let confirm = rule.route.confirm.as_ref();
        let seen = match body {
            _ if is_grpc(&scene.parts.headers) => Err(STREAM),
            Some(body) if confirm.is_some_and(|it| body.len() > it.asked.body_limit()) => {
                Err(told(BodyProblem::TooLong))
            }
            Some(body) => Ok(Seen::Whole(body)),
            None if confirm.is_some_and(|it| it.danger_unbound_body) => Ok(Seen::DangerUnbound),
            None => Err(UNSEEN),
        };
        match seen {
            Ok(seen) => self.ask(scene, decision, rule, presented, seen).await,
            Err(unsound) => Err(self.refuse_ruled(scene, decision, rule, unsound)),
        }
    }

    async fn ask(
        &self,
        scene: &Scene<'_>,
        decision: &mut Decision<'_, '_>,
        rule: &Rule,
        presented: &Presented<'_>,
        body: Seen<'_>,
    ) -> Result<Option<Confirmed>, Response<Download>> {
        let Verdict::Confirm(caller) = &decision.verdict else {
            return Ok(None);
        };
        let caller = caller.clone();
        match confirm(self.live, rule, &caller, presented, body).await {
            Ok(confirmed) => {
                decision.verdict = Verdict::Pass(Some(caller));
                Ok(Some(confirmed))
            }
            Err(refusal) => {
                let mut answer = self.refuse(scene, decision, &refusal);
                if let Some(nonce) = next_nonce(&caller) {
                    answer.headers_mut().insert(DPOP_NONCE, nonce);
                }
                decision.verdict = Verdict::Refuse(refusal);
                Err(answer)
            }
        }
    }

    async fn read(&self, rule: &Rule, body: Incoming) -> Result<Bytes, BodyProblem> {
        let limits = &self.live.config().limits;
        let most = rule.route.max_body.unwrap_or(limits.body);
        let asked = rule.route.confirm.as_ref();
        let bound = asked.map_or(0, |confirm| confirm.asked.body_limit() as u64);
        let rate = rule.route.body_rate.unwrap_or(limits.body_rate);
        Received::read(body, most.min(bound), limits.body_idle_time, rate).await
    }
}

pub(crate) fn told(problem: BodyProblem) -> Unsound {
    let unserved = Unserved::Body(problem);
    Unsound {
        code: unserved.code(),
        status: unserved.status(),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_TYPE).iter().any(|kind| {
        kind.as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"application/grpc")
    })
}

/// Says that this has to be done elsewhere, for a person at a browser.
pub(crate) const IN_A_TERMINAL: &str = "This has to be confirmed by a one-time password, which a browser \
     cannot send here. A command line can: countersign curl, for example.";

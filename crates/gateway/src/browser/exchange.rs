//! Where people at a browser part from the way of every request.
//!
//! Not responsible for the rest of that way, which is `serve`.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};

use super::{Answered, Visit};
use crate::decide::{Decision, Refusal, Verdict};
use crate::proxy::Download;
use crate::serve::{Exchange, Scene, Unsound, bare, now};

impl Exchange<'_> {
    /// Who is at a browser, if anybody can sign in here. Requests to our own endpoints end here.
    pub(crate) async fn receive(
        &self,
        parts: &mut Parts,
        host: &HeaderValue,
        client: IpAddr,
    ) -> Result<Option<Visit<'_>>, Box<Response<Download>>> {
        let origin = self.live.origin(host.as_bytes());
        let (Some(sign_in), Some(origin)) = (self.live.sign_in(), origin) else {
            return Ok(None);
        };
        let visit = match sign_in.receive(self.live, parts, origin, now()).await {
            Ok(visit) => visit,
            Err(error) => {
                let unsound = Unsound {
                    code: error.code(),
                    status: StatusCode::SERVICE_UNAVAILABLE,
                };
                return Err(Box::new(self.refuse_unsound(parts, Some(host), unsound)));
            }
        };
        if sign_in.is_own(parts.uri.path()) {
            let answered = sign_in.answer(self.live, parts, &visit, now()).await;
            return Err(Box::new(self.own(parts, host, client, answered)));
        }
        Ok(Some(visit))
    }

    /// What a person at a browser is told in place of a refusal.
    pub(crate) async fn instead(
        &self,
        scene: &Scene<'_>,
        decision: &Decision<'_, '_>,
        visit: Option<&Visit<'_>>,
    ) -> Option<Response<Download>> {
        let Verdict::Refuse(Refusal::Token(rejection)) = &decision.verdict else {
            return None;
        };
        let asked = (&*decision.path, scene.parts.uri.query());
        visit?
            .instead(decision.rule?, rejection, asked, now())
            .await
    }

    /// Writes down what became of a request to an endpoint of our own.
    fn own(
        &self,
        parts: &Parts,
        host: &HeaderValue,
        client: IpAddr,
        answered: Answered,
    ) -> Response<Download> {
        let said = if answered.refused.is_some() {
            self.connection.metrics().code("refuse", answered.code);
            "refuse"
        } else {
            "pass"
        };
        let decision = Decision {
            path: parts.uri.path().into(),
            rule: None,
            part: None,
            verdict: Verdict::Pass(answered.caller.clone()),
        };
        // The query is not written down, even where others are: there is a code in it.
        let mut bare_parts = Request::new(()).into_parts().0;
        bare_parts.method = parts.method.clone();
        let scene = Scene {
            parts: &bare_parts,
            host,
            client,
        };
        let reason = answered.refused.as_deref().filter(|why| !why.is_empty());
        let written = self.record(&scene, &decision, said, answered.code, reason);
        if written.is_err() && answered.refused.is_none() {
            self.connection
                .metrics()
                .code("refuse", "audit_unavailable");
            return bare(StatusCode::SERVICE_UNAVAILABLE);
        }
        answered.response
    }
}

//! Tells, with `-v`, which requests go out and what becomes of them.
//!
//! Only what cannot be secret: methods, addresses without their query, states, sizes and times.

use std::time::{Duration, Instant};

use countersign_client::{HttpRequest, HttpResponse, Transport, TransportError, printable};

use crate::output::Voice;

/// A transport that tells what it does.
#[derive(Debug)]
pub(crate) struct Told<T> {
    voice: Voice,
    inner: T,
}

impl<T> Told<T> {
    pub(crate) fn new(voice: Voice, inner: T) -> Self {
        Self { voice, inner }
    }
}

impl<T: Transport> Transport for Told<T> {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        let mut address = request.url.clone();
        address.set_query(None);
        address.set_fragment(None);
        let begun = Instant::now();
        let answer = self.inner.send(request, limit);
        let took = begun.elapsed().as_millis();
        self.voice.detail(1, || {
            let outcome = match &answer {
                Ok(answer) => format!("{} ({} bytes)", answer.status, answer.body.len()),
                Err(error) => printable(&error.to_string()),
            };
            format!(
                "{} {address}: {outcome} in {took} ms",
                request.method.as_str()
            )
        });
        answer
    }
}

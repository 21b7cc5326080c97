//! The server: whether it answers, what it says about itself, and what time it thinks it is.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use countersign_oauth::preset::Preset;
use countersign_oauth::{Discovery, HttpRequest, HttpResponse, TransportError};

use crate::drive::{Asleep, drive};
use crate::offset::Offset;
use crate::{Clock, Error, Login, Provider, Transport};

/// What a server said about itself, asked now and not taken from the cache.
#[derive(Debug)]
#[non_exhaustive]
pub struct Discovered {
    /// The server, or why it is of no use.
    pub provider: Result<Provider, Error>,
    /// Whether its metadata was published; otherwise it is known from the preset or configured.
    pub published: bool,
    /// By how much the clocks differ, and whether ours is ahead; nothing if they agree within a minute,
    /// or nobody said.
    pub clock: Option<(Duration, bool)>,
    /// Whether the server said what time it is.
    pub dated: bool,
    /// The addresses that were asked and gave no usable document, and why.
    pub set_aside: Vec<(String, String)>,
}

/// Asks the server of `login` about itself. All requests together end within `limit`.
///
/// # Errors
/// When the context of the login cannot be made.
pub fn discover(login: &Login, limit: Duration) -> Result<Discovered, Error> {
    let context = login.made_context()?.hurried(limit);
    let clock = context.clock();
    let heard = Heard::new(context.transport(), clock);
    let preset = login.request().preset.as_deref().and_then(Preset::by_name);
    let known =
        preset.and_then(|preset| Provider::unpublished(login.issuer(), login.overrides(), preset));
    let published = known.is_none();
    let mut set_aside = Vec::new();
    let provider = if let Some(known) = known {
        // Whether it is there at all is found out by the first request that matters.
        known
    } else {
        let mut flow = Discovery::new(login.issuer());
        let metadata = drive(&mut flow, &heard, clock, &mut Asleep(clock));
        let aside = flow.set_aside().iter();
        set_aside.extend(aside.map(|(url, error)| (url.to_string(), error.to_string())));
        metadata.and_then(|metadata| Provider::from_metadata(metadata, login.overrides()))
    };
    let heard = heard.learned();
    Ok(Discovered {
        provider,
        published,
        clock: heard.and_then(Offset::difference),
        dated: heard.is_some(),
        set_aside,
    })
}

/// A transport that learns what time the server thinks it is from any answer that tells. A document
/// may come out of somebody's cache: then it has an `Age`, and tells nothing.
struct Heard<'a> {
    inner: &'a dyn Transport,
    clock: &'a dyn Clock,
    offset: Mutex<Option<Offset>>,
}

impl<'a> Heard<'a> {
    fn new(inner: &'a dyn Transport, clock: &'a dyn Clock) -> Self {
        Self {
            inner,
            clock,
            offset: Mutex::new(None),
        }
    }

    fn learned(&self) -> Option<Offset> {
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Heard<'_> {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        let sent = self.clock.now();
        let answer = self.inner.send(request, limit)?;
        if answer.header("date").is_some() && answer.header("age").is_none() {
            let mut offset = Offset::default();
            offset.learn(&answer, sent, self.clock.now());
            *self.offset.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset);
        }
        Ok(answer)
    }
}

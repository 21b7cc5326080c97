//! The server: whether it answers, what it says about itself, and what time it thinks it is.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use countersign_oauth::preset::Preset;
use countersign_oauth::{Discovery, HttpRequest, HttpResponse, TransportError};

use serde::{Deserialize, Serialize};

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
    /// What the server said about the time.
    pub clock: ServerClock,
    /// The addresses that were asked and gave no usable document, and why.
    pub set_aside: Vec<(String, String)>,
}

/// What a server's answers say about its clock and ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever looks at it has to say something about each"
)]
pub enum ServerClock {
    /// No answer was dated, or all of them came out of somebody's cache.
    Unknown,
    /// They agree within a minute.
    Agrees,
    /// They do not.
    Differs {
        /// By how much.
        by: Duration,
        /// Whether ours is ahead of the server's.
        ahead: bool,
    },
}

/// Asks the server of `login` about itself. All requests together end within `limit`.
///
/// # Errors
/// When the context of the login cannot be made.
pub fn discover(login: &Login, limit: Duration) -> Result<Discovered, Error> {
    let context = login.made_context()?.hurried(limit);
    let clock = context.clock();
    let heard = Dated::new(context.transport(), clock);
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
    Ok(Discovered {
        provider,
        published,
        clock: heard.server_clock(),
        set_aside,
    })
}

/// A transport that learns what time the server thinks it is from any answer that tells. A document
/// may come out of somebody's cache: then it has an `Age`, and tells nothing.
pub struct Dated<'a> {
    inner: &'a dyn Transport,
    clock: &'a dyn Clock,
    offset: Mutex<Option<Offset>>,
}

impl std::fmt::Debug for Dated<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dated").finish_non_exhaustive()
    }
}

impl<'a> Dated<'a> {
    /// Sends what it is given over `inner`; our time is that of `clock`.
    pub fn new(inner: &'a dyn Transport, clock: &'a dyn Clock) -> Self {
        Self {
            inner,
            clock,
            offset: Mutex::new(None),
        }
    }

    /// What the last answer said that was dated.
    pub fn server_clock(&self) -> ServerClock {
        let learned = *self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        match learned.map(Offset::difference) {
            None => ServerClock::Unknown,
            Some(None) => ServerClock::Agrees,
            Some(Some((by, ahead))) => ServerClock::Differs { by, ahead },
        }
    }
}

impl Transport for Dated<'_> {
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

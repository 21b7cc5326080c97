//! Finding out what an authorization server offers.
//!
//! Not responsible for: caching, and endpoints that a server does not publish
//! ([`Metadata::apply`](crate::Metadata::apply)).

use std::time::Duration;

use countersign_jose::Timestamp;
use url::Url;

use crate::error::{Endpoint, Misuse};
use crate::{
    Error, Flow, HttpRequest, HttpResponse, Issuer, Metadata, PeerMisbehaved, Step, TransportError,
    answer,
};

/// How often one document is asked for. Reading is repeatable, and a server behind a balancer
/// fails one request in many.
const ATTEMPTS: u32 = 3;
/// The wait before the second attempt; each later one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest wait for a document: somebody sits before a terminal.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The machine that fetches and merges the metadata documents of an issuer:
///
/// 1. `ISSUER/.well-known/openid-configuration` (OpenID Connect Discovery 1.0, section 4);
/// 2. `/.well-known/oauth-authorization-server` with the issuer's path after it (RFC 8414, section 3.1),
///    if the first document lacks one of the endpoints a command-line program uses;
/// 3. if there was neither: `/.well-known/openid-configuration` with the issuer's path after it (RFC
///    8414, section 5), and `ISSUER/.well-known/oauth-authorization-server`, where some servers put it.
///
/// Where two documents differ, the earlier one counts. Each must name exactly the issuer that was asked
/// for; the first usable answer about another issuer ends the exchange. Once a document has been
/// found, trouble with a later one is no reason to fail: it is set aside, see
/// [`set_aside`](Self::set_aside).
#[derive(Debug)]
pub struct Discovery {
    issuer: Issuer,
    places: Vec<Url>,
    place: usize,
    attempt: u32,
    found: Option<Metadata>,
    set_aside: Vec<(Url, Error)>,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    Waiting { until: Timestamp },
    Sent,
    Failed(Error),
    Finished,
}

impl Discovery {
    /// Asks `issuer` about itself.
    pub fn new(issuer: &Issuer) -> Self {
        Self {
            issuer: issuer.clone(),
            places: well_known(issuer),
            place: 0,
            attempt: 1,
            found: None,
            set_aside: Vec::new(),
            state: State::Ready,
        }
    }

    /// The addresses that gave no usable document, and why. Interesting for diagnosis; an absent
    /// document (404) is among them.
    pub fn set_aside(&self) -> &[(Url, Error)] {
        &self.set_aside
    }

    /// What comes next once the document at the current place is known or given up.
    fn advance(&mut self) {
        self.place += 1;
        self.attempt = 1;
        self.state = State::Ready;
    }

    /// Whether to ask at the next place.
    fn wants_more(&self) -> bool {
        match &self.found {
            None => self.place < self.places.len(),
            // The last two places are for servers that have nothing at the first two.
            Some(metadata) => self.place < 2 && !is_complete(metadata),
        }
    }

    fn finish(&mut self) -> Result<Step<Metadata>, Error> {
        self.state = State::Finished;
        if let Some(metadata) = self.found.take() {
            return Ok(Step::Done(metadata));
        }
        // If anything but plain absence was seen, that is the more useful thing to report.
        match self
            .set_aside
            .iter()
            .position(|(_, error)| !is_absence(error))
        {
            Some(telling) => Err(self.set_aside.swap_remove(telling).1),
            None => Err(Error::NoMetadata {
                issuer: self.issuer.to_string(),
                tried: self.places.iter().map(Url::to_string).collect(),
            }),
        }
    }

    /// Decides what an error at the current place means.
    fn failed(&mut self, error: Error, now: Timestamp) -> Result<(), Error> {
        let interrupted = matches!(
            &error,
            Error::Transport {
                source: TransportError::Interrupted,
                ..
            }
        );
        let again = match &error {
            // Nobody waits for a document that only adds to the one at hand.
            _ if self.found.is_some() => false,
            Error::Unavailable { .. } => true,
            Error::Transport { source, .. } => matches!(source, TransportError::Closed),
            _ => false,
        };
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.attempt - 1);
        let pause = pause.max(error.retry_after().unwrap_or_default());
        if again && self.attempt < ATTEMPTS && pause <= MAX_PAUSE {
            self.attempt += 1;
            self.state = State::Waiting { until: now + pause };
            return Ok(());
        }
        let fatal = matches!(
            &error,
            Error::Transport { .. }
                | Error::Unavailable { .. }
                | Error::PeerMisbehaved {
                    what: PeerMisbehaved::IssuerMismatch { .. },
                    ..
                }
        );
        if interrupted || (fatal && self.found.is_none()) {
            self.state = State::Finished;
            return Err(error);
        }
        if let Some(place) = self.places.get(self.place) {
            self.set_aside.push((place.clone(), error));
        }
        self.advance();
        Ok(())
    }
}

impl Flow for Discovery {
    type Output = Metadata;

    fn poll(&mut self, now: Timestamp) -> Result<Step<Metadata>, Error> {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Waiting { until } if now < until => {
                self.state = State::Waiting { until };
                return Ok(Step::WaitUntil(until));
            }
            State::Ready | State::Waiting { .. } => {}
            State::Sent => {
                self.state = State::Sent;
                return Err(Misuse::AnswerOutstanding.into());
            }
            State::Failed(error) => return Err(error),
            State::Finished => return Err(Misuse::Finished.into()),
        }
        match self.places.get(self.place) {
            Some(place) if self.wants_more() => {
                self.state = State::Sent;
                Ok(Step::Send(HttpRequest::get(place.clone())))
            }
            _ => self.finish(),
        }
    }

    fn handle(&mut self, response: &HttpResponse, now: Timestamp) -> Result<(), Error> {
        if !matches!(self.state, State::Sent) {
            return Err(Misuse::NothingSent.into());
        }
        self.state = State::Finished;
        let document = answer::object(Endpoint::Discovery, response)
            .and_then(|object| Metadata::from_object(&object, &self.issuer));
        match (document, &mut self.found) {
            (Err(error), _) => return self.failed(error, now),
            (Ok(document), Some(metadata)) => metadata.merge(document),
            (Ok(document), found @ None) => *found = Some(document),
        }
        self.advance();
        Ok(())
    }

    fn transport_failed(&mut self, error: TransportError, now: Timestamp) {
        if !matches!(self.state, State::Sent) {
            return;
        }
        let error = Error::Transport {
            endpoint: Endpoint::Discovery,
            source: error,
        };
        if let Err(error) = self.failed(error, now) {
            self.state = State::Failed(error);
        }
    }
}

/// Whether nothing is missing that a second document could add and a command-line program would use.
fn is_complete(metadata: &Metadata) -> bool {
    metadata.token_endpoint.is_some()
        && metadata.device_authorization_endpoint.is_some()
        && metadata.jwks_uri.is_some()
        && metadata.userinfo_endpoint.is_some()
        && metadata.revocation_endpoint.is_some()
}

/// Whether the error only says that there is no document at this place.
fn is_absence(error: &Error) -> bool {
    match error {
        Error::Refused(_) => true,
        Error::PeerMisbehaved {
            what: PeerMisbehaved::Html { status },
            ..
        } => *status >= 400,
        _ => false,
    }
}

/// The places for an issuer, without repetition, in the order of [`Discovery`].
fn well_known(issuer: &Issuer) -> Vec<Url> {
    const OPENID: &str = "/.well-known/openid-configuration";
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    let base = issuer.as_url();
    // A terminating slash is removed before the suffix is added (both specifications say so).
    let path = base.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut url = base.clone();
        url.set_path(&path);
        url
    };
    let mut places = vec![
        at(format!("{path}{OPENID}")),
        at(format!("{OAUTH}{path}")),
        at(format!("{OPENID}{path}")),
        at(format!("{path}{OAUTH}")),
    ];
    // Without a path, the last two are the first two again.
    if path.is_empty() {
        places.truncate(2);
    }
    places
}

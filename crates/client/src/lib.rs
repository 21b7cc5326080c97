//! Signs a person in from a command-line program, and keeps the session.
//!
//! A program that wants a token says where its people sign in and asks for one; what happens in
//! between (the browser that comes back to a listener on loopback, the device grant of RFC 8628, the
//! file that keeps the session, the refresh that other processes must not repeat) is this crate's
//! business:
//!
//! ```no_run
//! use std::time::Duration;
//! use countersign_client::{Login, PlainPrompt};
//!
//! # fn main() -> Result<(), countersign_client::Error> {
//! let login = Login::new("https://id.example.com", "inventory")?.scope("inventory:read");
//! let tokens = login.ensure(&mut PlainPrompt::new(std::io::stderr()))?;
//! let token = tokens.access_token(Duration::from_secs(60))?;
//! assert!(!token.expose().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! An API may ask for more than a token: for its own nonce in the proof, for another sign-in, or for a
//! one-time password that confirms this one request (`docs/step-up.md`). A program that sends a request
//! goes on until the API is content. `send` is the program's own, and follows no redirects:
//!
//! ```no_run
//! use countersign_client::{CallNext, OtpTerminal};
//! # use countersign_client::{Error, Secret, TokenSource};
//! # struct Response { status: u16, headers: std::collections::BTreeMap<String, String> }
//! # fn delete(
//! #     tokens: &TokenSource,
//! #     url: &url::Url,
//! #     send: impl Fn(&str, &url::Url, &[(&str, Secret)]) -> Response,
//! # ) -> Result<Response, Error> {
//! let mut call = tokens.call("DELETE", url);
//! loop {
//!     let response = send("DELETE", url, &call.headers()?);
//!     match call.heard(response.status, &response.headers, &mut OtpTerminal)? {
//!         CallNext::Again => {}
//!         // `SignIn` is among them, for those who go on with `Login::step_up`.
//!         _ => return Ok(response),
//!     }
//! }
//! # }
//! ```
//!
//! The pieces, for those who need more than that:
//!
//! - [`Context`]: where files live, how requests are sent, what the time is. Cheap to make: nothing
//!   is opened, connected or loaded until it is needed.
//! - [`Login`]: the sign-in, shown through a [`Prompt`] that the caller draws.
//! - [`SignIn`]: the ways to do it, [`Environment`]: what the place allows, [`Redirect`]: where a browser
//!   comes back to, [`Browser`]: which one is opened.
//! - [`TokenSource`]: a token when one is asked for. A cached token costs one small file read.
//! - [`Target`] and [`OtherToken`]: a token for another API from the same login; [`Exchange`]: one token for
//!   another.
//! - [`StepUp`]: what an API may answer to a token that is good: [`Login::step_up`] signs the person in again.
//! - [`Call`]: one request, sent again as the API asks for it, with a one-time password too; [`OtpPrompt`] asks
//!   the person, [`OtpTerminal`] at a terminal.
//! - [`Session`]: what is kept, and what can be said about it without a network.
//! - [`Accounts`]: several people signed in under one name, and which of them is meant.
//! - [`logout`] and [`userinfo`]: the end, and the live question who this is.
//! - [`Provider`]: metadata and keys of an authorization server, from cache where that is sound.
//! - [`Derived`]: what somebody else gave for a token, kept with the session and gone with it.
//! - [`Forwarder`]: requests of other programs passed on to one server, bodies as they come.
//! - [`probe`]: a look at how things are, without signing anybody in.
//! - [`Error`]: with a stable code, hints as data, and the exit category of the command line.
//!
//! Not here: the protocol itself (`countersign-oauth`), signatures (`countersign-jose`), terminal
//! widgets (the caller draws), asynchronous runtimes (everything blocks, on the caller's thread; one
//! more lives while a browser that has come back waits for the result).

mod accounts;
mod api_nonces;
mod attempt;
mod browser;
mod cache;
mod client_key;
mod clock;
mod code;
mod context;
mod derived;
mod device;
mod drive;
mod early;
mod environment;
mod error;
mod exchange;
mod failure;
mod keyring;
mod listener;
mod login;
mod logout;
mod migrate;
mod offset;
mod other;
mod person;
mod plan;
pub mod probe;
mod prompt;
mod provider;
mod redirect;
mod refresh;
mod run;
mod service;
mod session;
mod sign_in;
mod source;
mod step_up;
mod transport;
mod trust;
mod unseen;
mod userinfo;
mod vaults;

pub use accounts::{Account, Accounts, Found, OtherPerson, SignedIn};
pub use browser::{Browser, BrowserOutcome};
pub use clock::{Clock, SystemClock};
pub use context::{Context, Directories};
pub use countersign_jose::Timestamp;
pub use countersign_oauth::preset;
pub use countersign_oauth::text::printable;
pub use countersign_oauth::{
    EndpointOverrides, HeaderValue, HttpRequest, HttpResponse, InvalidScope, Method, NotOtp,
    OtpChallenge, OtpDemand, OtpError, OtpFailed, OtpHeard, OtpMethod, OtpPassword, OtpRefused,
    Refusal, ScopeSet, Secret, ShownToken, StepUp, Target, TokenType, TokenTypeId, TransportError,
    UnreadableStepUp, missing_scope, wants_dpop_nonce,
};
pub use countersign_store::{
    AskPassphrase, InvalidKey as InvalidSessionName, Key as SessionName, PassphraseFor,
    SecretBytes, UnknownVault, VaultKind,
};
pub use derived::Derived;
pub use environment::{Environment, Place, Reach};
pub use error::{
    AnotherWay, Error, ExitCategory, Explained, LoginRequired, NoOtherApi, NotGiven, NotSteppedUp,
    TriedBefore,
};
pub use exchange::{Exchange, Subject};
pub use keyring::KeyringProgram;
pub use login::{Dpop, Login};
pub use logout::{LogoutPage, LogoutReport, Revocation, logout};
pub use migrate::{MoveReport, migrate};
pub use other::OtherToken;
pub use plan::Obstacle;
pub use prompt::{
    AuthorizationPrompt, DevicePrompt, Fallback, Notice, Paste, PasteRefused, PlainPrompt, Prompt,
};
pub use provider::Provider;
pub use redirect::Redirect;
pub use session::{Identity, Session, SessionSecrets};
pub use sign_in::SignIn;
pub use source::{Authorization, TokenSource};
pub use step_up::{
    Call, CallNext, Confirmation, OtpPrompt, OtpQuestion, OtpReply, OtpSlip, OtpTerminal,
};
pub use transport::{Forwarder, HttpOptions, HttpTransport, Incoming, Outgoing, Transport};
pub use trust::Trust;
pub use unseen::{Keystroke, Unseen};
pub use userinfo::userinfo;
pub use vaults::{Announce, VaultOptions};

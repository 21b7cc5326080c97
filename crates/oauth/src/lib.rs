//! OAuth 2.0 and OpenID Connect, seen from the client: messages, rules and state machines as values.
//!
//! Nothing here opens a socket, reads a clock, sleeps, starts a thread or touches a file. An exchange
//! with an authorization server is a [`Flow`]: ask it what to do at a time, do that, and tell it what
//! came back. The same machine then serves a blocking program, an asynchronous one, a fuzzer, and a
//! test that covers ten minutes in no time.
//!
//! | To | use | by |
//! |---|---|---|
//! | find out what a server offers | [`Discovery`] → [`Metadata`] | RFC 8414, OpenID Connect Discovery |
//! | fetch its keys | [`KeysFlow`] → [`FetchedKeys`] | RFC 7517 |
//! | say what to ask for | [`AuthorizationRequest`] | RFC 6749, RFC 8707, OpenID Connect Core |
//! | ask for a device code | [`DeviceAuthorizationFlow`] → [`DeviceAuthorization`] | RFC 8628 |
//! | wait for the person | [`DeviceFlow`] → [`TokenResponse`] | RFC 8628 |
//! | send the person to a browser | [`AuthorizationFlow`] → [`PendingAuthorization`] | RFC 6749, section 4.1; RFC 7636; RFC 9126 |
//! | read what comes back from it | [`PendingAuthorization::accept`] → [`AuthorizationCode`] | RFC 6749, section 4.1.2; RFC 9207 |
//! | redeem the code | [`CodeFlow`] → [`TokenResponse`] | RFC 6749, section 4.1.3 |
//! | get a token without a person | [`ClientCredentialsFlow`] → [`TokenResponse`] | RFC 6749, section 4.4 |
//! | prove who the client is | [`ClientAuthentication`], [`ClientKey`] | RFC 6749, section 2.3; RFC 7523 |
//! | bind tokens to a key | [`DpopKey`] in [`Client`] | RFC 9449 |
//! | know who it was | [`id_token::verify`] → [`IdToken`] | OpenID Connect Core, section 3.1.3.7 |
//! | get the next access token | [`RefreshFlow`] → [`TokenResponse`] | RFC 6749, section 6 |
//! | get one for another API | [`RefreshFlow::with`] a [`Target`] | RFC 8707, section 2.2 |
//! | exchange one token for another | [`TokenExchangeFlow`] → [`ExchangedToken`] | RFC 8693 |
//! | ask the server who it is | [`UserInfoFlow`] → [`UserInfo`] | OpenID Connect Core, section 5.3 |
//! | end a token | [`RevocationFlow`] | RFC 7009 |
//! | end a browser session | [`Metadata::end_session_url`] | OpenID Connect RP-Initiated Logout |
//! | ask whether a token is good | [`IntrospectionFlow`] → [`Introspection`] | RFC 7662 |
//! | know a provider's ways beforehand | [`preset::Preset`] | their documentation |
//! | read and write `WWW-Authenticate` | [`challenge`] | RFC 9110, RFC 6750 |
//! | read what an API asks of a person | [`StepUp`], [`OtpDemand`] → [`OtpAnswers`] | RFC 9470, RFC 8941 |
//!
//! # A driver
//!
//! ```
//! use countersign_oauth::{Error, Flow, HttpRequest, HttpResponse, Step, Timestamp, TransportError};
//!
//! /// What a driver brings along: a clock, and a way to send requests.
//! trait World {
//!     fn now(&self) -> Timestamp;
//!     fn sleep_until(&mut self, time: Timestamp);
//!     fn send(&mut self, request: &HttpRequest) -> Result<HttpResponse, TransportError>;
//! }
//!
//! fn drive<F: Flow>(mut flow: F, world: &mut impl World) -> Result<F::Output, Error> {
//!     loop {
//!         match flow.poll(world.now())? {
//!             Step::Done(output) => return Ok(output),
//!             Step::WaitUntil(time) => world.sleep_until(time),
//!             Step::Send(request) => match world.send(&request) {
//!                 Ok(response) => flow.handle(&response, world.now())?,
//!                 Err(error) => flow.transport_failed(error, world.now()),
//!             },
//!         }
//!     }
//! }
//! #
//! # // A scripted server: pending once, then tokens.
//! # use countersign_oauth::*;
//! # struct Script { now: Timestamp, answers: Vec<&'static str> }
//! # impl World for Script {
//! #     fn now(&self) -> Timestamp { self.now }
//! #     fn sleep_until(&mut self, time: Timestamp) { self.now = time }
//! #     fn send(&mut self, _: &HttpRequest) -> Result<HttpResponse, TransportError> {
//! #         let body = self.answers.remove(0);
//! #         let status = if body.contains("error") { 400 } else { 200 };
//! #         Ok(HttpResponse { status, headers: vec![], body: body.into() })
//! #     }
//! # }
//! # let mut world = Script {
//! #     now: Timestamp::from_secs(1_000),
//! #     answers: vec![
//! #         r#"{"device_code":"d","user_code":"BCDF-GHJK","verification_uri":"https://id.example/d","expires_in":600}"#,
//! #         r#"{"error":"authorization_pending"}"#,
//! #         r#"{"access_token":"t","token_type":"Bearer"}"#,
//! #     ],
//! # };
//! # let mut metadata = Metadata::new(Issuer::parse("https://id.example")?);
//! # metadata.token_endpoint = Some(url::Url::parse("https://id.example/token")?);
//! # metadata.device_authorization_endpoint = Some(url::Url::parse("https://id.example/device")?);
//! use countersign_oauth::{AuthorizationRequest, Client, DeviceFlow, ScopeSet};
//!
//! let client = Client::public("cli");
//! let request = AuthorizationRequest::new(ScopeSet::parse("openid offline_access")?);
//! let authorization = drive(request.start_device(&metadata, &client)?, &mut world)?;
//! // Show `authorization.verification_uri` and `authorization.user_code` to the person.
//! let flow = DeviceFlow::new(&metadata, &client, &authorization, world.now())?;
//! let tokens = drive(flow, &mut world)?;
//! assert_eq!(tokens.access_token.expose(), "t");
//! # assert_eq!(world.now, Timestamp::from_secs(1_010));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A sign-in in a browser
//!
//! The code grant has a value between its two machines: a request that is under way, and to which
//! something comes back, perhaps after much that is not for it.
//!
//! ```
//! use countersign_jose::crypto::ring;
//! use countersign_oauth::{
//!     AuthorizationRequest, CallbackError, Client, CodeFlow, Flow, ScopeSet, Step,
//! };
//! # use countersign_oauth::{Issuer, Metadata, Timestamp};
//! # let now = Timestamp::from_secs(1_000);
//! # let mut metadata = Metadata::new(Issuer::parse("https://id.example")?);
//! # metadata.token_endpoint = Some(url::Url::parse("https://id.example/token")?);
//! # metadata.authorization_endpoint = Some(url::Url::parse("https://id.example/authorize")?);
//!
//! let client = Client::public("cli");
//! let request = AuthorizationRequest::new(ScopeSet::parse("openid offline_access")?);
//! // Where a listener waits already, or a page that shows the code.
//! let redirect_uri = "http://127.0.0.1:49152/callback";
//! let mut flow = request.start_code(&metadata, &client, redirect_uri, ring::provider())?;
//! let Step::Done(pending) = flow.poll(now)? else {
//!     panic!("drive it as above: this server wants the request pushed first");
//! };
//!
//! // Open `pending.url()` in a browser, and read each request to the listener until one answers.
//! # let state = pending.url().query_pairs().find(|(name, _)| name == "state").unwrap().1;
//! # let requests = ["", "code=forged&state=guessed", &format!("code=real&state={state}")];
//! let mut answers = requests.iter().filter_map(|query| match pending.accept(query) {
//!     Err(CallbackError::NotOurs(_)) => None, // Go on waiting.
//!     answer => Some(answer),
//! });
//! let code = answers.next().expect("a person who signs in")?;
//!
//! // Drive this one as above, then compare the ID token with `pending.expected_id_token(..)`.
//! let mut flow = CodeFlow::new(&metadata, &client, &pending, &code)?;
//! # let Ok(Step::Send(request)) = flow.poll(now) else { panic!() };
//! # assert!(request.body.unwrap().expose().contains("&code=real&"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a driver owes is listed at [`HttpRequest`]; above all it follows no redirect and reads at most
//! [`MAX_BODY`] bytes.
//!
//! # What is refused and what is forgiven
//!
//! Whatever could be read in two ways, or could send a secret elsewhere, is refused: members named
//! twice, other issuers, endpoints without TLS, redirects. What real servers merely do differently is
//! forgiven, and named where it is: at [`TokenResponse`], [`DeviceAuthorization`] and [`Metadata`]; the
//! test `tests/tolerances.rs` has one case for each. What comes to a redirect URI without our `state` is
//! neither: it is not ours, and changes nothing ([`NotOurs`]).
//!
//! # Errors
//!
//! One enum, [`Error`], keeps apart whether the server broke a rule, refused, or could not be reached,
//! or the calling program made a mistake ([`Error::origin`]); says whether a retry can help
//! ([`Error::is_retryable`]); and holds advice as data ([`Error::hints`]). No message holds a secret,
//! and text from a server has passed through [`text::printable`].

mod answer;
mod authorization;
pub mod challenge;
mod client;
mod client_credentials;
mod device;
mod discovery;
mod dpop;
mod end_session;
mod error;
mod error_code;
mod exchange;
mod flow;
pub mod grant;
mod http;
pub mod id_token;
mod introspection;
mod issuer;
mod keys;
mod metadata;
pub mod pkce;
pub mod preset;
mod refresh;
mod revocation;
mod scope;
pub mod secret;
mod step_up;
mod target;
pub mod text;
mod token;
mod token_exchange;
mod userinfo;

pub use countersign_jose::Timestamp;

pub use authorization::{
    AuthorizationCode, AuthorizationFlow, AuthorizationRequest, CallbackError, CodeFlow,
    KeptAuthorization, MAX_CALLBACK, NotOurs, PendingAuthorization, Push,
};
pub use client::{AssertionAudience, Client, ClientAuthentication, ClientKey};
pub use client_credentials::ClientCredentialsFlow;
pub use device::{DeviceAuthorization, DeviceAuthorizationFlow, DeviceFlow};
pub use discovery::Discovery;
pub use dpop::DpopKey;
pub use end_session::EndSessionRequest;
pub use error::{Endpoint, Error, Misuse, Origin, PeerMisbehaved, Refusal};
pub use error_code::ErrorCode;
pub use flow::{Flow, Step};
pub use http::{HeaderValue, HttpRequest, HttpResponse, MAX_BODY, Method, TransportError};
pub use id_token::{IdToken, IdTokenError};
pub use introspection::{Introspection, IntrospectionFlow};
pub use issuer::{InvalidIssuer, Issuer};
pub use keys::{FetchedKeys, KeysFlow};
pub use metadata::{EndpointOverrides, Metadata};
pub use refresh::RefreshFlow;
pub use revocation::{RevocationFlow, TokenTypeHint};
pub use scope::{InvalidScope, ScopeSet};
pub use secret::Secret;
pub use step_up::{
    NotOtp, OtpAnswers, OtpChallenge, OtpDemand, OtpError, OtpFailed, OtpHeard, OtpMethod,
    OtpPassword, OtpRefused, StepUp, UnreadableStepUp, missing_scope, wants_dpop_nonce,
};
pub use target::{InvalidResource, Target};
pub use token::{TokenResponse, TokenType};
pub use token_exchange::{
    ExchangedToken, ShownToken, TokenExchange, TokenExchangeFlow, TokenTypeId,
};
pub use userinfo::{SubjectCheck, UserInfo, UserInfoFlow};

//! Asking validation servers whether a Yubico OTP is right: validation protocol 2.0.
//!
//! A request is a `GET` whose parameters are signed with the key that the client shares with the
//! servers (HMAC-SHA-1), and so is the answer. The signature, and that the answer repeats this
//! request's password and nonce, is all that an `OK` is worth; TLS only keeps the password away from
//! others. [`Validation`] asks several servers at once, as the protocol wants it.
//!
//! ```
//! # #[cfg(feature = "ring")] {
//! use std::time::Duration;
//! use countersign_otp::crypto::ring;
//! use countersign_otp::validation::{ApiKey, Client, Nonce, Outcome, Server, Step};
//! use countersign_otp::yubico::{Keyboard, Otp};
//!
//! # fn fetch(_: &str) -> Result<String, std::io::Error> { Err(std::io::ErrorKind::TimedOut.into()) }
//! # let mut time = Duration::from_secs(1_790_000_000);
//! # let mut now = || { time += Duration::from_secs(1); time };
//! let client = Client::new("87", ApiKey::from_base64("AQIDBAUGBwgJCgsMDQ4PEBESExQ=")?)?
//!     .server(Server::new("https://one.example.com/wsapi/2.0/verify")?)
//!     .server(Server::new("https://two.example.com/wsapi/2.0/verify")?);
//! let otp = Otp::parse_typed("vvvvvvcucrlcietctckflvnncdgckubflugerlnr\n", Keyboard::Usual)?;
//! let nonce = Nonce::from_random([0x5a; 16]); // from your random source
//!
//! let mut validation = client.validate(&otp, nonce, now(), ring::provider());
//! let outcome = loop {
//!     match validation.poll(now()) {
//!         // Blocking, one after the other; an async caller starts them all and handles what comes.
//!         Step::Send(question) => match fetch(question.url()) {
//!             Ok(body) => validation.handle(question.server(), body.as_bytes(), now()),
//!             Err(_) => validation.transport_failed(question.server()),
//!         },
//!         Step::WaitUntil(_at) => continue, // nothing is under way in this driver
//!         Step::Done(outcome) => break outcome,
//!     }
//! };
//! assert!(matches!(outcome, Outcome::Undecided(_)));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An async caller has that loop in [`Validation::run`].
//!
//! Not responsible for: HTTP. The driver sends each [`Question`] as a plain `GET`, follows no
//! redirect, reads at most [`MAX_BODY`] bytes and tells what came.

mod answer;
mod carrier;
mod client;
mod machine;
mod signature;
#[cfg(feature = "sim")]
pub mod sim;
mod status;
mod time;

pub use answer::{Accepted, Answer, BadAnswer, MAX_BODY};
pub use carrier::Carrier;
pub use client::{ApiKey, Client, ConfigProblem, Nonce, Server, SyncLevel};
pub use machine::{Outcome, Question, Refusal, Step, Trouble, Undecided, Validation};
pub use status::{Fault, Retry, Status};

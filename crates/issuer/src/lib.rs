//! The embedded `OpenID` provider.
//!
//! Three layers, arrows pointing down:
//!
//! * [`http`] and [`pages`] turn requests into calls and outcomes into answers;
//! * [`core`] holds every rule: who may sign in, what a user code may do, when
//!   a token is renewed and when a whole login is revoked. It reads no clock
//!   and opens no file: time is an argument, records are behind a trait;
//! * [`storage`] keeps the records, in memory or in one `SQLite` file.
//!
//! Beside them, [`keyfile`] keeps the keys, and [`key_servers`] asks the operators of Yubikeys. Addresses, TLS, connections and
//! signals are the program's (`main.rs`).
//!
//! This crate is not responsible for signatures (`countersign-jose`) or for
//! the client's side of any flow (`countersign-oauth`, `countersign-client`).

pub mod core;
pub mod http;
pub mod key_servers;
pub mod keyfile;
pub mod pages;
mod private;
pub mod storage;

pub use crate::core::Core;
pub use crate::http::AppState;

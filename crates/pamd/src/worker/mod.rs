//! The other process: it speaks with the authorization server, has no privileges, and decides nothing.
//!
//! The supervisor starts it from its own program, with one end of a pair of sockets as its standard
//! input, and says over that who the server is and what to ask it. What comes back are codes to show,
//! verified claims, or a failure. Who may do what with the claims is decided on the other side.
//!
//! - `message`: what the two say to each other, and the frames it goes in;
//! - `run`: the worker's own beginning and end; `sandbox`: what it gives up before it speaks with anybody;
//! - `provider`: the server's metadata and keys, kept warm; `flow`: sign-ins and renewals;
//! - `http`: the client crate's transport, with less patience and a smaller stomach.

mod flow;
mod http;
pub(crate) mod message;
mod provider;
mod run;
pub(crate) mod sandbox;

pub use run::run;

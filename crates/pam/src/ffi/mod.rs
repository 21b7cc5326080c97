//! The border to C: the only place in the project where `unsafe` is allowed.
//!
//! What is here turns pointers into Rust's types and back, and does nothing else; what is done with
//! them stands in `hook` and `talk`, and is tested without this.

#![expect(unsafe_code, reason = "PAM and libc are C")]

mod exports;
mod handle;
mod raw;
mod socket;
mod system;

pub(crate) use socket::Socket;

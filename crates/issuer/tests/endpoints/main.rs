//! The JSON endpoints, asked as clients ask them, without sockets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod clients;
mod discovery;
mod dpop;
mod fixture;
mod pushing;
mod tokens;

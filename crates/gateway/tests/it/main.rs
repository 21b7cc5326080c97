//! The gateway from outside: real sockets on both sides.
//!
//! `fixture` starts an issuer, an upstream and a gateway between them; each file is about one promise.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod fixture;
mod stranger;
mod upstream;

mod caddy;
mod devices;
mod envoy;
mod envoy_itself;
mod forward;
mod identity;
mod limits;
mod nginx;
mod otp;
mod outages;
mod program;
mod proxy;
mod reload;
mod reseal;
mod resource;
mod sign_in;
mod smuggling;
mod state;
mod step_up;
mod streams;
mod tls;
mod upstreams;

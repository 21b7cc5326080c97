//! The issuer's rules, against a clock that moves when a test says so.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod accounts;
mod approval;
mod assertions;
mod authorization;
mod code;
mod code_flow;
mod device;
mod dpop;
mod exchange;
mod factors;
mod fixture;
mod inspection;
mod own_tokens;
mod people;
mod pushing;
mod refresh;
mod registration;
mod step_up;
mod withdrawing;

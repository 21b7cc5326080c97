//! The daemon as it runs, between a scripted authorization server and a client that plays the module.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod activation;
mod doctor;
mod failures;
mod fixture;
mod paste;
mod providers;
mod reload;
mod renewals;
mod revocations;
mod services;
mod sign_in;
mod strangers;

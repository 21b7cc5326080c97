//! The pages, asked in process as browsers ask.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod authorize;
mod device;
mod end_session;
mod factors;
mod forms;
mod headers;
mod key_servers;
mod places;
mod setup;
mod sign_in;
mod site;

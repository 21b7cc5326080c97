//! Tests of the crate from outside, each file about one subject.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod answers;
mod common;
mod key_files;
mod machine;
mod oath;
mod properties;
mod server;
mod strangers;
mod vectors;
mod yubico;

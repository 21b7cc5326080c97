//! SSH, whole: a real client at a real sshd with a PAM stack, in it the module as it is shipped, behind it
//! the real `countersign-pamd` with its network worker, and behind that the real `countersign-issuer`, or
//! the scripted provider where an authorization server has to misbehave.
//!
//! Not responsible for what module and daemon say to each other in every case; each of them has tests of
//! its own for that. Here stands what only a whole host can show.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod announced;
mod failures;
mod host;
mod past;
mod people;
mod screen;
mod sessions;
mod waiting;

//! Sessions of the real program, as a person at a terminal or a script would have them.
//!
//! What they print is kept in `tests/transcripts`, so that a reviewer reads what users will read.
//! `UPDATE_TRANSCRIPTS=1 cargo test -p countersign` writes the files anew.

mod accounts;
mod aws;
mod browser;
mod cached;
mod configuration;
mod curl;
mod desk;
mod directory;
mod docker;
mod doctor;
mod end_session;
mod environments;
mod flows;
mod git;
mod headless;
mod https;
mod inspect;
mod install;
mod kubernetes;
mod leaks;
mod login;
mod network;
mod network_proxy;
mod nonce;
mod other_api;
mod otp;
mod proxy;
mod scrub;
mod seat;
mod session;
mod setup;
mod step_up;
mod store;
mod terminal;

//! The module as it is shipped, in PAM: called by a program in C, by pamtester and by valgrind, beside
//! a daemon that does what a test says.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod daemon;
mod driver;
mod headers;
mod library;
mod logins;
mod manners;
mod memory;
mod owners;
mod panics;
mod sshd;
mod strangers;

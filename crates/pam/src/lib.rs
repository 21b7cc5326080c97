//! `pam_countersign.so`: what PAM loads into sshd, login, su and sudo.
//!
//! It decides nothing. Each hook opens a connection to `countersign-pamd`, says what PAM says about
//! the login, shows what the daemon wants to be shown, carries answers back, and returns what the
//! daemon's verdict means to PAM. Whatever goes wrong on the way is a refusal.
//!
//! It runs as root inside of programs that other people wrote, so that most of what it does is what
//! it leaves alone: no HTTP, no TLS, no threads, no signal handler, no locale, nothing in the
//! environment, no data kept from one hook to the next; `PAM_USER` stays what it was. A panic ends at
//! the hook, as a refusal.
//!
//! # Rooms
//!
//! - `ffi`: the border to C, and the only `unsafe` of the whole project. Thin: it turns pointers into
//!   the trait `pam::Pam`, and back.
//! - `hook`: what each hook does; `talk`: one conversation with the daemon; `monitor`: which
//!   process a login is known by; `arguments`: what stands behind the module in `/etc/pam.d`. All of
//!   it is tested without PAM.

#![cfg(target_os = "linux")]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic))]

// A panic that aborts would take sshd's child with it, which sshd counts as a crash of the client's
// making. Profiles cannot say this for one crate.
#[cfg(not(panic = "unwind"))]
compile_error!("pam_countersign catches panics: build it with `--profile pam`");

mod arguments;
mod code;
mod ffi;
mod guard;
mod hook;
mod monitor;
mod pam;
mod talk;
#[cfg(test)]
mod testing;
mod trouble;

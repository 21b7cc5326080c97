//! What Countersign's own tests share: a loopback HTTP server that can misbehave in every way a
//! server was ever seen to, the workspace's real binaries, and a way to run them that cannot hang.
//!
//! A development crate: it is only ever a `[dev-dependencies]` entry, and it panics with a clear
//! sentence where a library would return an error, because the one who calls is a test.
//!
//! Not responsible for: knowing what a correct answer of Countersign is. That stands in the tests.

mod binaries;
mod browser;
mod camera;
mod databases;
mod debian;
mod desktop;
mod home;
mod html;
mod http_message;
mod http_server;
mod process;
mod provider;
mod signing;
mod sshd;
mod terminal;
mod yubiserver;

pub use binaries::{bin, pam_module, pam_module_that_panics, pam_module_under_sanitizer};
pub use browser::{Browser, Page};
pub use camera::{Ground, scan};
pub use databases::Database;
pub use debian::{Release, debian};
pub use desktop::Desktop;
pub use home::Home;
pub use html::Form;
pub use http_message::{Reply, Request};
pub use http_server::HttpServer;
pub use process::{Finished, Program, Running};
pub use rustix::process::Signal;

pub use provider::{ClientAuthentication, Endpoint, Provider};
pub use signing::{Key, Signature};
pub use sshd::{Sshd, at_terminal};
pub use terminal::{Left, Terminal};
pub use yubiserver::Yubiserver;

/// Says what was measured or counted, to whoever runs the tests with `--nocapture`.
#[allow(clippy::print_stdout, reason = "it is for whoever runs the tests")]
pub fn show(what: &str) {
    println!("{what}");
}

//! Single sign-on in front of a service in any language.
//!
//! `countersign-gateway` takes requests, decides about each by rules for its path and method, and
//! passes it on to an upstream together with what was verified about its caller. What no rule allows
//! is refused.
//!
//! Where to start reading: [`config`] is the whole file, `decide` the one decision that everything
//! asks for, `serve` the way of one request, `proxy` what happens once it may pass, and `listen` how
//! it comes in.
//!
//! ```no_run
//! # fn main() -> Result<(), countersign_gateway::Problem> {
//! use std::path::Path;
//!
//! use countersign_gateway::{Config, Gateway};
//!
//! let config = Config::load(Path::new("gateway.toml"))?;
//! let gateway = Gateway::start(config, |line| eprintln!("{line}"))?;
//! // Until it is told to end:
//! gateway.stop();
//! # Ok(())
//! # }
//! ```
//!
//! Not responsible for verifying tokens, which is `countersign-resource`'s, nor for signals and the
//! command line, which are the program's.

pub mod config;
pub mod devices;
pub mod listen;
pub mod route;

mod admin;
mod audit;
mod browser;
mod connection;
mod decide;
mod explain;
mod forward;
mod forwarded;
mod gateway;
mod identity;
mod live;
mod metrics;
mod otp;
mod proxy;
mod revoke;
mod serve;
mod state;
mod step_up;

pub use config::Config;
pub use countersign_console::Problem;
pub use explain::{Asked, explain};
pub use gateway::Gateway;
pub use revoke::{Revoked, revoke};

//! The daemon behind `pam_countersign.so`: it signs people in to a host by their single sign-on, lands
//! them in the account that the policy allows, and ends their sessions when access ends.
//!
//! Two processes of one program. The supervisor is root, answers the module over a Unix socket and
//! decides; it never speaks with the network. The worker has no privileges, speaks with the
//! authorization server, and decides nothing.
//!
//! The rooms:
//!
//! - `config`: `/etc/countersign/pam.toml`, read and checked as a whole; `rules`: which person may use
//!   which account, on `countersign-policy`.
//! - `conversation`: what one login says and waits for, as a value without socket or clock; `prompt`: the
//!   texts, at most 80 columns wide.
//! - `server`: the socket that the module connects to, and who may.
//! - `hangup`: whether an ssh client is still there while sshd does not look.
//! - `worker`: the other process, and the frames between the two; `flows`: the device grant and the
//!   pasted code, run there.
//! - `session`: logins that are under way: renewed on schedule, warned, and ended with every process
//!   that they started. It knows the rest through [`Renewer`], and is known through [`Sessions`].
//! - `audit`: what happened, for syslog and the journal, with the reference that the person saw.
//!
//! Not here: anything that runs inside of sshd (`countersign-pam`), the frames between module and daemon
//! (`countersign-pam-wire`), the protocol itself (`countersign-oauth`).

mod audit;
mod config;
mod conversation;
mod daemon;
mod desk;
mod doctor;
mod door;
mod grant;
mod hangup;
mod host;
mod journal;
mod line;
mod live;
mod login;
mod mailbox;
mod notify;
mod process;
mod prompt;
mod reference;
mod renew;
mod revoke;
mod rules;
mod server;
pub mod session;
mod trial;
pub mod worker;
mod workers;

pub use audit::{Audit, Event, Outcome};
pub use config::{Config, USUAL_FILE, check_text, explain};
pub use countersign_console::Problem;
pub use daemon::{Options, USUAL_CONTROL, USUAL_STATE, run};
pub use doctor::{Found, examine};
pub use grant::{Grant, RefreshToken, Renewed, Renewer, SignIn, Unused};
pub use login::{Answer, Login, Opened, Sessions, Verdict};
pub use process::Process;
pub use reference::Reference;
pub use server::USUAL_SOCKET;
pub use trial::{Trial, Tried, try_claims, try_policy};

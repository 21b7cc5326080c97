//! Logins that are under way: watched, renewed on schedule, warned, and ended with every process that
//! they started.
//!
//! - `table`: what is known of logins and grants, and what is to be done when. A value without clock,
//!   files or processes; read it first.
//! - `watch`: the table at work, with two threads; `waits`: what one of them waits for.
//! - `kin`: which processes belong to a login; `sweep`: how they are counted and ended; `terminal`: how
//!   they are told.
//! - `record`, `state`: what survives a restart of the daemon, and where.
//! - `list`, `control`: what an administrator sees and does.
//!
//! # What holds
//!
//! - A session is open only while something is known of its login: signed in here and granted, or let past
//!   in the account phase. A daemon that has forgotten a login refuses its session.
//! - Nobody's access outlives the provider's silence by more than `offline_grace`, nor `max_session`, by
//!   a clock that nobody can set. Both are kept across restarts of the daemon.
//! - Who is to be ended is warned first, and ended with whatever they left in the background, also after
//!   they have logged out.
//! - No signal goes to a process that is not known to belong to the login: numbers are never trusted.
//! - Where nothing can be written down, nobody is let in, and those who are in stay watched.
//!
//! # What does not
//!
//! - An account that can become root can leave its audit session, and its control group: whoever may use
//!   `sudo` without limit is trusted not to.
//! - What a login has others start on its behalf belongs to them: `cron`, `at`, `systemd-run` and
//!   lingering services. The guide says how to close these.

pub mod control;
mod kin;
mod list;
mod moment;
mod record;
mod settings;
mod state;
mod sweep;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod waits;
mod watch;

pub use list::{Condition, Listed, as_table};
pub use settings::{Elsewhere, Kill, OnRevoke, Settings};
pub use table::Which;
pub use watch::{Watch, Watching};

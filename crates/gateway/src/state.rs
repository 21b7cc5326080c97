//! What has to be known by every replica: which proofs were used, and what was revoked.
//!
//! Not responsible for how it is kept, which is `countersign-resource`'s, nor for what is asked.

use std::fmt;
use std::sync::Arc;

use countersign_console::Problem;
use countersign_oauth::Secret;
use countersign_resource::state::{
    MemoryState, PostgresState, RedisState, Remote, SharedState, StateError,
};
use countersign_resource::{Clock as _, SystemClock};

use crate::config::{self, State, StateKind};
use crate::live::{read, read_secret};

/// The state of a configuration, which outlives the configuration while it stays the same.
#[derive(Clone)]
pub(crate) enum Memory {
    /// Of this process alone.
    Own(Arc<MemoryState>),
    Redis(Arc<RedisState>),
    Postgres(Arc<PostgresState>),
}

impl Memory {
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// What cannot be read or used.
    pub(crate) fn new(state: &State) -> Result<Self, Problem> {
        let Some(shared) = &state.shared else {
            let now = SystemClock::default().now();
            return Ok(Self::Own(Arc::new(MemoryState::new(now))));
        };
        let remote = remote(shared)?;
        match shared.kind {
            StateKind::Redis => RedisState::new(remote).map(Arc::new).map(Self::Redis),
            StateKind::Postgres => PostgresState::new(remote).map(Arc::new).map(Self::Postgres),
        }
        .map_err(|error| unusable(shared, error))
    }

    /// The memory as the validator wants it.
    pub(crate) fn shared(&self) -> Arc<dyn SharedState> {
        match self {
            Self::Own(state) => Arc::<MemoryState>::clone(state),
            Self::Redis(state) => Arc::<RedisState>::clone(state),
            Self::Postgres(state) => Arc::<PostgresState>::clone(state),
        }
    }

    /// Whether what it counts is lost when it restarts. Known once it was asked something.
    pub(crate) fn loses_counters(&self) -> bool {
        match self {
            // Counters are kept elsewhere then.
            Self::Own(_) | Self::Postgres(_) => false,
            Self::Redis(state) => !state.keeps_counters(),
        }
    }

    /// Whether it can be asked.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(crate) async fn ping(&self) -> Result<(), StateError> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Redis(state) => state.ping().await,
            Self::Postgres(state) => state.ping().await,
        }
    }
}

/// How a database is reached. Nothing is sent.
///
/// # Errors
///
/// What cannot be read or used.
pub(crate) fn remote(shared: &config::SharedState) -> Result<Remote, Problem> {
    let mut remote = Remote::parse(&shared.url).map_err(|error| unusable(shared, error))?;
    if let Some(user) = &shared.user {
        remote = remote.user(user);
    }
    if let Some(database) = &shared.database {
        remote = remote.database(database);
    }
    if let Some(path) = &shared.password_file {
        remote = remote.password(Secret::new(read_secret(path)?));
    }
    if let Some(path) = &shared.ca_file {
        remote = remote.add_ca_pem(read(path)?);
    }
    if shared.tls {
        remote = remote.require_tls();
    }
    if let Some(time) = shared.time {
        remote = remote.timeout(time);
    }
    Ok(remote)
}

fn unusable(shared: &config::SharedState, error: countersign_resource::Error) -> Problem {
    Problem::new(format!("the state at {} cannot be used", shared.url)).because(error)
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own(_) => "Own",
            Self::Redis(_) => "Redis",
            Self::Postgres(_) => "Postgres",
        })
    }
}

//! What every operation needs: where files live, how requests are sent, what the time is.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_store::{Opened, SessionStore, Vaults};

use crate::drive::Until;
use crate::vaults::{self, KnownVaults};
use crate::{
    Clock, Error, HttpOptions, HttpTransport, LoginRequired, Session, SessionName, SystemClock,
    Transport, VaultOptions,
};

/// The two directories of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    state: PathBuf,
    cache: PathBuf,
}

impl Directories {
    /// Sessions go under `state` (kept, private), metadata and keys under `cache` (disposable).
    pub fn new(state: impl Into<PathBuf>, cache: impl Into<PathBuf>) -> Self {
        Self {
            state: state.into(),
            cache: cache.into(),
        }
    }

    /// The directories of the application `name` by the XDG base directory rules:
    /// `$XDG_STATE_HOME/name` and `$XDG_CACHE_HOME/name`, under `~/.local/state` and `~/.cache` when
    /// those are not set.
    ///
    /// # Errors
    /// [`Error::Configuration`] when neither the variables nor `HOME` is set.
    pub fn of_application(name: &str) -> Result<Self, Error> {
        Self::from_variables(name, |variable| std::env::var_os(variable))
    }

    fn from_variables(
        name: &str,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Error> {
        // A relative path in these variables is to be ignored, says the specification.
        let absolute = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        let base = |xdg: &str, below_home: &str| {
            absolute(xdg)
                .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
                .ok_or_else(|| Error::Configuration {
                    what: "home directory",
                    why: format!("neither {xdg} nor HOME is an absolute path"),
                })
        };
        Ok(Self {
            state: base("XDG_STATE_HOME", ".local/state")?.join(name),
            cache: base("XDG_CACHE_HOME", ".cache")?.join(name),
        })
    }

    /// Where sessions are kept, in a directory of their own below this one.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Where metadata and keys are kept.
    pub fn cache(&self) -> &Path {
        &self.cache
    }
}

/// What an opened session is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Opening {
    Read,
    Update,
}

/// What every operation needs: where files live, how requests are sent, what the time is.
///
/// Cheap to make and to clone: no file is opened, no certificate loaded and no thread started until
/// a request has to be sent.
#[derive(Clone)]
pub struct Context {
    directories: Directories,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    known: Arc<KnownVaults>,
    /// The vaults that stores are made with, if they are not all that are known.
    vaults: Option<Vaults>,
}

impl Context {
    /// A context that uses the network and the clock of the system, and keeps refresh tokens in the
    /// files of their sessions.
    pub fn new(directories: Directories, http: HttpOptions) -> Self {
        let known = KnownVaults::new(VaultOptions::new("countersign"));
        Self {
            directories,
            vaults: None,
            known: Arc::new(known),
            transport: Arc::new(HttpTransport::new(http)),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sends requests through `transport` instead.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = transport;
        self
    }

    /// Tells the time by `clock` instead.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps refresh tokens where `options` say instead.
    #[must_use]
    pub fn with_vaults(mut self, options: VaultOptions) -> Self {
        self.vaults = None;
        self.known = Arc::new(KnownVaults::new(options));
        self
    }

    /// The directories of the application.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    /// How requests are sent.
    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// What the time is.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The names of the sessions there are, sorted.
    pub fn session_names(&self) -> Result<Vec<SessionName>, Error> {
        self.store().keys().map_err(Error::Storage)
    }

    /// The session called `name`, as it is on disk; `None` when there is none.
    pub fn session(&self, name: &SessionName) -> Result<Option<Session>, Error> {
        // Whatever vault its secrets are in, it is not looked at.
        let store = self.store_with(Vaults::default());
        let loaded = store.load::<Session>(name).map_err(Error::Storage)?;
        Ok(loaded.map(|loaded| {
            let session = loaded.record.was_in(loaded.kept_in);
            session.beside_others(loaded.has_others)
        }))
    }

    /// The same with its secrets. Who means to write it again holds the lock, and says so.
    pub(crate) fn opened(
        &self,
        name: &SessionName,
        to: Opening,
    ) -> Result<Option<Opened<Session>>, Error> {
        let store = self.store();
        let opened = match to {
            Opening::Read => store.open::<Session>(name),
            Opening::Update => store.open_for_update::<Session>(name),
        };
        opened.map_err(|error| {
            if vaults::are_lost(&error) {
                Error::LoginRequired {
                    session: name.to_string(),
                    reason: LoginRequired::SecretsLost,
                }
            } else {
                Error::Storage(error)
            }
        })
    }

    /// The same, but all requests together end within `limit`, which begins now.
    pub(crate) fn hurried(&self, limit: Duration) -> Self {
        let until = Until::new(Arc::clone(&self.transport), Arc::clone(&self.clock), limit);
        self.clone().with_transport(Arc::new(until))
    }

    pub(crate) fn store(&self) -> SessionStore {
        let vaults = self.vaults.clone();
        self.store_with(vaults.unwrap_or_else(|| self.known.all()))
    }

    fn store_with(&self, vaults: Vaults) -> SessionStore {
        let path = self.directories.state.join("sessions");
        SessionStore::new(&path, vaults, vaults::random())
    }

    pub(crate) fn known_vaults(&self) -> &KnownVaults {
        &self.known
    }

    /// The same, and new sessions go where these say.
    pub(crate) fn using(mut self, vaults: Vaults) -> Self {
        self.vaults = Some(vaults);
        self
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Directories, Error> {
        Directories::from_variables("rsctl", |name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn directories_follow_the_variables_and_fall_back_to_the_home() {
        let home = with(&[("HOME", "/home/ada")]).unwrap();
        assert_eq!(
            home,
            Directories::new("/home/ada/.local/state/rsctl", "/home/ada/.cache/rsctl")
        );
        let set = with(&[("XDG_STATE_HOME", "/s"), ("XDG_CACHE_HOME", "/c")]).unwrap();
        assert_eq!(set, Directories::new("/s/rsctl", "/c/rsctl"));
    }

    #[test]
    fn relative_variables_are_ignored_and_no_home_is_an_error() {
        let mixed = with(&[("XDG_STATE_HOME", "state"), ("HOME", "/h")]).unwrap();
        assert_eq!(mixed.state(), Path::new("/h/.local/state/rsctl"));
        assert_eq!(
            with(&[("HOME", "relative")]).unwrap_err().code(),
            "configuration"
        );
    }
}

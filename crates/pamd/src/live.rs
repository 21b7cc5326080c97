//! The configuration in force: read again when the file has changed, and only then.
//!
//! A new file that cannot be used leaves the old one in force, and the journal says so, once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use countersign_console::Problem;

use crate::audit::{Audit, Event, Outcome};
use crate::config::{Config, Seen};

/// The configuration in force.
pub(crate) struct Live {
    path: PathBuf,
    audit: Arc<dyn Audit>,
    state: Mutex<State>,
    /// Who hears of another one.
    listener: OnceLock<Listener>,
}

type Listener = Box<dyn Fn(&Config) + Send + Sync>;

struct State {
    config: Arc<Config>,
    /// The file that was looked at last, usable or not.
    seen: Option<Seen>,
}

impl Live {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// A [`Problem`] when it cannot be used: then there is nothing to run with.
    pub(crate) fn read(path: &Path, audit: Arc<dyn Audit>) -> Result<Self, Problem> {
        let (config, seen) = Config::read_seen(path)?;
        Ok(Self {
            path: path.to_owned(),
            audit,
            state: Mutex::new(State {
                config: Arc::new(config),
                seen: Some(seen),
            }),
            listener: OnceLock::new(),
        })
    }

    /// Has one listener hear of each configuration that comes into force from now on. It is called in the
    /// middle of whatever noticed the change, and waits for nobody.
    pub(crate) fn listen(&self, listener: impl Fn(&Config) + Send + Sync + 'static) {
        // There is one daemon, and it listens once.
        let _ = self.listener.set(Box::new(listener));
    }

    /// What is in force now.
    pub(crate) fn current(&self) -> Arc<Config> {
        let mut state = self.lock();
        if Seen::at(&self.path) != state.seen {
            // Whoever asks needs one, and the journal has heard why it is not the new one.
            let _ = self.read_again(&mut state);
        }
        Arc::clone(&state.config)
    }

    /// Reads the file now, and the files that it names, whether or not it has changed.
    ///
    /// # Errors
    /// A [`Problem`] when it cannot be used: what was in force before stays so.
    pub(crate) fn reload(&self) -> Result<(), Problem> {
        self.read_again(&mut self.lock())
    }

    fn read_again(&self, state: &mut State) -> Result<(), Problem> {
        state.seen = Seen::at(&self.path);
        match Config::read_seen(&self.path) {
            Ok((config, seen)) => {
                state.config = Arc::new(config);
                state.seen = Some(seen);
                if let Some(listener) = self.listener.get() {
                    listener(&state.config);
                }
                self.audit.write(&Event::new(
                    "configuration",
                    Outcome::Noted,
                    format!("{} was read again", self.path.display()),
                ));
                Ok(())
            }
            Err(problem) => {
                self.audit.write(&Event::new(
                    "configuration",
                    Outcome::Failed,
                    format!("what was in force before stays so: {}", problem.line()),
                ));
                Err(problem)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audit::tests::Kept;

    #[test]
    fn a_new_file_counts_from_the_next_login_on_and_a_bad_one_never() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pam.toml");
        let write = |id: &str| {
            let text = format!("issuer = \"https://id.example\"\nclient_id = {id}\n");
            // As editors do it: another file in its place.
            let new = home.path().join("new");
            fs::write(&new, text).unwrap();
            fs::rename(&new, &path).unwrap();
        };
        write("\"one\"");
        let kept = Arc::new(Kept::default());
        let audit: Arc<dyn Audit> = Arc::clone(&kept) as _;
        let live = Live::read(&path, audit).unwrap();
        let id = || live.current().provider.client_id.clone();
        let events = || kept.0.lock().unwrap().len();
        assert_eq!((id().as_str(), events()), ("one", 0));
        write("\"two\"");
        assert_eq!((id().as_str(), events()), ("two", 1));
        write("3");
        assert_eq!((id().as_str(), events()), ("two", 2));
        assert_eq!((id().as_str(), events()), ("two", 2), "it is said once");
        fs::remove_file(&path).unwrap();
        assert_eq!((id().as_str(), events()), ("two", 3));
        write("\"four\"");
        assert_eq!((id().as_str(), events()), ("four", 4));
        assert!(kept.0.lock().unwrap()[1].message.contains("line 2"));
        // Asked to, it reads again what has not changed, and says what is wrong; a listener hears of each
        // that can be used.
        let heard = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&heard);
        live.listen(move |config| {
            theirs
                .lock()
                .unwrap()
                .push(config.provider.client_id.clone());
        });
        live.reload().unwrap();
        write("5");
        assert!(live.reload().unwrap_err().to_string().contains("line 2"));
        assert_eq!(id(), "four");
        write("\"six\"");
        assert_eq!(id(), "six");
        assert_eq!(*heard.lock().unwrap(), ["four", "six"]);
    }
}

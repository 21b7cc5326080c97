//! Starting the program that speaks with the keyring, and ending it when it takes too long.
//!
//! Never on the way to a cached token: only a login, a renewal and a logout need what is in a keyring.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use countersign_oauth::text::printable;
use countersign_store::wire::{self, Unlock};
use countersign_store::{KeyringPort, PortError, SecretBytes, VaultError};

/// How long the keyring has when nobody is asked anything.
const LIMIT: Duration = Duration::from_secs(3);
/// How long a person has to type the password of the keyring.
const LIMIT_ASKING: Duration = Duration::from_secs(60);
/// The program's name.
const NAME: &str = "countersign-keyring";
/// Where packages put programs that people do not start themselves.
const ELSEWHERE: &str = "/usr/libexec/countersign";

/// The keyring of the operating system, reached through the program `countersign-keyring`.
#[derive(Debug, Clone)]
pub struct KeyringProgram {
    /// Where it is; where it is installed, if not said.
    path: Option<PathBuf>,
    limit: Duration,
    limit_asking: Duration,
}

impl KeyringProgram {
    /// The program in the directory of the running one, or where packages put it. The `PATH` is not
    /// searched: what gets the refresh token is not left to chance.
    /// It is looked for when it is needed.
    pub fn installed() -> Self {
        Self {
            path: None,
            limit: LIMIT,
            limit_asking: LIMIT_ASKING,
        }
    }

    /// The program at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::installed()
        }
    }

    /// The version that the program says it is of.
    ///
    /// # Errors
    /// When it is not there, or does not say it in time.
    pub(crate) fn version(&self) -> Result<String, VaultError> {
        let nothing = SecretBytes::new(Vec::new());
        let said = self
            .start(&["--version"])
            .and_then(|child| talk(child, &nothing, self.limit));
        let said = said.map_err(|error| error.into_vault_error(self.limit))?;
        let text = String::from_utf8_lossy(said.expose());
        let version = text.trim().strip_prefix(NAME).map(str::trim);
        version
            .map(printable)
            .ok_or_else(|| VaultError::ProgramFailed {
                detail: "it does not say its version".to_owned(),
            })
    }

    pub(crate) fn path(&self) -> PathBuf {
        let beside = || {
            let this = std::env::current_exe().ok()?;
            Some(this.parent()?.join(NAME)).filter(|path| path.is_file())
        };
        let said = self.path.clone().or_else(beside);
        said.unwrap_or_else(|| Path::new(ELSEWHERE).join(NAME))
    }

    /// Waits for `limit`, and for `asking` when a person may be asked to unlock the keyring.
    #[must_use]
    pub fn limits(mut self, limit: Duration, asking: Duration) -> Self {
        (self.limit, self.limit_asking) = (limit, asking);
        self
    }

    fn start(&self, arguments: &[&str]) -> Result<Child, PortError> {
        let mut command = Command::new(self.path());
        command.args(arguments);
        for (name, _) in std::env::vars_os() {
            // A ready-made token may stand there.
            if name.to_string_lossy().starts_with("COUNTERSIGN_") {
                command.env_remove(name);
            }
        }
        // Whoever presses Ctrl-C does not mean the write that is half done.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => PortError::NotInstalled,
                _ => failed(&error),
            })
    }
}

impl KeyringPort for KeyringProgram {
    fn limit(&self, unlock: Unlock) -> Duration {
        match unlock {
            Unlock::Never => self.limit,
            Unlock::Ask => self.limit_asking,
        }
    }

    fn exchange(&self, request: &SecretBytes, unlock: Unlock) -> Result<SecretBytes, PortError> {
        talk(self.start(&[])?, request, self.limit(unlock))
    }
}

/// Hands over `request`, reads the answer, and ends the program, at the latest after `limit`.
fn talk(
    mut child: Child,
    request: &SecretBytes,
    limit: Duration,
) -> Result<SecretBytes, PortError> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return end(&mut child, Err(failed(&io::ErrorKind::BrokenPipe.into())));
    };
    // Neither end of a pipe can be waited for with a limit. These threads end when the process
    // does, because then their pipes do.
    let request = request.clone();
    thread::spawn(move || stdin.write_all(request.expose()));
    let (reply, replies) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(wire::MAX_BYTES).read_to_end(&mut bytes);
        reply.send(read.map(|_| SecretBytes::new(bytes)))
    });
    let answer = match replies.recv_timeout(limit) {
        Ok(Ok(bytes)) if bytes.expose().is_empty() => Err(PortError::Failed {
            detail: "it ended without an answer".to_owned(),
        }),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(failed(&error)),
        Err(RecvTimeoutError::Timeout) => Err(PortError::TimedOut),
        Err(RecvTimeoutError::Disconnected) => Err(failed(&io::ErrorKind::BrokenPipe.into())),
    };
    end(&mut child, answer)
}

/// Ends the process, which has answered or never will.
fn end<T>(child: &mut Child, outcome: T) -> T {
    let _ = child.kill();
    let _ = child.wait();
    outcome
}

fn failed(error: &io::Error) -> PortError {
    PortError::Failed {
        detail: error.to_string(),
    }
}

//! A daemon at a socket of its own, that does what a test says.

use std::io::{self, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use countersign_pam_wire::{
    Echo, Incoming, Line, ReceiveError, Text, ToDaemon, ToModule, Typed, Verdict,
};
use tempfile::TempDir;

/// How long it waits for a module that says nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon. It ends when dropped, and a panic of its script is the test's.
#[derive(Debug)]
pub(crate) struct Daemon {
    directory: TempDir,
    heard: Arc<Mutex<Vec<ToDaemon>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A connection of a module.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    incoming: Incoming<ToDaemon>,
}

impl Daemon {
    /// Starts a daemon that does this with what each connection opens with.
    pub(crate) fn start(script: impl Fn(&mut Connection, &ToDaemon) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("pam.sock")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (stopped, noted) = (Arc::clone(&stop), Arc::clone(&heard));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut connection = Connection {
                    stream,
                    incoming: Incoming::default(),
                };
                let Some(opening) = connection.hear() else {
                    continue;
                };
                noted.lock().unwrap().push(opening.clone());
                script(&mut connection, &opening);
            }
        });
        Self {
            directory,
            heard,
            stop,
            thread: Some(thread),
        }
    }

    /// A daemon that asks once in `authenticate`, wants this answer, and grants everything else.
    pub(crate) fn that_wants(answer: &'static str) -> Self {
        Self::start(move |connection, opening| {
            let mut verdict = Verdict::Success;
            if let ToDaemon::Begin(login) = opening {
                connection.prompt(&format!("Code for {}: ", login.user));
                if connection.answer().is_none_or(|it| it.expose() != answer) {
                    verdict = Verdict::Denied;
                }
            }
            connection.done(verdict);
        })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("pam.sock")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What each connection opened with, so far.
    pub(crate) fn heard(&self) -> Vec<ToDaemon> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(self.socket());
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            ended.unwrap().expect("the daemon's script does not panic");
        }
    }
}

impl Connection {
    /// The next message; `None` once the module has hung up.
    pub(crate) fn hear(&mut self) -> Option<ToDaemon> {
        match self.incoming.receive_from(&mut self.stream) {
            Err(ReceiveError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => None,
            heard => heard.unwrap(),
        }
    }

    /// What was answered; `None` once the module has hung up.
    pub(crate) fn answer(&mut self) -> Option<Typed> {
        self.hear().map(|message| match message {
            ToDaemon::Answer(typed) => typed,
            other => panic!("not an answer: {other:?}"),
        })
    }

    /// Says it, even if nobody listens any more.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn say(&mut self, message: &ToModule) {
        self.send(message.encode().unwrap().expose());
    }

    pub(crate) fn prompt(&mut self, text: &str) {
        let text = Text::clean(text);
        let echo = Echo::On;
        self.say(&ToModule::Prompt { text, echo });
    }

    pub(crate) fn done(&mut self, verdict: Verdict) {
        self.say(&ToModule::Done {
            verdict,
            text: Text::clean(match verdict {
                Verdict::Success => "Welcome, Ada.",
                _ => "No (K7QF2M).",
            }),
            reference: Line::clean("K7QF2M"),
        });
    }
}

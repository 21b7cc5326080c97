//! What an administrator asks the daemon, and how: `sessions`, `kill` and `reload`.
//!
//! One line of JSON each way over a socket of its own, which is root's alone. That of the module carries
//! nothing but logins, so a mistake here lets nobody in.
//!
//! Not responsible for arguments and exit codes.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::net::sockopt::socket_peercred;
use serde::{Deserialize, Serialize};

use super::{Listed, Watch, Which};
use crate::Reference;

/// Where the daemon listens.
pub const SOCKET: &str = "/run/countersign/control.sock";
/// The longest question, and the longest answer: ten thousand sessions and more.
const MAX_QUESTION: u64 = 4096;
const MAX_ANSWER: u64 = 32 << 20;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what was ended is waited for.
const ENDING: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Question {
    Sessions,
    Kill(Which),
    Reload,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    Sessions(Vec<Listed>),
    Ended(Vec<Reference>),
    /// The file was read again, or why what was in force before stays so.
    Reloaded(Result<(), String>),
    Unreadable,
}

/// Why nothing came of a question.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The daemon is not there, or not for us.
    #[error("cannot speak with the daemon over {}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It speaks another language, perhaps that of another version.
    #[error("the daemon did not understand the question, or its answer cannot be understood")]
    Misunderstood,
}

impl ControlError {
    /// What to type.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "be root: sudo countersign-pamd sessions",
                _ => {
                    "without sessions the daemon is not running; look at: \
                     systemctl status countersign-pamd"
                }
            },
            Self::Misunderstood => "restart the daemon: systemctl restart countersign-pamd",
        }
    }
}

/// Has the configuration read again.
pub type Reload = Box<dyn Fn() -> Result<(), String> + Send>;

/// Answers questions, until it is dropped.
#[derive(Debug)]
pub struct Control {
    thread: Option<JoinHandle<()>>,
    stop: Arc<Stop>,
    path: PathBuf,
}

#[derive(Debug)]
struct Stop {
    wanted: AtomicBool,
    woken: OwnedFd,
}

impl Control {
    /// Listens at `path`, in the place of a daemon that is gone.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(path: &Path, watch: Arc<Watch>, reload: Reload) -> io::Result<Self> {
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(Stop {
            wanted: AtomicBool::new(false),
            woken: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("control".to_owned());
        let thread = thread.spawn(move || serve(&listener, &watch, &reload, &stopped))?;
        Ok(Self {
            thread: Some(thread),
            stop,
            path: path.to_owned(),
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.wanted.store(true, Ordering::SeqCst);
        let _ = rustix::io::write(&self.stop.woken, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

fn serve(listener: &UnixListener, watch: &Watch, reload: &Reload, stop: &Stop) {
    while !stop.wanted.load(Ordering::SeqCst) {
        let mut both = [
            PollFd::new(listener, PollFlags::IN),
            PollFd::new(&stop.woken, PollFlags::IN),
        ];
        if poll(&mut both, None).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Who asks and does not go on holds up nobody but other administrators, and not for long.
        if let Ok((stream, _)) = listener.accept() {
            let _ = converse(&stream, watch, reload);
        }
    }
}

fn converse(stream: &UnixStream, watch: &Watch, reload: &Reload) -> io::Result<()> {
    let peer = socket_peercred(stream)?;
    if peer.uid != rustix::process::geteuid() {
        return Ok(());
    }
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_QUESTION)).read_line(&mut line)?;
    let answer = match serde_json::from_str(&line) {
        Ok(Question::Sessions) => Answer::Sessions(watch.list()),
        Ok(Question::Kill(which)) => Answer::Ended(watch.kill(&which)),
        Ok(Question::Reload) => Answer::Reloaded(reload()),
        Err(_) => Answer::Unreadable,
    };
    let mut bytes = serde_json::to_vec(&answer)?;
    bytes.push(b'\n');
    (&*stream).write_all(&bytes)
}

/// The logins that the daemon at `socket` watches.
///
/// # Errors
/// When the daemon cannot be asked.
pub fn sessions(socket: &Path) -> Result<Vec<Listed>, ControlError> {
    match ask(socket, &Question::Sessions)? {
        Answer::Sessions(listed) => Ok(listed),
        _ => Err(ControlError::Misunderstood),
    }
}

/// Has the daemon read its configuration again; inside, what is wrong with it.
///
/// # Errors
/// When the daemon cannot be asked.
pub fn reload(socket: &Path) -> Result<Result<(), String>, ControlError> {
    match ask(socket, &Question::Reload)? {
        Answer::Reloaded(outcome) => Ok(outcome),
        _ => Err(ControlError::Misunderstood),
    }
}

/// What became of logins that were to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// The references of their grants; none when nobody was meant.
    pub references: Vec<Reference>,
    /// What had not ended after a while.
    pub left: Vec<Listed>,
}

/// Has the daemon end logins, and waits for it.
///
/// # Errors
/// When the daemon cannot be asked.
pub fn kill(socket: &Path, which: &Which) -> Result<Killed, ControlError> {
    let Answer::Ended(references) = ask(socket, &Question::Kill(which.clone()))? else {
        return Err(ControlError::Misunderstood);
    };
    let begin = Instant::now();
    loop {
        let mut left = if references.is_empty() {
            Vec::new()
        } else {
            match sessions(socket) {
                Ok(listed) => listed,
                // A daemon that has nothing left to watch may end.
                Err(ControlError::Unreachable { .. }) => Vec::new(),
                Err(error) => return Err(error),
            }
        };
        left.retain(|row| references.contains(&row.reference));
        if left.is_empty() || begin.elapsed() > ENDING {
            return Ok(Killed { references, left });
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// What is meant by a word: a reference where it is one, else an account.
pub fn which(word: &str) -> Which {
    match word.parse() {
        Ok(reference) => Which::Reference(reference),
        Err(_) => Which::Account(word.to_owned()),
    }
}

fn ask(socket: &Path, question: &Question) -> Result<Answer, ControlError> {
    let unreachable = |source| ControlError::Unreachable {
        path: socket.to_owned(),
        source,
    };
    let exchange = || -> io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut bytes = serde_json::to_vec(question)?;
        bytes.push(b'\n');
        stream.write_all(&bytes)?;
        let mut line = String::new();
        BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut line)?;
        Ok(line)
    };
    let line = exchange().map_err(unreachable)?;
    serde_json::from_str(&line).map_err(|_| ControlError::Misunderstood)
}

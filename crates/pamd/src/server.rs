//! The socket that the module connects to: who may, and how many at a time.
//!
//! Not responsible for what is said on a connection.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use countersign_console::Problem;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;

use crate::Process;
use crate::audit::{Event, Outcome};
use crate::desk::Desk;
use crate::line::Line;

/// Where the module looks.
pub const USUAL_SOCKET: &str = "/run/countersign/pam.sock";

/// Connections at a time: the sign-ins that the limits allow, and the short ones beside them.
const MOST_CONNECTIONS: usize = 400;
/// Looking up an account may go through libraries that want some of it.
const STACK: usize = 512 * 1024;
/// How often it is looked whether there is still something to do.
const GLANCE: Duration = Duration::from_secs(10);

/// Where the socket comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Made here.
    Own,
    /// Handed over by the service manager, which starts us again when somebody connects.
    Activated,
}

/// Binds the socket at `path`, for root alone.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, Problem> {
    let failed = || Problem::new(format!("the socket {} cannot be made", path.display()));
    if let Some(directory) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder
            .create(directory)
            .map_err(|error| failed().because(error))?;
    }
    if UnixStream::connect(path).is_ok() {
        return Err(failed()
            .why("another daemon listens there")
            .hint("systemctl status countersign-pamd"));
    }
    // Of a daemon that is gone.
    let _ = fs::remove_file(path);
    // From its first moment on: between making and changing it, somebody could have connected.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener.map_err(|error| failed().because(error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|error| failed().because(error))?;
    Ok(listener)
}

/// Serves connections. Lets the worker go when it has nothing to do for `rest`; ends when there is nothing
/// to do for `idle` and the service manager has the socket.
pub(crate) fn serve(
    listener: &UnixListener,
    origin: &Origin,
    idle: Duration,
    rest: Duration,
    desk: &Arc<Desk>,
) -> Result<(), Problem> {
    let failed = |error: io::Error| Problem::new("the socket cannot be listened to").because(error);
    listener.set_nonblocking(true).map_err(failed)?;
    let active = Arc::new(AtomicUsize::new(0));
    let mut last = desk.clock.monotonic();
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        let glance = Timespec::try_from(GLANCE.min(idle).min(rest)).ok();
        match poll(&mut fds, glance.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
        match listener.accept() {
            Ok((stream, _)) => {
                last = desk.clock.monotonic();
                accept(stream, &active, desk);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Out of descriptors, for example: it passes, and spinning does not help it.
            Err(_) => desk.clock.sleep(Duration::from_millis(100)),
        }
        desk.workers.rest(rest);
        let busy = active.load(Ordering::Acquire) > 0 || desk.sessions.watched() > 0;
        let now = desk.clock.monotonic();
        if busy {
            last = now;
        } else if matches!(origin, Origin::Activated) && now >= last + idle {
            return Ok(());
        }
    }
}

/// One of the connections that are counted.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn accept(stream: UnixStream, active: &Arc<AtomicUsize>, desk: &Arc<Desk>) {
    let note = |why: &str| {
        desk.audit
            .write(&Event::new("connection", Outcome::Refused, why));
    };
    if let Err(why) = is_welcome(&stream) {
        return note(&why);
    }
    // The module takes the end of the connection for a refusal.
    if active.fetch_add(1, Ordering::AcqRel) >= MOST_CONNECTIONS {
        active.fetch_sub(1, Ordering::AcqRel);
        return note("there are too many connections");
    }
    let counted = Counted(Arc::clone(active));
    let theirs = Arc::clone(desk);
    let builder = thread::Builder::new()
        .name("login".to_owned())
        .stack_size(STACK);
    let started = builder.spawn(move || {
        let _counted = counted;
        if let Ok(line) = Line::new(stream) {
            theirs.serve(line);
        }
    });
    if started.is_err() {
        note("no thread can be started for a connection");
    }
}

/// Root, or whoever runs the daemon where that is not root; and a process that is still there.
fn is_welcome(stream: &UnixStream) -> Result<(), String> {
    let peer =
        socket_peercred(stream).map_err(|error| format!("nobody knows who connects: {error}"))?;
    let own = rustix::process::geteuid();
    if !peer.uid.is_root() && peer.uid != own {
        return Err(format!("user {} may not connect", peer.uid.as_raw()));
    }
    let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).unwrap_or_default();
    Process::of(pid)
        .map(drop)
        .map_err(|_| format!("process {pid} connects and is gone"))
}

//! The module's place on a real host: its daemon, its processes.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::time::Duration;

use countersign_pam_wire::Process;

use super::Socket;
use crate::arguments::Arguments;
use crate::hook::Place;
use crate::monitor::{Caller, monitor};
use crate::trouble::Trouble;

/// How long a daemon may take to accept. A service manager that starts it accepts at once.
const CONNECT: Duration = Duration::from_secs(3);

/// What the kernel writes where there is no audit session.
const NO_AUDIT_SESSION: u32 = u32::MAX;

/// The host.
#[derive(Debug)]
pub(super) struct System;

impl Place for System {
    type Stream = Socket;

    /// The socket's file has to be root's, and so has the process that listens: whoever can take the
    /// daemon's place decides who signs in. Where the module itself is not root's, it could do no more
    /// than its user; there that user's daemon will do.
    fn connect(&self, arguments: &Arguments) -> Result<Socket, Trouble> {
        let path = &arguments.socket;
        let shown = path.display();
        let away = |error: std::io::Error| {
            Trouble::Away(format!(
                "the daemon's socket {shown} cannot be used: {error}; is countersign-pamd running?"
            ))
        };
        let file = fs::symlink_metadata(path).map_err(away)?;
        if !file.file_type().is_socket() {
            return Err(Trouble::Wrong(format!("{shown} is not a socket")));
        }
        if !is_trusted(file.uid()) {
            let uid = file.uid();
            return Err(Trouble::Wrong(format!(
                "{shown} belongs to user {uid}, not to root"
            )));
        }
        let socket = Socket::connect(path, CONNECT).map_err(away)?;
        let uid = socket.peer_uid().map_err(Trouble::wrong)?;
        if !is_trusted(uid) {
            return Err(Trouble::Wrong(format!(
                "user {uid} listens at {shown}, and not root"
            )));
        }
        Ok(socket)
    }

    fn monitor(&self, caller: Caller) -> Result<Process, Trouble> {
        let read = |pid| fs::read(format!("/proc/{pid}/stat")).ok();
        monitor(std::process::id(), caller, read)
    }

    fn audit_session(&self) -> Option<u32> {
        let text = fs::read_to_string("/proc/self/sessionid").ok()?;
        let session = text.trim_end().parse().ok()?;
        Some(session).filter(|session| *session != NO_AUDIT_SESSION)
    }
}

fn is_trusted(uid: u32) -> bool {
    // SAFETY: takes nothing, and always succeeds.
    let own = unsafe { libc::geteuid() };
    uid == 0 || uid == own
}

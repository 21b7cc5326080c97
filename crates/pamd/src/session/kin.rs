//! Which processes belong to a login.
//!
//! Children inherit two things that an unprivileged process cannot change: the kernel's audit session,
//! which `pam_loginuid` starts, and the control group, which logind makes. `nohup`, `setsid` and a second
//! fork leave both as they are. Where a login has neither, only the children of its monitor and theirs
//! are known, as long as each has its parent.
//!
//! Not responsible for what is done to them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::settings::Kill;
use super::table::Seat;
use crate::Process;

/// How deep control groups below a session's are looked at.
const DEPTH: usize = 8;
/// The longest list of processes that is read of one control group.
const MAX_PROCS: u64 = 4 << 20;

/// What a process is, as `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// Which process.
    pub(crate) process: Process,
    /// Its parent.
    pub(crate) parent: u32,
    /// The device of its terminal; zero without one.
    pub(crate) terminal: u32,
    /// Whether it still does anything. One that has ended and waits for its parent does not.
    pub(crate) lives: bool,
}

impl Member {
    /// The process that has this number now; `None` when there is none.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(crate) fn find(pid: u32) -> io::Result<Option<Self>> {
        let stat = read_if_there(&format!("/proc/{pid}/stat"))?;
        Ok(stat.and_then(|stat| parse_stat(pid, &stat)))
    }

    /// The process that has this number now, as far as can be found out.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::find(pid).ok().flatten()
    }
}

/// The second field is the name of the program in parentheses, and may itself hold any of them.
fn parse_stat(pid: u32, stat: &str) -> Option<Member> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // After the process group and the session.
    let terminal: i64 = fields.nth(2)?.parse().ok()?;
    // Twelve fields between the terminal and the number of threads, one from there to the beginning.
    let threads: u64 = fields.nth(12)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    let has_ended = matches!(state, "Z" | "X" | "x");
    Some(Member {
        process: Process { pid, start_time },
        parent,
        terminal: u32::try_from(terminal).unwrap_or_default(),
        // Its first thread may have ended while others go on.
        lives: !has_ended || threads > 1,
    })
}

/// Reads a file about a process; `None` when the process is gone. Anything else that fails says nothing
/// about it.
fn read_if_there(path: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error says that there is no such process.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The numbers of all processes there are.
///
/// # Errors
/// When they cannot be listed.
pub(crate) fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok()),
        );
    }
    Ok(pids)
}

/// The audit session of a process, if it is in one.
///
/// # Errors
/// When that cannot be found out.
pub(crate) fn find_audit_session(pid: u32) -> io::Result<Option<u32>> {
    let text = read_if_there(&format!("/proc/{pid}/sessionid"))?;
    let id = text.and_then(|text| text.trim().parse().ok());
    Ok(id.filter(|id| *id != u32::MAX && *id != 0))
}

/// The audit session of a process, as far as can be found out.
pub(crate) fn audit_session(pid: u32) -> Option<u32> {
    find_audit_session(pid).ok().flatten()
}

/// The audit session of the daemon. Whoever shares it with us cannot be told from us by it.
pub(crate) fn own_audit_session() -> Option<u32> {
    audit_session(std::process::id())
}

/// The audit session that a login has for itself: not that of whoever started the service, nor ours.
fn audit_session_of_its_own(monitor: Process) -> Option<u32> {
    let id = audit_session(monitor.pid)?;
    let parent = Member::of(monitor.pid)?.parent;
    let others = [audit_session(1), own_audit_session(), audit_session(parent)];
    (!others.contains(&Some(id))).then_some(id)
}

impl Seat {
    /// By what the processes of a login are known.
    pub(crate) fn find_kin(&mut self, monitor: Process, xdg_session: &str, kill: Kill) {
        if kill != Kill::Logind {
            self.audit_session = audit_session_of_its_own(monitor);
        }
        if kill != Kill::Sessionid {
            self.scope = Scope::of(monitor.pid, xdg_session);
        }
    }

    /// The audit session, unless it has become ours meanwhile.
    pub(crate) fn usable_audit_session(&self) -> Option<u32> {
        self.audit_session
            .filter(|id| own_audit_session() != Some(*id))
    }

    /// Whether the process that has this number now belongs to the login; `None` when there is nothing to
    /// know it by.
    pub(crate) fn owns(&self, pid: u32) -> Option<bool> {
        let audit = self.usable_audit_session();
        if audit.is_none() && self.scope.is_none() {
            return None;
        }
        let by_audit = audit.is_some() && audit_session(pid) == audit;
        Some(by_audit || self.scope.as_ref().is_some_and(|scope| scope.holds(pid)))
    }
}

/// A control group that logind made for one session.
///
/// A later group of the same name is another one: they are told apart by the number of the directory,
/// which the kernel does not use again while the machine runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    /// Below the root of the control groups.
    pub(crate) path: String,
    inode: u64,
}

impl Scope {
    /// The scope of session `xdg_session`, if the process is in it.
    fn of(pid: u32, xdg_session: &str) -> Option<Self> {
        let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if xdg_session.is_empty() || !is_id(xdg_session) {
            return None;
        }
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let name = format!("session-{xdg_session}.scope");
        if path.rsplit('/').next() != Some(&name) {
            return None;
        }
        let directory = open_group(path)?;
        let inode = directory.metadata().ok()?.ino();
        let path = path.to_owned();
        Some(Self { path, inode })
    }

    /// The directory, as long as it is the same.
    fn open(&self) -> Option<File> {
        let directory = open_group(&self.path)?;
        (directory.metadata().ok()?.ino() == self.inode).then_some(directory)
    }

    /// Whether a process is in it.
    fn holds(&self, pid: u32) -> bool {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"));
        let below = path.and_then(|path| path.strip_prefix(self.path.as_str()));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && self.open().is_some()
    }

    /// The processes in it and in the groups below it.
    pub(crate) fn pids(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        if let Some(directory) = self.open() {
            collect(&directory, DEPTH, &mut found);
        }
        found
    }

    /// Ends every process in it at once, so that none can fork away. Whether the kernel could.
    pub(crate) fn kill(&self) -> bool {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Some(directory) = self.open() else {
            return false;
        };
        match rustix::fs::openat(&directory, "cgroup.kill", flags, Mode::empty()) {
            Ok(file) => File::from(file).write_all(b"1").is_ok(),
            Err(_) => false,
        }
    }
}

/// Where the second version of control groups is mounted.
fn mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let place = groups.split(' ').nth(4)?;
    (!place.contains('\\')).then(|| PathBuf::from(place))
}

fn open_group(path: &str) -> Option<File> {
    let inner = Path::new(path.strip_prefix('/')?);
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    // The root is everybody's.
    if path.len() < 2 || !inner.components().all(is_plain) {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let group = rustix::fs::open(mount()?.join(inner), flags, Mode::empty());
    group.ok().map(File::from)
}

fn collect(directory: &File, depth: usize, found: &mut BTreeSet<u32>) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Ok(procs) = rustix::fs::openat(directory, "cgroup.procs", flags, Mode::empty()) {
        let text = read_all(File::from(procs)).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    }
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for entry in rustix::fs::Dir::read_from(directory).into_iter().flatten() {
        let Ok(entry) = entry else { continue };
        let is_group = entry.file_type() == rustix::fs::FileType::Directory;
        if !is_group || entry.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        let flags = flags | OFlags::DIRECTORY;
        if let Ok(child) = rustix::fs::openat(directory, entry.file_name(), flags, Mode::empty()) {
            collect(&File::from(child), depth, found);
        }
    }
}

fn read_all(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_PROCS).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = "7 (a) Z 1 9) S 4 7 7 34817 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let ended = "7 (a) Z 4 7 7 34817 -1 0 0 0 0 0 0 0 0 0 20 0 THREADS 0 4711 0 0";
        let member = parse_stat(7, stat).unwrap();
        assert_eq!((member.parent, member.terminal), (4, 34817));
        assert_eq!(member.process.start_time, 4711);
        assert!(member.lives);
        for (threads, lives) in [("0", false), ("1", false), ("2", true)] {
            let ended = parse_stat(7, &ended.replace("THREADS", threads)).unwrap();
            assert_eq!(ended.lives, lives, "{threads}");
        }
        for broken in ["", "7 (a) R 1", "7 (a) R one 7 7 0", "7 a R 1 7 7 0"] {
            assert_eq!(parse_stat(7, broken), None, "{broken}");
        }
    }

    #[test]
    fn the_process_of_this_test_is_among_those_there_are() {
        let own = std::process::id();
        assert!(pids().unwrap().contains(&own));
        assert_eq!(Member::of(own).unwrap().process, Process::of(own).unwrap());
    }

    #[test]
    fn no_group_above_a_session_is_ever_taken_for_one() {
        for path in ["/", "", "relative", "/../x", "/a/../b", "/./a"] {
            assert!(open_group(path).is_none(), "{path}");
        }
        for id in ["", "../1", "1/2", "c 1"] {
            assert_eq!(Scope::of(std::process::id(), id), None, "{id}");
        }
    }
}

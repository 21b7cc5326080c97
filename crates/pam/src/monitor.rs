//! Which process a login is known by.
//!
//! The hooks of one login do not all run in one process. sshd authenticates in a child that it forks
//! for this, and opens and closes the session in the process above: the *monitor*, which lives as long
//! as the connection. The daemon knows a login by that one. Everywhere else (login, su, sudo) one
//! process calls all hooks.
//!
//! Not responsible for: looking. The contents of `/proc` come in through a function.

use countersign_pam_wire::{Process, Stat};

use crate::trouble::Trouble;

/// The most steps up: one is usual, and a program that forks more often than this is not sshd.
const STEPS: usize = 4;

/// Whether sshd calls us, whatever its service is called: sshd alone puts this variable into PAM's
/// environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Sshd,
    Other,
}

/// The process that stands for the login which process `own` is at work for. `read` has the content of
/// `/proc/<pid>/stat`.
///
/// Of sshd it is the highest of the processes above `own` that run the same program and are of the
/// same session. The monitor is that session's leader; only where sshd runs in the foreground to be
/// debugged is it not, and there its parent is another program.
pub(crate) fn monitor(
    own: u32,
    caller: Caller,
    read: impl Fn(u32) -> Option<Vec<u8>>,
) -> Result<Process, Trouble> {
    let unknown = || Trouble::wrong("/proc does not say what this process is; is it mounted?");
    let mut content = read(own).ok_or_else(unknown)?;
    for _ in 0..STEPS {
        let stat = Stat::parse(&content).map_err(|_| unknown())?;
        if caller == Caller::Other || stat.process.pid == stat.session {
            return Ok(stat.process);
        }
        let Some(above) = read(stat.parent) else {
            return Ok(stat.process);
        };
        let parent = Stat::parse(&above).map_err(|_| unknown())?;
        if parent.name != stat.name || parent.session != stat.session {
            return Ok(stat.process);
        }
        // If it was still the parent afterwards, then it was the parent that was looked at.
        let again = read(stat.process.pid).ok_or_else(unknown)?;
        if Stat::parse(&again).map_err(|_| unknown())?.parent != stat.parent {
            return Err(Trouble::wrong("the process above this one has ended"));
        }
        content = above;
    }
    Err(Trouble::wrong("sshd has more processes than it should"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pid (name) parent session` for each process, the start being a hundred times its number.
    fn found(
        own: u32,
        caller: Caller,
        processes: &[(u32, &str, u32, u32)],
    ) -> Result<u32, Trouble> {
        let read = |pid| {
            let process = processes.iter().find(|process| process.0 == pid)?;
            let (pid, name, parent, session) = process;
            let start = pid * 100;
            let zeros = "0 ".repeat(15);
            Some(format!("{pid} ({name}) S {parent} 1 {session} {zeros}{start} 0").into_bytes())
        };
        let process = monitor(own, caller, read)?;
        assert_eq!(process.start_time, u64::from(process.pid) * 100);
        Ok(process.pid)
    }

    #[test]
    fn both_processes_of_sshd_find_the_monitor() {
        let one_program = [
            (1, "systemd", 0, 1),
            (10, "sshd", 1, 10),
            (20, "sshd", 10, 20),
            (21, "sshd", 20, 20),
        ];
        let since_9_8 = [
            (1, "systemd", 0, 1),
            (10, "sshd", 1, 10),
            (20, "sshd-session", 10, 20),
            (21, "sshd-session", 20, 20),
        ];
        // `sshd -d`: a shell is the leader of the session, and there is no listener above.
        let debugged = [(5, "bash", 4, 5), (20, "sshd", 5, 5), (21, "sshd", 20, 5)];
        // Started for each connection, by a program that makes no session of it.
        let inetd = [(7, "inetd", 1, 7), (20, "sshd", 7, 7), (21, "sshd", 20, 7)];
        for processes in [&one_program[..], &since_9_8, &debugged, &inetd] {
            for own in [20, 21] {
                assert_eq!(found(own, Caller::Sshd, processes), Ok(20), "{processes:?}");
            }
        }
    }

    #[test]
    fn a_listener_that_is_no_leader_is_not_taken_for_a_monitor() {
        let processes = [
            (5, "bash", 4, 5),
            (10, "sshd", 5, 5),
            (20, "sshd", 10, 20),
            (21, "sshd", 20, 20),
        ];
        assert_eq!(found(21, Caller::Sshd, &processes), Ok(20));
    }

    #[test]
    fn every_other_program_is_its_own_monitor() {
        let processes = [(5, "bash", 4, 5), (20, "sudo", 5, 5), (21, "sudo", 20, 5)];
        for own in [20, 21] {
            assert_eq!(found(own, Caller::Other, &processes), Ok(own));
        }
    }

    #[test]
    fn a_child_whose_monitor_is_gone_finds_itself_or_nothing() {
        let orphan = [(1, "init", 0, 1), (21, "sshd", 1, 20)];
        assert_eq!(found(21, Caller::Sshd, &orphan), Ok(21));
        assert!(found(22, Caller::Sshd, &orphan).is_err());
        let deep: Vec<_> = (20..30).map(|pid| (pid, "sshd", pid - 1, 1)).collect();
        assert!(found(29, Caller::Sshd, &deep).is_err());
    }
}

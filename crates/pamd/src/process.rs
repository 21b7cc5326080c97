//! A process that cannot be mistaken for a later one of the same number.

use std::fmt;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// A process, by its number and the time at which it began.
///
/// Numbers are used again, so a number alone says nothing about yesterday's process. The time is in clock
/// ticks since the machine started (field 22 of `/proc/PID/stat`), and nobody can choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it began.
    pub start_time: u64,
}

impl Process {
    /// The process that has this number now.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        start_time(&stat)
            .map(|start_time| Self { pid, start_time })
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/PID/stat"))
    }

    /// Whether it is still there.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid).is_ok_and(|now| now == self)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pid.fmt(f)
    }
}

/// Field 22. The second is the name of the program in parentheses, and may itself hold any of them.
fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_its_number_and_its_beginning() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let earlier = Process {
            start_time: own.start_time - 1,
            ..own
        };
        assert!(!earlier.is_alive());
        assert!(Process::of(u32::MAX).is_err());
    }

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = "7 (a) S 9 9) R 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(start_time(stat), Some(4711));
        assert_eq!(start_time("7 (a) R 1"), None);
        assert_eq!(start_time(""), None);
    }
}

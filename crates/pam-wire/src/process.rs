//! A process that is named for good.
//!
//! Not responsible for: reading `/proc`. Its text comes in as an argument.

use std::fmt;

/// A process, named by what no other process of this boot has in common: its number is given out
/// again one day, but not with the same start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the kernel did (field 22 of `/proc/<pid>/stat`).
    pub start_time: u64,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.start_time)
    }
}

/// What `/proc/<pid>/stat` says, as far as it is used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat<'a> {
    /// The process itself.
    pub process: Process,
    /// The name of its program, which may be any bytes, at most 15 as a rule.
    pub name: &'a [u8],
    /// Its state: `R`, `S`, …, and `Z` for one that has ended and was not yet asked for.
    pub state: char,
    /// The number of its parent; 0 for none.
    pub parent: u32,
    /// The number of its session's leader.
    pub session: u32,
}

/// The text is not that of a `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadStat;

impl fmt::Display for BadStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the text of /proc/<pid>/stat")
    }
}

impl std::error::Error for BadStat {}

impl<'a> Stat<'a> {
    /// Reads the content of `/proc/<pid>/stat` (proc(5)).
    ///
    /// The name of the program stands there in parentheses and may be anything, `) S 1` included, so
    /// what follows is counted from the last closing one.
    pub fn parse(content: &'a [u8]) -> Result<Self, BadStat> {
        let open = content.iter().position(|byte| *byte == b'(');
        let close = content.iter().rposition(|byte| *byte == b')');
        let (open, close) = open.zip(close).ok_or(BadStat)?;
        let pid = content.get(..open).ok_or(BadStat)?.strip_suffix(b" ");
        let name = content.get(open + 1..close).ok_or(BadStat)?;
        let rest = content.get(close + 1..).ok_or(BadStat)?;
        let rest = std::str::from_utf8(rest).map_err(|_| BadStat)?;
        // The third field is the first one behind the name.
        let mut fields = rest.split_ascii_whitespace();
        let mut state = fields.next().ok_or(BadStat)?.chars();
        let (Some(state), None) = (state.next(), state.next()) else {
            return Err(BadStat);
        };
        let parent = number(fields.next())?;
        let session = number(fields.nth(1))?;
        let start_time = number(fields.nth(15))?;
        let pid = pid.and_then(|pid| std::str::from_utf8(pid).ok());
        Ok(Self {
            process: Process {
                pid: number(pid)?,
                start_time,
            },
            name,
            state,
            parent,
            session,
        })
    }
}

impl Process {
    /// The process that this content of `/proc/<pid>/stat` is about.
    pub fn from_stat(content: &[u8]) -> Result<Self, BadStat> {
        Stat::parse(content).map(|stat| stat.process)
    }
}

/// Digits only: `parse` alone would take a sign.
fn number<T: std::str::FromStr>(text: Option<&str>) -> Result<T, BadStat> {
    text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(BadStat)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4711 (sshd) S 4700 4711 4650 0 -1 4194560 1210 2306 0 0 1 2 3 4 20 0 1 0 \
                        8912345 15921152 2190 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0";

    #[test]
    fn the_fields_are_counted_from_behind_the_name() {
        for name in ["sshd", "a b", ") S 1 1 1 (", "(", ")", ""] {
            let content = STAT.replacen("sshd", name, 1);
            let stat = Stat::parse(content.as_bytes());
            let expected = Stat {
                process: Process {
                    pid: 4711,
                    start_time: 8_912_345,
                },
                name: name.as_bytes(),
                state: 'S',
                parent: 4700,
                session: 4650,
            };
            assert_eq!(stat, Ok(expected), "{name:?}");
        }
        let mut bytes = STAT.as_bytes().to_vec();
        bytes.splice(6..10, [0xff, 0xfe]);
        assert!(Process::from_stat(&bytes).is_ok());
    }

    #[test]
    fn what_is_not_such_a_text_is_refused() {
        let cut = STAT.find(" 8912345").unwrap();
        for bad in [
            "",
            "4711",
            "4711 (sshd",
            "4711 sshd) S",
            ")(",
            " (sshd) S 1 1 1",
            &STAT[..cut],
            &STAT.replace("8912345", "-1"),
            &STAT.replace("8912345", "18446744073709551616"),
            &STAT.replace("4711 (", "+4711 ("),
            &STAT.replace(") S", ") SS"),
        ] {
            assert_eq!(Stat::parse(bad.as_bytes()), Err(BadStat), "{bad:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_is_read() {
        let content = std::fs::read("/proc/self/stat").unwrap();
        let stat = Stat::parse(&content).unwrap();
        assert_eq!(stat.process.pid, std::process::id());
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
        assert!(stat.process.start_time > 0);
    }
}

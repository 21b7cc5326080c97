//! What stands behind the module in `/etc/pam.d`.
//!
//! Not responsible for: the configuration of sign-in. That is the daemon's, in `/etc/countersign`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_pam_wire::Line;

use crate::trouble::Trouble;

/// Where the daemon is reached.
const SOCKET: &str = "/run/countersign/pam.sock";

/// How long the module waits for the daemon in one hook, all waits together.
const TIMEOUT: Duration = Duration::from_secs(150);

/// No login waits for longer, whatever is asked for.
const LONGEST: u64 = 3600;

const KNOWN: &str = "known are socket=PATH, timeout=SECONDS and debug";

/// The arguments, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) socket: PathBuf,
    pub(crate) timeout: Duration,
    pub(crate) debug: bool,
    #[cfg(feature = "danger_panic_injection")]
    pub(crate) panic: Option<Vec<u8>>,
}

impl Arguments {
    /// Reads the arguments. One that is not known is an error, because it was written for a reason.
    pub(crate) fn parse(words: &[Vec<u8>]) -> Result<Self, Trouble> {
        let mut arguments = Self {
            socket: SOCKET.into(),
            timeout: TIMEOUT,
            debug: false,
            #[cfg(feature = "danger_panic_injection")]
            panic: None,
        };
        let mut seen: Vec<&[u8]> = Vec::new();
        for word in words {
            let shown = Line::clean(&String::from_utf8_lossy(word));
            let refuse = |why: &str| Trouble::Wrong(format!("the argument `{shown}` {why}"));
            let end = word.iter().position(|byte| *byte == b'=');
            let (name, value) = word
                .split_at_checked(end.unwrap_or(word.len()))
                .unwrap_or_default();
            if seen.contains(&name) {
                return Err(refuse("stands there twice"));
            }
            seen.push(name);
            match (name, value.strip_prefix(b"=")) {
                (b"socket", Some(path)) => {
                    let path = Path::new(OsStr::from_bytes(path));
                    if !path.is_absolute() {
                        return Err(refuse("names no absolute path"));
                    }
                    path.clone_into(&mut arguments.socket);
                }
                (b"timeout", Some(seconds)) => {
                    let seconds = seconds_of(seconds).ok_or_else(|| {
                        refuse(&format!("has to be a number of seconds, at most {LONGEST}"))
                    })?;
                    arguments.timeout = Duration::from_secs(seconds);
                }
                (b"debug", None) => arguments.debug = true,
                #[cfg(feature = "danger_panic_injection")]
                (b"panic", Some(place)) => arguments.panic = Some(place.to_vec()),
                _ => return Err(refuse(&format!("is not known; {KNOWN}"))),
            }
        }
        Ok(arguments)
    }
}

fn seconds_of(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| is_plain)?;
    (1..=LONGEST).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, Trouble> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let arguments = parse(&[]).unwrap();
        assert_eq!(arguments.socket, Path::new("/run/countersign/pam.sock"));
        assert_eq!(arguments.timeout, Duration::from_secs(150));
        assert!(!arguments.debug);
        let arguments = parse(&["debug", "socket=/x y", "timeout=300"]).unwrap();
        assert_eq!(arguments.socket, Path::new("/x y"));
        assert_eq!(arguments.timeout, Duration::from_secs(300));
        assert!(arguments.debug);
    }

    #[test]
    fn an_argument_that_is_not_understood_is_named() {
        for word in [
            "",
            "=",
            "debug=1",
            "debug=",
            "socket",
            "socket=",
            "socket=run/x",
            "timeout=0",
            "timeout=+1",
            "timeout=3601",
            "timeout=1s",
            "timeout=99999999999999999999",
            "nullok",
            "use_first_pass",
            "panic=authenticate",
            "Debug",
        ] {
            let Err(Trouble::Wrong(line)) = parse(&[word]) else {
                panic!("{word:?}")
            };
            assert!(line.contains(&format!("`{word}`")), "{line}");
        }
        let Err(Trouble::Wrong(line)) = parse(&["de\u{1b}bug\nx"]) else {
            panic!("taken")
        };
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(Arguments::parse(&[b"\xff".to_vec()]).is_err());
        assert!(parse(&["debug", "debug"]).is_err());
        assert!(parse(&["socket=/a", "socket=/a"]).is_err());
    }
}

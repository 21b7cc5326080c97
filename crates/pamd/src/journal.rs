//! Where events go: the journal with all fields, else syslog, else standard error.
//!
//! Each is a datagram to a socket that is there for it. Nobody waits for a reader, and what cannot be
//! written is written to standard error.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::audit::{Audit, Event, Outcome};

const NAME: &str = "countersign-pamd";
const JOURNAL: &str = "/run/systemd/journal/socket";
const SYSLOG: &str = "/dev/log";
/// `LOG_AUTHPRIV` (RFC 5424, section 6.2.1): security messages that are not for everybody.
const FACILITY: u8 = 10;

/// Writes events where the host keeps them.
#[derive(Debug)]
pub(crate) struct Journal {
    target: Target,
}

#[derive(Debug)]
enum Target {
    Journal(UnixDatagram),
    Syslog(UnixDatagram),
    Stderr,
}

impl Journal {
    /// The journal, else syslog, else standard error, whatever is there.
    pub(crate) fn of_this_host() -> Self {
        let open = || {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        };
        let target = match open() {
            Some(socket) if Path::new(JOURNAL).exists() => Target::Journal(socket),
            Some(socket) if Path::new(SYSLOG).exists() => Target::Syslog(socket),
            _ => Target::Stderr,
        };
        Self { target }
    }

    /// Standard error, for a service manager that keeps it.
    pub(crate) fn on_stderr() -> Self {
        Self {
            target: Target::Stderr,
        }
    }
}

impl Audit for Journal {
    fn write(&self, event: &Event) {
        let sent = match &self.target {
            Target::Journal(socket) => socket.send_to(journal(event).as_bytes(), JOURNAL),
            Target::Syslog(socket) => {
                let head = format!("<{}>{NAME}[{}]: ", priority(event), std::process::id());
                let text = head + &line(event);
                socket.send_to(text.as_bytes(), SYSLOG)
            }
            Target::Stderr => Err(io::ErrorKind::Unsupported.into()),
        };
        if sent.is_err() {
            // Where even stderr is gone there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{}", line(event));
        }
    }
}

fn severity(event: &Event) -> u8 {
    match event.outcome {
        Outcome::Failed => 4,
        Outcome::Refused | Outcome::Granted => 5,
        Outcome::Noted => 6,
    }
}

fn priority(event: &Event) -> u8 {
    FACILITY * 8 + severity(event)
}

/// One field to a line. No value has a line break in it, because an [`Event`] takes none.
fn journal(event: &Event) -> String {
    let mut out = format!(
        "MESSAGE={}\nPRIORITY={}\nSYSLOG_FACILITY={FACILITY}\nSYSLOG_IDENTIFIER={NAME}\n\
         COUNTERSIGN_EVENT={}\nCOUNTERSIGN_OUTCOME={}\n",
        line(event),
        severity(event),
        event.what,
        event.outcome.as_str()
    );
    for (name, value) in &event.fields {
        let _ = writeln!(out, "COUNTERSIGN_{}={value}", name.to_ascii_uppercase());
    }
    out
}

/// The whole event as people read it and as programs split it.
fn line(event: &Event) -> String {
    let mut out = format!(
        "{} {}: {}",
        event.what,
        event.outcome.as_str(),
        event.message
    );
    for (name, value) in &event.fields {
        let plain = !value.contains([' ', '"', '=']);
        let _ = if plain {
            write!(out, " {name}={value}")
        } else {
            write!(out, " {name}={value:?}")
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_has_its_fields() {
        let event = Event::new("login", Outcome::Refused, "no\nforged=1")
            .with("user", "ada")
            .with("reason", "not \"this\" time");
        assert_eq!(
            line(&event),
            "login refused: no forged=1 user=ada reason=\"not \\\"this\\\" time\""
        );
        let fields = journal(&event);
        assert!(fields.contains("\nCOUNTERSIGN_REASON=not \"this\" time\n"));
        assert!(fields.contains("\nPRIORITY=5\n"));
        assert_eq!(
            fields
                .lines()
                .filter(|line| line.starts_with("forged"))
                .count(),
            0
        );
        assert_eq!(priority(&event), 85);
    }
}

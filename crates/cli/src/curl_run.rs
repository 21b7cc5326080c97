//! One run of curl: how the token reaches it, and what comes of the request.
//!
//! The token reaches curl through a pipe that only the two processes hold, as a piece of
//! configuration (`--config /dev/fd/N`), and so does a one-time password. Arguments and environment of a
//! process can be read by others; a pipe cannot. The heads of the answers come back through another one
//! (`--dump-header`), so that an API can be heard that asks for more.
//!
//! Standard output is curl's own. Only where it is no terminal, and the request may be sent again, does
//! it pass through here: the answer that asks for more is held back, so that whoever reads gets one
//! answer. At a terminal curl would behave differently in front of a pipe, and a person can tell two
//! answers apart.
//!
//! Not responsible for what the arguments mean (`curl_args`) or the heads (`curl_heads`).

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use countersign_client::{ExitCategory, OtpDemand, Secret, UnreadableStepUp, printable};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use url::Url;

use crate::curl_args::Arguments;
use crate::curl_heads::{Follows, Heads, Wanted};
use crate::error::CliError;
use crate::redact;

/// How much of an answer that is held back is kept. What asks for more is short.
const MAX_HELD: usize = 256 * 1024;

/// The field that a one-time password goes in.
pub(crate) const STEP_UP: &str = "step-up";

/// A header field: its name, and its value, which is or holds a secret.
pub(crate) type Header = (&'static str, Secret);

/// What curl is to do.
pub(crate) struct Curl<'a> {
    pub(crate) url: &'a Url,
    pub(crate) line: &'a [OsString],
    pub(crate) arguments: &'a Arguments,
}

/// What came of it.
pub(crate) struct Came {
    status: ExitStatus,
    heads: Heads,
    /// What was held back of standard output.
    held: Vec<u8>,
}

impl Came {
    /// What the API wants beyond the token it was sent.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        self.heads.wanted()
    }

    /// What it says of one-time passwords.
    pub(crate) fn otp(&self) -> Result<Option<OtpDemand>, UnreadableStepUp> {
        self.heads.otp()
    }

    /// The nonce that it gives for the proofs to come.
    pub(crate) fn nonce(&self) -> Option<&str> {
        self.heads.nonce()
    }

    /// Where the answer is from, if that is not the address that was called. Fit to print.
    pub(crate) fn moved_to(&self) -> Option<String> {
        self.heads.moved_to().map(|url| printable(url.as_str()))
    }

    /// Where the answer would lead, if it is a redirect. Fit to print.
    pub(crate) fn leads_to(&self) -> Option<String> {
        self.heads.leads_to().map(printable)
    }

    /// Gives what was held back, when nothing takes its place.
    pub(crate) fn show_held(&self) {
        let mut stdout = io::stdout().lock();
        // Whoever reads has had enough, and knows.
        let _ = stdout.write_all(&self.held).and_then(|()| stdout.flush());
    }

    /// Whether curl has come to an answer.
    pub(crate) fn is_success(&self) -> bool {
        self.status.success()
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> u16 {
        self.heads.status()
    }

    /// curl's own exit code; for a curl that was killed, what a shell would report.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let code = self
            .status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0));
        ExitCode::from(u8::try_from(code).unwrap_or(1))
    }
}

impl Curl<'_> {
    /// Runs it to its end. `follows` says after which answers the request may be sent again.
    pub(crate) fn run(&self, headers: &[Header], follows: Follows) -> Result<Came, CliError> {
        self.attend(headers, follows)
            .map_err(|error| not_run(&error))
    }

    fn attend(&self, headers: &[Header], follows: Follows) -> io::Result<Came> {
        let (for_curl, configuration) = io::pipe()?;
        let (mut told, heads_to) = io::pipe()?;
        // Everything that Rust opens is closed in children; these two ends are meant for curl.
        fcntl_setfd(&for_curl, FdFlags::empty())?;
        fcntl_setfd(&heads_to, FdFlags::empty())?;
        // Where the person has the heads written somewhere, that is where they go.
        let listens = !self.arguments.dumps_headers();
        let holds = listens && follows.any() && !io::stdout().is_terminal();
        let mut command = Command::new("curl");
        command
            .args(self.line)
            // Last, so that nothing before it can undo it.
            .arg("--config")
            .arg(format!("/dev/fd/{}", for_curl.as_raw_fd()))
            .env_remove("COUNTERSIGN_TOKEN");
        if self.arguments.is_verbose() {
            command.stderr(Stdio::piped());
        }
        if holds {
            command.stdout(Stdio::piped());
        }
        let mut child = command.spawn()?;
        drop(for_curl);
        let mut text = configuration_of(self.url, headers);
        if listens {
            let _ = writeln!(text, "dump-header = \"/dev/fd/{}\"", heads_to.as_raw_fd());
        }
        drop(heads_to);
        hand_over(configuration, &Secret::new(text));
        let mut came = Heads::new(self.url);
        let (stderr, stdout) = (child.stderr.take(), child.stdout.take());
        let held = thread::scope(|scope| -> io::Result<Vec<u8>> {
            let starred = stderr.map(|stderr| {
                scope.spawn(|| redact::copy(stderr, io::stderr(), &secrets(headers)))
            });
            let held = if let Some(stdout) = stdout {
                relay(stdout, &mut told, &mut came, follows)?
            } else {
                listen(&mut told, &mut came)?;
                Vec::new()
            };
            // What cannot be shown there is no reason to fail.
            drop(starred.map(thread::ScopedJoinHandle::join));
            Ok(held)
        })?;
        Ok(Came {
            status: child.wait()?,
            heads: came,
            held,
        })
    }
}

/// What is not to be seen of them: the token, the proof, and all that belongs to a one-time password.
fn secrets(headers: &[Header]) -> Vec<&[u8]> {
    let each = headers.iter().flat_map(|(name, value)| {
        let value = value.expose();
        let last = value.rsplit([' ', '"']).find(|part| !part.is_empty());
        let whole = (*name == STEP_UP).then_some(value);
        whole.into_iter().chain(last)
    });
    each.map(str::as_bytes).collect()
}

/// What curl reads from the pipe.
fn configuration_of(url: &Url, headers: &[Header]) -> String {
    // What is not encrypted stays on this computer, whatever `http_proxy` says.
    let (protocols, proxy) = if url.scheme() == "https" {
        ("=https", "")
    } else {
        ("=http,https", "noproxy = \"*\"\n")
    };
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    // As the `url` crate wrote it, so that what was checked is what is called; therefore no globbing.
    let address = quoted(url.as_str());
    let mut text = format!(
        "{proxy}globoff\nurl = \"{address}\"\nproto = \"{protocols}\"\nproto-redir = \"{protocols}\"\n"
    );
    for (name, value) in headers {
        let value = Secret::new(quoted(value.expose()));
        let _ = writeln!(text, "header = \"{name}: {}\"", value.expose());
    }
    // Good for one request. And curl would take a field that it does not know along to any host.
    if headers.iter().any(|(name, _)| *name == STEP_UP) {
        text.push_str("no-location\nretry = 0\n");
    }
    text
}

/// Hands over the configuration. A curl that ends early, over a wrong argument say, has told so itself.
fn hand_over(mut pipe: PipeWriter, configuration: &Secret) {
    let _ = pipe.write_all(configuration.expose().as_bytes());
}

/// Reads the heads to their end, which is curl's.
fn listen(told: &mut PipeReader, heads: &mut Heads) -> io::Result<()> {
    let mut piece = [0; 4096];
    loop {
        match told.read(&mut piece)? {
            0 => return Ok(()),
            count => heads.take(piece.get(..count).unwrap_or_default()),
        }
    }
}

/// Passes on what curl prints, as it comes, but for an answer that asks for more: that is given back.
fn relay(
    mut from: ChildStdout,
    told: &mut PipeReader,
    heads: &mut Heads,
    follows: Follows,
) -> io::Result<Vec<u8>> {
    let mut piece = [0; 16 * 1024];
    let mut held = Vec::new();
    let mut tells = true;
    loop {
        wait_for_either(&from, tells.then_some(&*told))?;
        // First what is printed, then the heads: curl tells of a head before it prints what follows it.
        let mut printed = None;
        if is_ready(&from)? {
            let count = from.read(&mut piece)?;
            printed = Some(piece.get(..count).unwrap_or_default());
        }
        let mut written = [0; 4096];
        while tells && is_ready(&*told)? {
            let count = told.read(&mut written)?;
            heads.take(written.get(..count).unwrap_or_default());
            tells = count > 0;
        }
        let Some(printed) = printed else { continue };
        let (ended, asks) = (printed.is_empty(), heads.may_ask(follows));
        if asks {
            let room = MAX_HELD.saturating_sub(held.len());
            held.extend_from_slice(printed.get(..room).unwrap_or(printed));
        } else {
            let mut stdout = io::stdout().lock();
            let passed = stdout
                .write_all(&held)
                .and_then(|()| stdout.write_all(printed))
                .and_then(|()| stdout.flush());
            held.clear();
            // Whoever reads has had enough. curl finds that out when it prints the next piece.
            if passed.is_err() {
                drop(from);
                listen(told, heads)?;
                return Ok(held);
            }
        }
        if ended {
            listen(told, heads)?;
            return Ok(held);
        }
    }
}

fn wait_for_either(one: &ChildStdout, other: Option<&PipeReader>) -> io::Result<()> {
    let one = PollFd::new(one, PollFlags::IN);
    match other {
        Some(other) => polled(&mut [one, PollFd::new(other, PollFlags::IN)], None),
        None => polled(&mut [one], None),
    }
    .map(drop)
}

/// Whether there is something to read, or an end.
fn is_ready(from: impl AsFd) -> io::Result<bool> {
    let mut from = [PollFd::new(&from, PollFlags::IN)];
    polled(&mut from, Some(&Timespec::default())).map(|ready| ready > 0)
}

fn polled(inputs: &mut [PollFd<'_>], limit: Option<&Timespec>) -> io::Result<usize> {
    loop {
        match poll(inputs, limit) {
            Err(rustix::io::Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}

fn not_run(error: &io::Error) -> CliError {
    let failed = CliError::new(
        ExitCategory::Failure,
        "curl_not_run",
        "curl could not be run",
    )
    .why(error.to_string());
    match error.kind() {
        io::ErrorKind::NotFound => {
            failed.hint("install curl, or use `countersign token -o header`")
        }
        _ => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_checked_is_what_is_called() {
        // As the address is read before.
        let url = Url::parse("https://api.example.com\\@evil.example/").unwrap();
        assert_eq!(url.as_str(), "https://api.example.com/@evil.example/");
        let text = configuration_of(&url, &[("authorization", Secret::new("Bearer abc"))]);
        assert!(text.contains("url = \"https://api.example.com/@evil.example/\"\n"));
        assert!(text.contains("header = \"authorization: Bearer abc\"\n"));
        assert!(!text.contains("location"));
    }

    #[test]
    fn a_password_is_for_one_request_and_is_not_seen() {
        let url = Url::parse("https://api.example.com/").unwrap();
        let value = "challenge=\"abc\", method=totp, otp=\"123456\"";
        let headers = [
            ("authorization", Secret::new("Bearer t0ken")),
            (STEP_UP, Secret::new(value)),
        ];
        let text = configuration_of(&url, &headers);
        assert!(text.contains(
            "header = \"step-up: challenge=\\\"abc\\\", method=totp, otp=\\\"123456\\\"\"\n"
        ));
        assert!(text.ends_with("no-location\nretry = 0\n"));
        assert_eq!(
            secrets(&headers),
            [&b"t0ken"[..], value.as_bytes(), &b"123456"[..]]
        );
    }
}

//! Whether everything is in place for people to sign in: looked at as it is, and nothing changed.
//!
//! The network part is a worker like the daemon's, started for the occasion, so that what is examined is
//! what will run.

mod ssh;
mod stack;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign_client::probe::ServerClock;
use countersign_client::{Clock as _, SystemClock, printable};
use countersign_console::settings::Span;
use countersign_jose::KeySet;
use countersign_jose::crypto::ring;
use countersign_oauth::{Issuer, Metadata};

use crate::audit::{Audit, Event};
use crate::config::{Config, Flow, WithoutIdToken};
use crate::host;
use crate::workers::Workers;

/// A clock that is ahead by less makes tokens look older than they are, and none too old.
const HARMLESS: Duration = Duration::from_secs(5 * 60);

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// In words, a line for each thing.
    pub text: String,
    /// Whether nothing is broken; warnings do not count.
    pub healthy: bool,
}

/// What is said about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Good(String),
    /// It may not be meant, or is weaker than it could be; and what to do.
    Odd(String, String),
    /// People cannot sign in like that; and what to do.
    Broken(String, String),
}

fn good(what: impl Into<String>) -> Finding {
    Finding::Good(what.into())
}

fn odd(what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding::Odd(what.into(), hint.into())
}

fn broken(what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding::Broken(what.into(), hint.into())
}

/// Looks at the host, with this configuration and this socket of the module.
pub fn examine(config: &Path, socket: &Path) -> Found {
    let mut findings = Vec::new();
    match Config::read(config) {
        Err(problem) => findings.push(broken(
            problem.line(),
            format!("countersign-pamd check --config {}", config.display()),
        )),
        Ok(read) => {
            findings.push(good(format!("{} can be used", config.display())));
            let shown = format!("countersign-pamd check --config {}", config.display());
            findings.extend(read.warnings().iter().map(|warning| odd(warning, &shown)));
            findings.extend(accounts(&read));
            findings.extend(network(&read));
            if read.services.iter().any(|service| service == "sshd") {
                findings.extend(ssh::examine(read.deadline, read.auto_continue));
            }
            findings.push(stack::module());
            for service in &read.services {
                findings.extend(stack::examine(Path::new("/etc/pam.d"), service));
            }
        }
    }
    findings.push(clock());
    findings.push(listening(socket));
    report(&findings)
}

fn report(findings: &[Finding]) -> Found {
    let mut text = String::new();
    for finding in findings {
        let (word, what, hint) = match finding {
            Finding::Good(what) => ("ok", what, None),
            Finding::Odd(what, hint) => ("warning", what, Some(hint)),
            Finding::Broken(what, hint) => ("broken", what, Some(hint)),
        };
        let _ = writeln!(text, "{word:8} {}", printable(what));
        if let Some(hint) = hint.filter(|hint| !hint.is_empty()) {
            let _ = writeln!(text, "         hint: {}", printable(hint));
        }
    }
    Found {
        text,
        healthy: !findings
            .iter()
            .any(|one| matches!(one, Finding::Broken(..))),
    }
}

/// The accounts that the rules name.
fn accounts(config: &Config) -> Vec<Finding> {
    let named = config.rules.iter().flat_map(|rule| &rule.reach().named);
    let missing = named.filter(|name| host::uid_of(name).is_none());
    missing
        .map(|name| {
            let what = format!("a rule names the account {name}, which this host does not have");
            odd(
                what,
                format!("useradd --create-home {name}, or take it out of the rule"),
            )
        })
        .collect()
}

struct Quiet;

impl Audit for Quiet {
    fn write(&self, _: &Event) {}
}

/// The worker and the authorization server.
fn network(config: &Config) -> Vec<Finding> {
    let clock = Arc::new(SystemClock::new());
    let workers = Workers::new(clock.clone(), Arc::new(Quiet));
    if let Err(failure) = workers.worker(&config.provider) {
        let user = &config.provider.worker_user;
        return vec![broken(
            failure.why,
            format!("useradd --system --no-create-home --shell /usr/sbin/nologin {user}"),
        )];
    }
    let until = clock.monotonic() + config.provider.http_timeout * 2 + Duration::from_secs(2);
    let published = loop {
        match workers.published() {
            Some(published) => break published,
            None if clock.monotonic() >= until => break Err("no answer in time".to_owned()),
            None => clock.sleep(Duration::from_millis(10)),
        }
    };
    let mut findings: Vec<Finding> = workers.sandbox().iter().map(|part| fence(part)).collect();
    let issuer = &config.provider.issuer;
    match published {
        Err(why) => findings.push(broken(
            format!("the authorization server {issuer} cannot be asked about itself: {why}"),
            format!("curl -v {issuer}/.well-known/openid-configuration"),
        )),
        Ok(known) => {
            findings.extend(server(config, &known.metadata, &known.keys));
            findings.push(server_clock(workers.server_clock()));
        }
    }
    findings
}

fn fence(part: &str) -> Finding {
    if part.contains("missing") {
        return odd(
            format!("the network worker lacks a fence: {part}"),
            "a newer kernel has it; the worker's own user is a fence as well",
        );
    }
    good(format!("the network worker: {part}"))
}

fn server(config: &Config, metadata: &str, keys: &str) -> Vec<Finding> {
    let issuer = &config.provider.issuer;
    let metadata = Issuer::parse(issuer)
        .ok()
        .and_then(|issuer| Metadata::from_json(metadata.as_bytes(), &issuer).ok());
    let Some(metadata) = metadata else {
        return vec![broken(format!("{issuer} publishes nothing usable"), "")];
    };
    let mut findings = vec![good(format!("{issuer} publishes what it offers"))];
    let (there, name) = match config.flow {
        Flow::Device => (
            metadata.device_authorization_endpoint.is_some(),
            "device_authorization_endpoint",
        ),
        Flow::Paste => (
            metadata.authorization_endpoint.is_some(),
            "authorization_endpoint",
        ),
    };
    findings.push(if there {
        good(format!("it names its {name}"))
    } else {
        broken(
            format!("it names no {name}"),
            "turn the device grant on at the provider, or set flow = \"paste\" and a redirect_uri",
        )
    });
    if metadata.userinfo_endpoint.is_none()
        && config.sessions.renew_without_id_token == WithoutIdToken::Userinfo
        && config.rules.look_at_claims()
    {
        findings.push(odd(
            "it names no userinfo_endpoint: a renewal that brings no ID token ends the session",
            "if its renewals bring none, renew_without_id_token = \"keep\" lets sessions go on; leaving a group then goes unnoticed",
        ));
    }
    let usable = KeySet::from_json(keys.as_bytes(), ring::provider());
    findings.push(match usable {
        Ok(_) => good("its keys can be used"),
        Err(error) => broken(format!("its keys cannot be used: {error}"), ""),
    });
    if metadata.revocation_endpoint.is_none() && config.sessions.revoke_tokens {
        findings.push(odd(
            "it names no revocation_endpoint: refresh tokens of sessions that end stay good there",
            "revoke_tokens = false, if that is how it is",
        ));
    }
    findings
}

/// An ID token that was made in the future is refused, whoever's clock is wrong; one that is too old only
/// when its life is over, and a rule with `max_auth_age` may find a sign-in older than it is.
fn server_clock(said: ServerClock) -> Finding {
    let (by, ahead) = match said {
        ServerClock::Agrees => return good("its clock and ours agree within a minute"),
        ServerClock::Unknown => {
            return odd(
                "it does not say what time it is, so nobody knows whether the clocks agree",
                "timedatectl status",
            );
        }
        ServerClock::Differs { by, ahead } => (by, ahead),
    };
    let off = Span(Duration::from_secs(by.as_secs()));
    let hint = "timedatectl set-ntp true";
    if ahead && by < HARMLESS {
        return odd(format!("our clock is {off} ahead of the server's"), hint);
    }
    let direction = if ahead { "ahead of" } else { "behind" };
    let what = format!("our clock is {off} {direction} the server's, so its tokens are refused");
    broken(what, hint)
}

/// Whether anybody keeps it right.
fn clock() -> Finding {
    let hint = "timedatectl set-ntp true";
    match run(
        "timedatectl",
        &["show", "--property=NTPSynchronized", "--value"],
    ) {
        Some(answer) if answer.trim() == "yes" => good("the clock is kept right"),
        Some(_) => odd("the clock is not kept right by anybody", hint),
        None => odd(
            "nobody says whether the clock is kept right",
            "check that chrony or ntpd runs",
        ),
    }
}

fn listening(socket: &Path) -> Finding {
    let shown = socket.display();
    let start = "systemctl enable --now countersign-pamd.socket";
    let metadata = match fs::symlink_metadata(socket) {
        Ok(metadata) if metadata.file_type().is_socket() => metadata,
        Ok(_) => return broken(format!("{shown} is no socket"), start),
        Err(_) => return broken(format!("there is no socket {shown}"), start),
    };
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
        let what = format!("others than its owner can use the socket {shown} (mode {mode:04o})");
        return broken(what, format!("chmod 0600 {shown}"));
    }
    match UnixStream::connect(socket) {
        Ok(_) => good(format!("somebody listens at {shown}")),
        Err(_) => broken(format!("nobody listens at {shown}"), start),
    }
}

/// What a program prints, if it is there and ends well.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_line_for_each_thing_and_says_what_to_type() {
        let found = report(&[good("a\u{1b}"), odd("b", "do b"), broken("c", "")]);
        assert_eq!(
            found.text,
            "ok       a\nwarning  b\n         hint: do b\nbroken   c\n"
        );
        assert!(!found.healthy);
        assert!(report(&[good("a"), odd("b", "")]).healthy);
    }

    #[test]
    fn a_server_without_userinfo_is_named_where_rules_look_at_claims() {
        let metadata = |more: &str| format!("{{\"issuer\":\"https://id.example\"{more}}}");
        let userinfo = ",\"userinfo_endpoint\":\"https://id.example/userinfo\"";
        let group = "[[rule]]\naccounts = \"ada\"\ngroup = \"ops\"\n";
        let keep = format!("renew_without_id_token = \"keep\"\n{group}");
        let sub = group.replace("group", "sub");
        for (rules, more, is_named) in [
            (group, "", true),
            (group, userinfo, false),
            (&keep, "", false),
            (&sub, "", false),
        ] {
            let head = "issuer = \"https://id.example\"\nclient_id = \"ssh\"\n";
            let config = crate::check_text(&format!("{head}{rules}")).unwrap();
            let found = server(&config, &metadata(more), "{}");
            let named = found.iter().any(
                |one| matches!(one, Finding::Odd(what, _) if what.contains("userinfo_endpoint")),
            );
            assert_eq!(named, is_named, "{rules}{more}");
        }
    }

    #[test]
    fn clocks_that_differ_are_found_and_the_wrong_way_sooner() {
        let said = |seconds: u64, ahead| {
            let by = Duration::from_millis(seconds * 1000 + 20);
            server_clock(ServerClock::Differs { by, ahead })
        };
        let is_broken = |found: &Finding| matches!(found, Finding::Broken(..));
        for (seconds, ahead, refused) in [
            (60, false, true),
            (60, true, false),
            (299, true, false),
            (300, true, true),
        ] {
            assert_eq!(is_broken(&said(seconds, ahead)), refused, "{seconds}");
        }
        let what = "our clock is 2 min behind the server's, so its tokens are refused";
        assert!(matches!(said(120, false), Finding::Broken(found, _) if found == what));
        assert!(matches!(
            server_clock(ServerClock::Agrees),
            Finding::Good(_)
        ));
        assert!(matches!(
            server_clock(ServerClock::Unknown),
            Finding::Odd(..)
        ));
    }

    #[test]
    fn what_a_server_lacks_is_named() {
        let config =
            crate::check_text("issuer = \"https://id.example\"\nclient_id = \"ssh\"\n").unwrap();
        let metadata = |more: &str| format!("{{\"issuer\":\"https://id.example\"{more}}}");
        let found = server(&config, &metadata(""), "{}");
        assert!(
            matches!(&found[1], Finding::Broken(what, _) if what.contains("device_authorization"))
        );
        assert!(matches!(&found[2], Finding::Broken(..)));
        let more = ",\"device_authorization_endpoint\":\"https://id.example/device\"";
        assert!(matches!(
            &server(&config, &metadata(more), "{\"keys\":[]}")[1],
            Finding::Good(_)
        ));
        let other = "{\"issuer\":\"https://other.example\"}";
        assert!(matches!(
            &server(&config, other, "{}")[0],
            Finding::Broken(..)
        ));
    }
}

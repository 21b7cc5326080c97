//! What sshd is told, as far as it decides whether anybody can sign in.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Finding, broken, good, odd, run};

/// The first that shows text of PAM before it asks anything.
const SHOWS_TEXT: (u32, u32) = (10, 3);

/// Asks the sshd of this host.
pub(super) fn examine(deadline: Duration, auto_continue: bool) -> Vec<Finding> {
    // It is started by its full path, also to be asked.
    let Some(settings) = run("/usr/sbin/sshd", &["-T"]) else {
        let hint = "run this as root; sshd -t says what is wrong";
        return vec![odd("sshd does not say how it is configured", hint)];
    };
    let mut findings = judge(&settings, deadline);
    findings.push(version(&said_version(), auto_continue));
    findings
}

/// It has no option for this in older versions, and names itself when it complains.
fn said_version() -> String {
    let output = Command::new("/usr/sbin/sshd")
        .arg("-V")
        .stdin(Stdio::null())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn judge(settings: &str, deadline: Duration) -> Vec<Finding> {
    let value = |name: &str| {
        settings.lines().find_map(|line| {
            let (found, value) = line.split_once(' ')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let mut findings = Vec::new();
    for name in ["UsePAM", "KbdInteractiveAuthentication"] {
        findings.push(match value(name) {
            Some("yes") => good(format!("sshd: {name} yes")),
            other => broken(
                format!("sshd: {name} {}", other.unwrap_or("is not set")),
                format!("{name} yes in /etc/ssh/sshd_config, then systemctl reload ssh"),
            ),
        });
    }
    if value("PasswordAuthentication") != Some("no") {
        findings.push(odd(
            "sshd: PasswordAuthentication yes asks for a password where none is of any use",
            "PasswordAuthentication no in /etc/ssh/sshd_config, then systemctl reload ssh",
        ));
    }
    let grace = value("LoginGraceTime").and_then(|text| text.parse().ok());
    match grace.map(Duration::from_secs) {
        // No limit at all.
        Some(grace) if grace.is_zero() => {}
        Some(grace) if grace < deadline + Duration::from_secs(10) => {
            let needed = deadline.as_secs() + 10;
            findings.push(broken(
                format!(
                    "sshd hangs up after {} s (LoginGraceTime), and a sign-in may take {} s",
                    grace.as_secs(),
                    deadline.as_secs()
                ),
                format!("LoginGraceTime {needed} in /etc/ssh/sshd_config, or a shorter deadline"),
            ));
        }
        Some(_) => findings.push(good("sshd: LoginGraceTime is long enough")),
        None => {}
    }
    let starts = value("MaxStartups").and_then(|text| text.split(':').next()?.parse().ok());
    if starts.is_some_and(|starts: u32| starts <= 10) {
        findings.push(odd(
            "sshd: MaxStartups turns connections away when ten people are signing in",
            "MaxStartups 100:30:300 in /etc/ssh/sshd_config on hosts that many people use",
        ));
    }
    findings
}

fn version(said: &str, auto_continue: bool) -> Finding {
    let number = said.split("OpenSSH_").nth(1).and_then(|rest| {
        let (major, rest) = rest.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    match number {
        None => odd("sshd does not say which version it is", "sshd -V"),
        Some((major, minor)) if auto_continue && (major, minor) < SHOWS_TEXT => broken(
            format!(
                "auto_continue is set, and OpenSSH {major}.{minor} shows nothing before it asks"
            ),
            "auto_continue = false, or OpenSSH 10.3",
        ),
        Some((major, minor)) => good(format!("sshd is OpenSSH {major}.{minor}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "usepam yes\nkbdinteractiveauthentication yes\npasswordauthentication no\n\
                        logingracetime 120\nmaxstartups 100:30:300\n";

    fn words(settings: &str) -> String {
        format!("{:?}", judge(settings, Duration::from_secs(110)))
    }

    #[test]
    fn what_would_keep_people_out_is_found() {
        assert!(!words(GOOD).contains("Broken") && !words(GOOD).contains("Odd"));
        for (from, to, says) in [
            ("usepam yes", "usepam no", "Broken(\"sshd: UsePAM no\""),
            (
                "kbdinteractiveauthentication yes",
                "x y",
                "KbdInteractiveAuthentication is not set",
            ),
            (
                "passwordauthentication no",
                "passwordauthentication yes",
                "Odd(\"sshd: Password",
            ),
            (
                "logingracetime 120",
                "logingracetime 60",
                "hangs up after 60 s",
            ),
            ("maxstartups 100", "maxstartups 10", "MaxStartups"),
        ] {
            let said = words(&GOOD.replace(from, to));
            assert!(said.contains(says), "{said}");
        }
        assert!(
            !words(&GOOD.replace("logingracetime 120", "logingracetime 0")).contains("hangs up")
        );
        // As 10.6 writes them.
        let newer = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n\
                     LoginGraceTime 120\nMaxStartups 100:30:300\n";
        assert_eq!(words(newer), words(GOOD));
    }

    #[test]
    fn versions_are_read_where_they_stand() {
        let old = "unknown option -- V\nOpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17";
        assert_eq!(version(old, false), good("sshd is OpenSSH 9.2"));
        assert!(matches!(version(old, true), Finding::Broken(..)));
        let new = "OpenSSH_10.6p1 Debian-1, OpenSSL 3.6.5 29 Sep 2026";
        assert_eq!(version(new, true), good("sshd is OpenSSH 10.6"));
        assert!(matches!(version("", false), Finding::Odd(..)));
    }
}

//! What must not be in a crate's dependency tree at any depth.

use crate::command::{self, cargo};
use crate::steps::Failure;

struct Ban {
    names: &'static [&'static str],
    because: &'static str,
}

const ASYNC: Ban = Ban {
    names: &["tokio", "async-io", "async-std", "smol", "reqwest"],
    because: "a short-lived program pays for a runtime with start-up time and threads",
};
const BUS: Ban = Ban {
    names: &["zbus", "dbus", "signal-hook-registry"],
    because: "a bus connection starts threads and may hang on a locked keyring; countersign-keyring \
              has it, in a process of its own",
};
const TOKIO: Ban = Ban {
    names: &["tokio"],
    because: "a program that asks one question has no use for a scheduler",
};
const AWS_LC: Ban = Ban {
    names: &["aws-lc-rs", "aws-lc-sys"],
    because: "its first use costs over 20 ms and a failing random source aborts the process",
};
const OPENSSL: Ban = Ban {
    names: &["openssl-sys", "native-tls"],
    because: "TLS is rustls throughout, with one set of trust rules",
};
const NETWORK: Ban = Ban {
    names: &["ureq", "hyper", "rustls", "socket2", "mio"],
    because: "floors 0 and 1 open no socket",
};
const CLOCK: Ban = Ban {
    names: &["jiff", "chrono", "time"],
    because: "floors 0 and 1 read no clock: time comes in as an argument",
};

const TREES: &[(&str, &[&Ban])] = &[
    ("countersign", &[&ASYNC, &BUS, &AWS_LC, &OPENSSL]),
    ("countersign-client", &[&ASYNC, &BUS, &AWS_LC, &OPENSSL]),
    ("opsctl", &[&ASYNC, &BUS, &AWS_LC, &OPENSSL]),
    (
        "countersign-jose",
        &[&ASYNC, &BUS, &NETWORK, &CLOCK, &OPENSSL],
    ),
    (
        "countersign-oauth",
        &[&ASYNC, &BUS, &NETWORK, &CLOCK, &OPENSSL],
    ),
    (
        "countersign-otp",
        &[&ASYNC, &BUS, &NETWORK, &CLOCK, &OPENSSL],
    ),
    (
        "countersign-store",
        &[&ASYNC, &BUS, &NETWORK, &CLOCK, &OPENSSL],
    ),
    // The one program on a laptop that speaks with a bus: alone in its process, for a moment.
    ("countersign-keyring", &[&TOKIO, &AWS_LC, &OPENSSL]),
    // It runs as root, and a failing random source must not take a login's daemon away.
    ("countersign-pamd", &[&ASYNC, &BUS, &AWS_LC, &OPENSSL]),
    ("countersign-resource", &[&OPENSSL]),
    ("countersign-issuer", &[&OPENSSL]),
];

/// What runs as root inside of other people's programs, with everything that it consists of.
const MODULE: (&str, &[&str]) = (
    "countersign-pam",
    &["countersign-pam", "countersign-pam-wire", "libc"],
);

pub(crate) fn check() -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    for (package, bans) in TREES {
        findings.extend(find(package, &tree(package)?, bans));
    }
    let (package, all) = MODULE;
    findings.extend(not_among(package, &tree(package)?, all));
    Ok(findings)
}

fn tree(package: &str) -> Result<String, Failure> {
    command::output(
        cargo()
            .args([
                "tree",
                "--locked",
                "--package",
                package,
                "--edges",
                "normal,build",
            ])
            .args(["--target", "all", "--prefix", "none", "--format", "{p}"]),
    )
}

/// What is in a tree and not in the list of all that may be.
fn not_among(package: &str, tree: &str, all: &[&str]) -> Vec<String> {
    tree.lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .filter(|name| !all.contains(name))
        .map(|name| {
            format!("{package} reaches {name}, but whatever it links becomes a part of sshd")
        })
        .collect()
}

/// `tree` has one `name v1.2.3 …` a line.
fn find(package: &str, tree: &str, bans: &[&Ban]) -> Vec<String> {
    let mut names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut findings = Vec::new();
    for ban in bans {
        for name in names.iter().filter(|name| ban.names.contains(name)) {
            findings.push(format!(
                "{package} reaches {name}, but {}; see `cargo tree -p {package} -i {name}`",
                ban.because
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_is_found_at_any_depth_and_once() {
        let tree = "countersign v0.1.0 (/x)\nureq v3.5.1\ntokio v1.54.0\ntokio v1.54.0 (*)\n";
        let findings = find("countersign", tree, &[&ASYNC, &AWS_LC]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("reaches tokio"));
        assert!(find("countersign", "tokio-rustls-like v1\n", &[&ASYNC]).is_empty());
        assert_eq!(
            not_among("x", "x v1\nlibc v0.2\nserde v1\n", &["x", "libc"]).len(),
            1
        );
    }
}

//! Floors 0 and 1 do no I/O: read from their sources, because std needs no dependency to do it.

use std::path::Path;

use super::files::{find, read, relative};
use super::rust_source::{SourcePath, paths, tokens, without_tests};
use crate::metadata::{Metadata, Package};
use crate::steps::Failure;

struct Rule {
    path: &'static str,
    because: &'static str,
}

const fn rule(path: &'static str, because: &'static str) -> Rule {
    Rule { path, because }
}

const SOCKETS: &str = "floors 0 and 1 open no socket: the driver above moves the bytes";
const CLOCK: &str = "floors 0 and 1 read no clock: take `now` as an argument";
const THREADS: &str = "floors 0 and 1 start no thread and never sleep: return `WaitUntil`";
const FILES: &str = "only the store touches files";
const SURROUNDINGS: &str = "floors 0 and 1 do not look at their surroundings: take an argument";

const RULES: &[Rule] = &[
    rule("std::net", SOCKETS),
    rule("std::os::unix::net", SOCKETS),
    rule("rustix::net", SOCKETS),
    rule("rustix::event", SOCKETS),
    rule("std::time::SystemTime", CLOCK),
    rule("std::time::Instant", CLOCK),
    rule("std::time::UNIX_EPOCH", CLOCK),
    rule("rustix::time", CLOCK),
    rule("std::thread", THREADS),
    rule("rustix::thread", THREADS),
    rule("std::env", SURROUNDINGS),
    rule("std::process::Command", SURROUNDINGS),
];

/// What stands in a forbidden module and does nothing: an address is a value, and a policy may name one.
const VALUES: &[&str] = &[
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
];

const FILE_RULES: &[Rule] = &[
    rule("std::fs", FILES),
    rule("std::os::unix::fs", FILES),
    rule("rustix::fs", FILES),
];

const FLOORS: [&str; 6] = [
    "countersign-jose",
    "countersign-otp",
    "countersign-pam-wire",
    "countersign-policy",
    "countersign-oauth",
    "countersign-store",
];

pub(crate) fn check(metadata: &Metadata) -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    for package in metadata
        .members()
        .filter(|package| FLOORS.contains(&package.name.as_str()))
    {
        findings.extend(check_package(package)?);
    }
    Ok(findings)
}

/// Where `unsafe` may stand: where pointers of PAM become something else.
const BORDER: &str = "crates/pam/src/ffi/";

/// Everywhere else it must not, whatever a crate says of its own lints.
pub(crate) fn check_unsafe(metadata: &Metadata) -> Result<Vec<String>, Failure> {
    let is_rust = |path: &Path| path.extension().is_some_and(|it| it == "rs");
    let mut findings = Vec::new();
    for package in metadata.members() {
        for path in find(&package.directory(), &is_rust)? {
            let file = relative(&path);
            if file.starts_with(BORDER) {
                continue;
            }
            let found = tokens(&read(&path)?);
            findings.extend(
                found
                    .iter()
                    .filter(|token| token.text == "unsafe")
                    .map(|token| format!("{file}:{}: `unsafe` belongs into {BORDER}", token.line)),
            );
        }
    }
    Ok(findings)
}

fn check_package(package: &Package) -> Result<Vec<String>, Failure> {
    let may_use_files = package.name == "countersign-store";
    let rules: Vec<&Rule> = RULES
        .iter()
        .chain(FILE_RULES.iter().filter(|_| !may_use_files))
        .collect();
    let mut sources = Vec::new();
    let mut test_modules = Vec::new();
    let is_rust = |path: &Path| path.extension().is_some_and(|it| it == "rs");
    for path in find(&package.directory().join("src"), &is_rust)? {
        let (code, modules) = without_tests(&tokens(&read(&path)?));
        // The file of `mod tests;` stands beside `lib.rs` and `mod.rs`, and below any other.
        let parent = path.parent().unwrap_or(&path).to_owned();
        let is_root = ["lib", "mod", "main"]
            .iter()
            .any(|stem| path.file_stem() == Some(stem.as_ref()));
        let base = if is_root {
            parent
        } else {
            path.with_extension("")
        };
        test_modules.extend(modules.into_iter().map(|module| base.join(module)));
        sources.push((path, code));
    }
    let mut findings = Vec::new();
    for (path, code) in sources {
        if test_modules
            .iter()
            .any(|module| path.with_extension("") == *module || path.starts_with(module))
        {
            continue;
        }
        for found in paths(&code) {
            if let Some(rule) = rules.iter().find(|rule| breaks(&found, rule)) {
                findings.push(format!(
                    "{}:{}: `{}`: {}",
                    relative(&path),
                    found.line,
                    found.segments.join("::"),
                    rule.because
                ));
            }
        }
    }
    Ok(findings)
}

/// A path breaks a rule when it reaches what the rule forbids, or when it imports a module through
/// which the rule could be broken unseen (`use std::time;`).
fn breaks(found: &SourcePath, rule: &Rule) -> bool {
    let forbidden: Vec<&str> = rule.path.split("::").collect();
    let mut segments: Vec<&str> = found.segments.iter().map(String::as_str).collect();
    let whole = segments.len() > 1
        && segments
            .last()
            .is_some_and(|last| ["self", "*"].contains(last));
    if whole {
        segments.pop();
    }
    if VALUES.contains(&segments.join("::").as_str()) {
        return false;
    }
    // A single segment is a name like any other, not a way into a module.
    let imports_module = (whole || segments.len() > 1) && forbidden.starts_with(&segments);
    segments.starts_with(&forbidden) || imports_module
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(source: &str) -> usize {
        paths(&tokens(source))
            .iter()
            .filter(|path| {
                RULES
                    .iter()
                    .chain(FILE_RULES)
                    .any(|rule| breaks(path, rule))
            })
            .count()
    }

    #[test]
    fn what_reaches_the_outside_is_found_however_it_is_written() {
        for source in [
            "use std::net::TcpStream;",
            "use std::net::{IpAddr, UdpSocket};",
            "\"localhost:1\".parse::<std::net::ToSocketAddrs>()",
            "use std::net;",
            "let now = std::time::Instant::now();",
            "use std::{fmt, time::SystemTime};",
            "use std::time;",
            "use std::time::{self, Duration};",
            "use std::*;",
            "::std::thread::sleep(d)",
            "use std::fs as disk;",
            "std::env::var(\"HOME\")",
        ] {
            assert!(broken(source) > 0, "{source}");
        }
    }

    #[test]
    fn what_stays_inside_is_not() {
        for source in [
            "use std::time::Duration;",
            "use std::net::{IpAddr, Ipv6Addr};",
            "use std::io::{self, Read};",
            "use std::fmt; let time = 1; let std = 2; self",
            "use std::os::fd::AsFd;",
            "use rustix::process::getuid;",
        ] {
            assert_eq!(broken(source), 0, "{source}");
        }
    }
}

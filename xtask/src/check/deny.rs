//! The licences, bans and sources of `deny.toml`, judged from `cargo metadata`.
//!
//! Building cargo-deny takes minutes, which every fresh build server would pay; so this reads the
//! same file, and cargo-deny itself is asked as well where someone has installed it.
//!
//! Not responsible for: advisories, which need a database from the network.

use std::fs;

use serde::Deserialize;

use super::licence;
use crate::command::{self, cargo};
use crate::metadata::{Metadata, Package};
use crate::steps::Failure;

#[derive(Debug, Deserialize)]
struct Policy {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
    /// Crates through which it is tolerated.
    #[serde(default)]
    wrappers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

pub(crate) fn check(workspaces: &[&Metadata]) -> Result<(), Failure> {
    let text = fs::read_to_string(command::root().join("deny.toml"))
        .map_err(|error| format!("deny.toml: {error}"))?;
    let policy: Policy = toml::from_str(&text).map_err(|error| format!("deny.toml: {error}"))?;
    let findings: Vec<String> = workspaces
        .iter()
        .flat_map(|metadata| policy.judge(metadata))
        .collect();
    super::report(&findings)?;
    if command::is_installed("cargo-deny") {
        command::run(
            cargo()
                .args(["deny", "--offline", "--locked", "--log-level", "error"])
                .args([
                    "check",
                    "--hide-inclusion-graph",
                    "licenses",
                    "bans",
                    "sources",
                ]),
        )?;
    } else {
        println!("   cargo-deny is not installed: deny.toml was judged by xtask alone");
    }
    Ok(())
}

impl Policy {
    fn judge(&self, metadata: &Metadata) -> Vec<String> {
        let foreign = || {
            metadata
                .packages
                .iter()
                .filter(|package| package.source.is_some())
        };
        let mut findings: Vec<String> = Vec::new();
        for package in foreign() {
            if !self.may_be_licensed(package) {
                findings.push(format!(
                    "{} {}: its licence ({}) is not allowed",
                    package.name,
                    package.version,
                    package.license.as_deref().unwrap_or("none given")
                ));
            }
            if !self.may_come_from(package) {
                findings.push(format!("{}: not from an allowed registry", package.name));
            }
        }
        for ban in &self.bans.deny {
            for banned in foreign().filter(|package| package.name == ban.name) {
                findings.extend(
                    metadata
                        .users(banned)
                        .filter(|user| !ban.wrappers.contains(&user.name))
                        .map(|user| format!("{} uses {}: {}", user.name, ban.name, ban.reason)),
                );
            }
        }
        findings
    }

    fn may_be_licensed(&self, package: &Package) -> bool {
        let allow = |name: &str| {
            let exception = self.licenses.exceptions.iter().any(|exception| {
                exception.name == package.name && exception.allow.iter().any(|it| it == name)
            });
            exception || self.licenses.allow.iter().any(|it| it == name)
        };
        package
            .license
            .as_deref()
            .is_some_and(|licence| licence::is_allowed(licence, &allow))
    }

    fn may_come_from(&self, package: &Package) -> bool {
        let source = package.source.as_deref().unwrap_or_default();
        self.sources
            .allow_registry
            .iter()
            .any(|registry| source.strip_prefix("registry+") == Some(registry))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judge(license: &str, name: &str, source: &str) -> Vec<String> {
        let policy: Policy = toml::from_str(
            r#"
            licenses = { allow = ["MIT"], exceptions = [{ crate = "odd", allow = ["NCSA"] }] }
            bans = { deny = [{ crate = "bad", reason = "R", wrappers = ["wrapper"] }] }
            sources = { allow-registry = ["https://good"] }
            "#,
        )
        .unwrap();
        let package = |id: &str| {
            json!({
                "id": id, "name": id, "version": "1.0.0", "license": license, "source": source,
                "manifest_path": "/x/Cargo.toml",
                "dependencies": [],
            })
        };
        let metadata = json!({
            "packages": [package(name), package("bad")],
            "workspace_members": [],
            "resolve": { "nodes": [{ "id": name, "dependencies": ["bad"] }] },
        });
        policy.judge(&serde_json::from_value(metadata).unwrap())
    }

    #[test]
    fn a_ban_names_who_brings_it_in_and_tolerates_its_wrapper() {
        assert_eq!(
            judge("MIT", "user", "registry+https://good"),
            ["user uses bad: R"]
        );
        assert_eq!(judge("MIT", "wrapper", "registry+https://good").len(), 0);
    }

    #[test]
    fn a_licence_outside_the_list_is_allowed_to_its_exception_only() {
        let findings = judge("NCSA", "odd", "registry+https://good");
        assert_eq!(findings[0], "bad 1.0.0: its licence (NCSA) is not allowed");
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn only_the_allowed_registry_may_be_a_source() {
        assert_eq!(judge("MIT", "wrapper", "registry+https://evil").len(), 2);
        assert_eq!(judge("MIT", "wrapper", "git+https://good").len(), 2);
    }
}

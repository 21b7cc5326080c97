//! `cargo xtask check`: what must hold before a change is looked at by a person.

mod arrows;
mod deny;
mod files;
mod licence;
mod manifests;
mod rust_source;
mod sources;
mod trees;

use std::process::ExitCode;

use crate::command::{self, cargo};
use crate::generate;
use crate::metadata::Metadata;
use crate::steps::{Failure, Steps};

pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    steps.run("format", || {
        command::run(cargo().args(["fmt", "--all", "--check"]))?;
        // The fuzz targets are outside the workspace.
        command::run(cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
    });
    let (mut metadata, mut fuzz) = (None, None);
    steps.run("lock files", || {
        metadata = Some(Metadata::read("Cargo.toml")?);
        fuzz = Some(Metadata::read("fuzz/Cargo.toml")?);
        Ok(())
    });
    if let Some(metadata) = &metadata {
        steps.run("arrows", || report(&arrows::check(metadata)));
        steps.run("manifests", || report(&manifests::check(metadata)?));
        steps.run("sources of floors 0 and 1", || {
            report(&sources::check(metadata)?)
        });
        steps.run("unsafe", || report(&sources::check_unsafe(metadata)?));
        steps.run("file lengths and lock files", || report(&files::check()?));
    }
    if let (Some(metadata), Some(fuzz)) = (&metadata, &fuzz) {
        steps.run("licences, bans, sources", || deny::check(&[metadata, fuzz]));
    }
    steps.run("dependency trees", || report(&trees::check()?));
    steps.run("clippy", || {
        command::run(
            cargo()
                .args(["clippy", "--workspace", "--all-targets", "--locked"])
                .args(["--", "--deny", "warnings"]),
        )
    });
    steps.run("generated files", generate::check);
    // A workspace build unites features, and so hides a crate that forgot to ask for one.
    steps.run("each crate alone", || {
        for (package, options) in ALONE {
            command::run(
                cargo()
                    .args(["check", "--quiet", "--locked", "--package", package])
                    .args(options.split_ascii_whitespace()),
            )?;
        }
        Ok(())
    });
    steps.run("documentation", || {
        command::run(
            cargo()
                .args(["doc", "--quiet", "--workspace", "--no-deps", "--locked"])
                .env("RUSTDOCFLAGS", "--deny warnings"),
        )
    });
    steps.finish()
}

const ALONE: [(&str, &str); 17] = [
    ("countersign-jose", "--no-default-features --features ring"),
    (
        "countersign-jose",
        "--no-default-features --features aws-lc-rs",
    ),
    ("countersign-otp", "--no-default-features --features ring"),
    (
        "countersign-otp",
        "--no-default-features --features aws-lc-rs",
    ),
    ("countersign-pam", ""),
    ("countersign-pam-wire", ""),
    ("countersign-pamd", ""),
    ("countersign-policy", ""),
    ("countersign-oauth", ""),
    ("countersign-store", ""),
    ("countersign-client", ""),
    ("countersign", ""),
    ("countersign-keyring", ""),
    ("countersign-resource", ""),
    ("countersign-issuer", ""),
    ("opsctl", ""),
    ("opsctl-api", ""),
];

/// A rule's findings are one failure; none are a success.
fn report(findings: &[String]) -> Result<(), Failure> {
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings.join("\n"))
    }
}

//! Rules about manifests: one place for versions and lints, and nothing in them that is not used.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use super::files::{find, read, relative};
use super::rust_source::{tokens, without_tests};
use crate::command::root;
use crate::metadata::{Metadata, Package};
use crate::steps::Failure;

/// The one crate that may say `unsafe`, because PAM is C. It has to write the lints down again, since a
/// `forbid` cannot be taken back.
const AT_THE_BORDER: &str = "countersign-pam";

/// What it has to say beside the workspace's lints.
const BORDER_LINTS: &[(&str, &str, &str)] = &[
    ("rust", "unsafe_code", "deny"),
    ("rust", "unsafe_op_in_unsafe_fn", "deny"),
    ("clippy", "undocumented_unsafe_blocks", "deny"),
    ("clippy", "multiple_unsafe_ops_per_block", "deny"),
];

/// Dependencies that no source names, with the reason.
const UNNAMED: &[(&str, &str, &str)] = &[];

pub(crate) fn check(metadata: &Metadata) -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let workspace = table(&root().join("Cargo.toml"))?;
    for package in metadata.members() {
        let manifest = table(&package.manifest_path)?;
        let file = relative(&package.manifest_path);
        findings.extend(one_place(&manifest, &file));
        findings.extend(if package.name == AT_THE_BORDER {
            border_lints(&manifest, &workspace, &file)
        } else {
            workspace_lints(&manifest, &file)
        });
        findings.extend(unused(package)?);
        used.extend(
            package
                .dependencies
                .iter()
                .map(|dependency| dependency.name.as_str()),
        );
    }
    let declared = workspace
        .get("workspace")
        .and_then(|it| it.get("dependencies"))
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::keys);
    findings.extend(
        declared
            .filter(|name| !used.contains(name.as_str()))
            .map(|name| format!("Cargo.toml: no crate of the workspace uses {name}")),
    );
    Ok(findings)
}

fn table(path: &Path) -> Result<Table, Failure> {
    toml::from_str(&read(path)?).map_err(|error| format!("{}: {error}", relative(path)))
}

fn says_workspace(value: &Value) -> Option<bool> {
    value.get("workspace").and_then(Value::as_bool)
}

/// Lints come from the workspace.
fn workspace_lints(manifest: &Table, file: &str) -> Vec<String> {
    if manifest.get("lints").and_then(says_workspace) == Some(true) {
        Vec::new()
    } else {
        vec![format!("{file}: write `[lints] workspace = true`")]
    }
}

/// The workspace's lints, but for those of [`BORDER_LINTS`].
fn border_lints(manifest: &Table, workspace: &Table, file: &str) -> Vec<String> {
    let level = |lints: Option<&Value>, tool: &str, lint: &str| {
        lints.and_then(|it| it.get(tool)?.get(lint)).cloned()
    };
    let own = manifest.get("lints");
    let ours = workspace.get("workspace").and_then(|it| it.get("lints"));
    let mut wanted: Vec<(String, String, Value)> = BORDER_LINTS
        .iter()
        .map(|(tool, lint, level)| ((*tool).into(), (*lint).into(), Value::from(*level)))
        .collect();
    for tool in ["rust", "clippy"] {
        let lints = ours.and_then(|it| it.get(tool)).and_then(Value::as_table);
        for (lint, level) in lints.into_iter().flatten() {
            let excepted = BORDER_LINTS.iter().any(|it| (it.0, it.1) == (tool, lint));
            if !excepted {
                wanted.push((tool.into(), lint.clone(), level.clone()));
            }
        }
    }
    wanted
        .into_iter()
        .filter(|(tool, lint, wanted)| level(own, tool, lint).as_ref() != Some(wanted))
        .map(|(tool, lint, wanted)| format!("{file}: [lints.{tool}]: write `{lint} = {wanted}`"))
        .collect()
}

/// Versions come from the workspace.
fn one_place(manifest: &Table, file: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values().filter_map(Value::as_table));
    for table in std::iter::once(manifest).chain(targets) {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in table
                .get(section)
                .and_then(Value::as_table)
                .into_iter()
                .flatten()
            {
                if says_workspace(value) != Some(true) {
                    findings.push(format!(
                        "{file}: {name}: its version belongs into the root's [workspace.dependencies]"
                    ));
                }
            }
        }
    }
    findings
}

/// Dependencies that no source of the package names. What only tests name is a dev-dependency.
fn unused(package: &Package) -> Result<Vec<String>, Failure> {
    let (mut code, mut tests) = (BTreeSet::new(), BTreeSet::new());
    for path in find(&package.directory(), &|path| {
        path.extension().is_some_and(|it| it == "rs")
    })? {
        let all = tokens(&read(&path)?);
        if path.starts_with(package.directory().join("src")) {
            code.extend(without_tests(&all).0.into_iter().map(|token| token.text));
        }
        tests.extend(all.into_iter().map(|token| token.text));
    }
    let findings = package
        .dependencies
        .iter()
        .filter(|dependency| {
            let named = if dependency.is_dev() { &tests } else { &code };
            let excused = UNNAMED
                .iter()
                .any(|(who, what, _)| *who == package.name && *what == dependency.name);
            !named.contains(&dependency.crate_name()) && !excused
        })
        .map(|dependency| {
            let kind = dependency.kind.as_deref().unwrap_or("normal");
            format!(
                "{}: {} ({kind}) is not used",
                relative(&package.manifest_path),
                dependency.name
            )
        })
        .collect();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_or_lints_of_its_own_are_found() {
        let manifest = r#"
            [dependencies]
            serde = "1"
            url.workspace = true
            tokio = { workspace = true, features = ["net"] }
            [target.'cfg(unix)'.dependencies]
            libc = "1"
        "#;
        let manifest = toml::from_str(manifest).unwrap();
        let findings = one_place(&manifest, "x/Cargo.toml");
        assert_eq!(findings.len(), 2);
        assert!(findings[0].contains("serde"));
        assert!(findings[1].contains("libc"));
        assert_eq!(workspace_lints(&manifest, "x/Cargo.toml").len(), 1);
    }

    #[test]
    fn the_crate_at_the_border_has_every_lint_but_one() {
        let workspace = r#"
            [workspace.lints.rust]
            unsafe_code = "forbid"
            missing_docs = "warn"
            [workspace.lints.clippy]
            pedantic = { level = "warn", priority = -1 }
        "#;
        let workspace = toml::from_str(workspace).unwrap();
        let good = r#"
            [lints.rust]
            unsafe_code = "deny"
            unsafe_op_in_unsafe_fn = "deny"
            missing_docs = "warn"
            [lints.clippy]
            pedantic = { level = "warn", priority = -1 }
            undocumented_unsafe_blocks = "deny"
            multiple_unsafe_ops_per_block = "deny"
        "#;
        let findings = |manifest: &str| {
            border_lints(&toml::from_str(manifest).unwrap(), &workspace, "x").join("\n")
        };
        assert_eq!(findings(good), "");
        for (from, to, lint) in [
            (
                "unsafe_code = \"deny\"",
                "unsafe_code = \"allow\"",
                "unsafe_code",
            ),
            ("missing_docs = \"warn\"", "", "missing_docs"),
            ("priority = -1", "priority = 1", "pedantic"),
            ("undocumented_unsafe_blocks = \"deny\"", "", "undocumented"),
        ] {
            assert!(findings(&good.replace(from, to)).contains(lint), "{lint}");
        }
    }
}

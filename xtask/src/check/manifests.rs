//! Rules about manifests: one place for versions and lints, and nothing in them that is not used.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use super::files::{find, read, relative};
use super::rust_source::{tokens, without_tests};
use crate::command::root;
use crate::metadata::{Metadata, Package};
use crate::steps::Failure;

/// Dependencies that no source names, with the reason.
const UNNAMED: &[(&str, &str, &str)] = &[];

pub(crate) fn check(metadata: &Metadata) -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for package in metadata.members() {
        let manifest = table(&package.manifest_path)?;
        findings.extend(one_place(&manifest, &relative(&package.manifest_path)));
        findings.extend(unused(package)?);
        used.extend(
            package
                .dependencies
                .iter()
                .map(|dependency| dependency.name.as_str()),
        );
    }
    let workspace = table(&root().join("Cargo.toml"))?;
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

/// Versions and lints come from the workspace.
fn one_place(manifest: &Table, file: &str) -> Vec<String> {
    let says_workspace = |value: &Value| value.get("workspace").and_then(Value::as_bool);
    let mut findings = Vec::new();
    if manifest.get("lints").and_then(says_workspace) != Some(true) {
        findings.push(format!("{file}: write `[lints] workspace = true`"));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, value) in manifest
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
        "#;
        let findings = one_place(&toml::from_str(manifest).unwrap(), "x/Cargo.toml");
        assert_eq!(findings.len(), 2);
        assert!(findings[0].contains("lints"));
        assert!(findings[1].contains("serde"));
    }
}

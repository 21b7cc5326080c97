//! The parts of `cargo metadata` that the house rules look at.

use std::path::PathBuf;

use serde::Deserialize;

use crate::command;
use crate::steps::Failure;

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// Every package of the dependency tree, for all platforms and features.
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

/// A package and what it is really built with, by id.
#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// `None` for a package of this workspace.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) rename: Option<String>,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Set when it is a package of this workspace.
    pub(crate) path: Option<PathBuf>,
}

impl Metadata {
    /// Asks cargo about the workspace of a manifest, given from the root. A lock file that does not
    /// fit the manifests is a failure, not something to mend silently.
    pub(crate) fn read(manifest: &str) -> Result<Self, Failure> {
        let text = command::output(
            command::cargo()
                .args([
                    "metadata",
                    "--format-version=1",
                    "--all-features",
                    "--locked",
                ])
                .args(["--manifest-path", manifest]),
        )?;
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
    }

    /// The packages that are built with this one.
    pub(crate) fn users<'a>(&'a self, package: &'a Package) -> impl Iterator<Item = &'a Package> {
        self.packages.iter().filter(|user| {
            self.resolve
                .nodes
                .iter()
                .any(|node| node.id == user.id && node.dependencies.contains(&package.id))
        })
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}

impl Dependency {
    /// Whether only tests, examples and benches see it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }

    /// The name that sources use.
    pub(crate) fn crate_name(&self) -> String {
        self.rename.as_ref().unwrap_or(&self.name).replace('-', "_")
    }
}

impl Package {
    pub(crate) fn directory(&self) -> PathBuf {
        self.manifest_path
            .parent()
            .map_or_else(PathBuf::new, PathBuf::from)
    }
}

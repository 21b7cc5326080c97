//! Rules about files as such.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::root;
use crate::steps::Failure;

/// A file longer than this holds more than one thing.
const MAX_LINES: usize = 700;

/// Directories that hold what was made, not what was written.
const MADE: [&str; 5] = ["target", "node_modules", "corpus", "artifacts", ".git"];

pub(crate) fn check() -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    for path in find(&root(), &|path| {
        path.extension().is_some_and(|it| it == "rs")
    })? {
        let lines = read(&path)?.lines().count();
        if lines > MAX_LINES {
            findings.push(format!(
                "{}: {lines} lines, at most {MAX_LINES}",
                relative(&path)
            ));
        }
    }
    for path in find(&root(), &|path| path.ends_with("package-lock.json"))? {
        // Each place installs from its own registry; integrity hashes say what is installed.
        if read(&path)?.contains("\"resolved\": \"http") {
            findings.push(format!("{}: names a registry host", relative(&path)));
        }
    }
    Ok(findings)
}

/// Every file below a directory that was written by a person and fits, in a fixed order.
pub(crate) fn find(
    directory: &Path,
    fits: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, Failure> {
    let failure = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut entries = fs::read_dir(directory)
        .map_err(failure)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<PathBuf>, _>>()
        .map_err(failure)?;
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            let made = path
                .file_name()
                .is_some_and(|name| MADE.iter().any(|it| name == *it));
            if !made {
                found.extend(find(&path, fits)?);
            }
        } else if fits(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The path as seen from the workspace's root.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

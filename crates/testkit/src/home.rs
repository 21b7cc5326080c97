//! A throw-away home directory, so that a test never meets the developer's own sessions.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A private temporary directory with the places in which Countersign keeps its files.
///
/// The directory and everything in it goes when the value does.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
}

impl Home {
    /// Makes an empty home. The three directories themselves are not made: that is for the
    /// program under test.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("countersign-home-")
            .tempdir()
            .expect("a temporary directory");
        Self { root }
    }

    /// The home directory itself.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Where `config.toml` belongs (`COUNTERSIGN_CONFIG_DIR`).
    pub fn config_dir(&self) -> PathBuf {
        self.path().join("config")
    }

    /// Where sessions belong (`COUNTERSIGN_STATE_DIR`).
    pub fn state_dir(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Where metadata and keys are cached (`COUNTERSIGN_CACHE_DIR`).
    pub fn cache_dir(&self) -> PathBuf {
        self.path().join("cache")
    }

    /// The environment that leads a program here and nowhere else.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("HOME", self.path().into()),
            ("COUNTERSIGN_CONFIG_DIR", self.config_dir().into()),
            ("COUNTERSIGN_STATE_DIR", self.state_dir().into()),
            ("COUNTERSIGN_CACHE_DIR", self.cache_dir().into()),
        ]
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

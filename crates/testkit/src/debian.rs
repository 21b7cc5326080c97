//! A Debian that is newer than the one that runs the tests.

use std::path::{Path, PathBuf};

/// Where `cargo xtask set-up` puts it.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/strangers/forky");

/// The root directory of a small tree of it, with OpenSSH (server and client), systemd, D-Bus, sudo and
/// what they need, as their packages have set them up. Nobody is to write there: whoever starts it as a
/// machine takes a copy, or an overlay.
///
/// # Panics
/// When nobody has made it yet.
pub fn newer_debian() -> PathBuf {
    let tree = Path::new(TREE);
    assert!(
        tree.is_dir(),
        "{TREE} is missing: `cargo xtask set-up` makes it, as root or with a sudo that asks nothing"
    );
    tree.to_owned()
}

//! Releases of Debian beside the one that runs the tests, and the programs of a newer one.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::Program;

/// Where `cargo xtask set-up` puts them.
const TREES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/strangers");

/// The newer release.
const NEWER: &str = "forky";

/// What of `/usr` are programs, and what they need to run.
const PARTS: [&str; 4] = ["lib", "lib64", "bin", "sbin"];

/// Mounts what a list names, all at once: between two of them no program would run.
const AS_ROOT: &str = r#"mount --all --fstab "$0" && exec "$@""#;

/// The root directory of a small tree of a release, `bookworm` or `forky`, with OpenSSH (server and
/// client), systemd, D-Bus, sudo and what they need, as their packages have set them up. Nobody is to write
/// there: whoever starts it as a machine takes a copy, or an overlay.
///
/// # Panics
/// When nobody has made it yet.
pub fn debian(release: &str) -> PathBuf {
    let tree = Path::new(TREES).join(release);
    assert!(
        tree.is_dir(),
        "{} is missing: `cargo xtask set-up` makes it, as root or with a sudo that asks nothing",
        tree.display()
    );
    tree
}

/// Whose programs are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Those of the machine that runs the tests.
    Installed,
    /// Those of the newer Debian.
    Newer,
}

impl Release {
    /// The older first.
    pub const BOTH: [Self; 2] = [Self::Installed, Self::Newer];

    /// Runs a test with the programs of each, side by side.
    pub fn with_both(test: impl Fn(Self) + Sync) {
        thread::scope(|scope| {
            for release in Self::BOTH {
                let test = &test;
                scope.spawn(move || test(release));
            }
        });
    }

    /// Has the words of a call start programs of this release. They find each other under their own names
    /// (`/usr/bin/ssh`), and everything else as it is.
    ///
    /// For the newer one that takes a namespace, whose mounts are noted in a new file in `directory`.
    ///
    /// # Panics
    /// When there is no newer one.
    pub(crate) fn call(self, directory: &Path, words: Vec<String>) -> Vec<String> {
        if self == Self::Installed {
            return words;
        }
        let tree = debian(NEWER);
        let parts = PARTS.map(|part| (tree.join("usr").join(part), part));
        let parts = parts.iter().filter(|(from, _)| from.is_dir());
        let mounts =
            parts.map(|(from, part)| format!("{} /usr/{part} none bind\n", from.display()));
        let list = tempfile::NamedTempFile::new_in(directory).and_then(|file| Ok(file.keep()?.1));
        let list = list.expect("a new file");
        fs::write(&list, mounts.collect::<String>()).expect("a file of ours");

        let id = |option| Program::new("id").arg(option).run().expect_code(0).stdout;
        let [user, group] = ["-u", "-g"].map(|option| id(option).trim().to_owned());
        let mut call = vec!["unshare".to_owned(), "--mount".to_owned()];
        let script = if user == "0" {
            AS_ROOT.to_owned()
        } else {
            // Root of a namespace may mount, and then everybody is themselves again.
            call.push("--map-root-user".to_owned());
            let back = format!(r#"exec unshare --map-user={user} --map-group={group} "$@""#);
            AS_ROOT.replace(r#"exec "$@""#, &back)
        };
        call.extend(["sh".to_owned(), "-c".to_owned(), script]);
        call.push(list.display().to_string());
        call.extend(words);
        call
    }
}

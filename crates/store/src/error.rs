//! What can go wrong with files, each with the command that repairs it.

use std::io;
use std::path::{Path, PathBuf};

use crate::VaultError;

/// Why a record was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}", shown(path))]
    Io {
        /// What was attempted, as a verb ("read", "write", …).
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A symbolic link stands where a file or directory of ours should be.
    #[error("{} is a symbolic link, which is refused", shown(path))]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// Something other than a regular file stands where a record should be.
    #[error("{} is not a regular file", shown(path))]
    NotAFile {
        /// The pipe, directory, socket or device.
        path: PathBuf,
    },
    /// Something other than a directory stands where the store should be.
    #[error("{} is not a directory", shown(path))]
    NotADirectory {
        /// The thing in the way.
        path: PathBuf,
    },
    /// The file or directory belongs to another user.
    #[error("{} belongs to user {owner}, not to user {expected}", shown(path))]
    WrongOwner {
        /// The file or directory.
        path: PathBuf,
        /// The user id it belongs to.
        owner: u32,
        /// The effective user id of this process.
        expected: u32,
    },
    /// The file has a second name somewhere: what is removed here stays there.
    #[error("{} has {links} names (hard links), which is refused", shown(path))]
    HardLink {
        /// The name it was opened by.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The file was written to while it was read: by something that does not replace it as we do.
    #[error("{} was changed while it was being read", shown(path))]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Others could read or change the file or directory.
    #[error(
        "{} is open to others (mode {mode:04o}, expected {expected:04o})",
        shown(path)
    )]
    WrongMode {
        /// The file or directory.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
        /// The permission bits it must have.
        expected: u32,
    },
    /// The file is larger than [`MAX_RECORD_BYTES`](crate::MAX_RECORD_BYTES).
    #[error(
        "{} is too large ({size} bytes, at most {})",
        shown(path),
        crate::MAX_RECORD_BYTES
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// The file could not be understood. It is out of the way: the next login is not blocked.
    #[error("{} is damaged ({reason})", shown(path))]
    Damaged {
        /// The file that was damaged.
        path: PathBuf,
        /// The name it now has, unless moving it failed.
        set_aside: Option<PathBuf>,
        /// Where parsing stopped. Never the content.
        reason: String,
    },
    /// The file was written by a newer version. It is left as it is.
    #[error(
        "{} was written by a newer version (schema {found}, this program knows {supported})",
        shown(path)
    )]
    FutureVersion {
        /// The file.
        path: PathBuf,
        /// The schema version found.
        found: u32,
        /// The newest schema version this program knows.
        supported: u32,
    },
    /// The session was replaced by somebody else since it was opened. Nothing was written.
    #[error("{} was replaced by another program in the meantime", shown(path))]
    Overtaken {
        /// The file.
        path: PathBuf,
    },
    /// The vault did not keep, or did not give back, the secrets of a session.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A record that was read without its secrets was to be saved, which would have lost them: a
    /// mistake of the calling program.
    #[error("the record lacks its secrets and cannot be saved")]
    WithoutSecrets,
    /// The record given to be saved cannot be expressed as JSON: a mistake of the calling program.
    #[error("the record cannot be written as JSON")]
    NotSerializable,
}

impl StoreError {
    /// A stable name of the kind of error, for scripts and for searching.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "store_io",
            Self::Symlink { .. } => "store_symlink",
            Self::NotAFile { .. } => "store_not_a_file",
            Self::NotADirectory { .. } => "store_not_a_directory",
            Self::WrongOwner { .. } => "store_wrong_owner",
            Self::HardLink { .. } => "store_hard_link",
            Self::Changed { .. } => "store_changed",
            Self::WrongMode { .. } => "store_wrong_mode",
            Self::TooLarge { .. } => "store_too_large",
            Self::Damaged { .. } => "store_damaged",
            Self::FutureVersion { .. } => "store_future_version",
            Self::Overtaken { .. } => "store_overtaken",
            Self::Vault(error) => error.code(),
            Self::WithoutSecrets => "store_without_secrets",
            Self::NotSerializable => "store_not_serializable",
        }
    }

    /// What the person can type, best first. Empty when there is nothing to type.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { path, source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => {
                    vec![format!("ls -ld {}", quoted(path))]
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    vec![format!("df {}", quoted(path))]
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    vec![format!("findmnt --target {}", quoted(path))]
                }
                _ => Vec::new(),
            },
            Self::Symlink { path }
            | Self::TooLarge { path, .. }
            | Self::Damaged {
                path,
                set_aside: None,
                ..
            } => vec![format!("rm {}", quoted(path))],
            Self::NotAFile { path } | Self::NotADirectory { path } => {
                vec![format!("mv {0} {0}.old", quoted(path))]
            }
            Self::WrongOwner { path, expected, .. } => vec![
                "run this as the user who owns the file, without sudo".to_owned(),
                format!("sudo chown -R {expected} {}", quoted(path)),
            ],
            Self::WrongMode { path, expected, .. } => {
                vec![format!("chmod {expected:o} {}", quoted(path))]
            }
            Self::Damaged {
                set_aside: Some(kept),
                ..
            } => {
                vec![format!(
                    "log in again; the damaged file was kept as {}",
                    quoted(kept)
                )]
            }
            Self::FutureVersion { .. } => {
                vec!["use the newer version of this program, or log out with it".to_owned()]
            }
            Self::HardLink { path, .. } => {
                vec![format!("cp -p {0} {0}.new && mv {0}.new {0}", quoted(path))]
            }
            Self::Changed { .. } | Self::Overtaken { .. } => vec!["try again".to_owned()],
            Self::Vault(error) => error.hints(),
            Self::WithoutSecrets | Self::NotSerializable => Vec::new(),
        }
    }

    /// Whether the same call may succeed later without anybody repairing something.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::Interrupted
                    | io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::ResourceBusy
            ),
            Self::Changed { .. } | Self::Overtaken { .. } => true,
            Self::Vault(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// Text from outside as part of a message: control characters are escaped, and it is cut off where a
/// person stops reading.
pub(crate) fn printable(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text.chars().take(MOST).flat_map(escaped).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

fn escaped(c: char) -> Vec<char> {
    // What reorders text is no better than what moves the cursor.
    let reorders =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || reorders {
        c.escape_default().collect()
    } else {
        vec![c]
    }
}

/// A path for a message: control characters are escaped, because a file name is text from outside.
fn shown(path: &Path) -> String {
    path.to_string_lossy().chars().flat_map(escaped).collect()
}

/// A path as one word of a POSIX shell command.
fn quoted(path: &Path) -> String {
    let text = shown(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_can_be_pasted_into_a_shell() {
        let error = StoreError::WrongMode {
            path: PathBuf::from("/home/o'neil/my files/a.json"),
            mode: 0o644,
            expected: 0o600,
        };
        assert_eq!(
            error.hints(),
            [r"chmod 600 '/home/o'\''neil/my files/a.json'"]
        );
    }

    #[test]
    fn a_file_name_cannot_drive_the_terminal() {
        let error = StoreError::Symlink {
            path: PathBuf::from("/tmp/\u{1b}[2J\n"),
        };
        assert!(!error.to_string().chars().any(char::is_control));
        assert!(!error.hints().concat().chars().any(char::is_control));
    }

    #[test]
    fn a_full_disk_may_be_retried_and_a_wrong_mode_not() {
        let full = StoreError::Io {
            action: "write",
            path: PathBuf::from("/x"),
            source: io::Error::from(io::ErrorKind::StorageFull),
        };
        assert!(full.is_retryable());
        let mode = StoreError::WrongMode {
            path: PathBuf::from("/x"),
            mode: 0o644,
            expected: 0o600,
        };
        assert!(!mode.is_retryable());
    }
}

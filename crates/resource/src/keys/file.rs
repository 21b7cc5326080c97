//! The last good key set in a file, so that a restart during an outage of the
//! issuer begins with keys.
//!
//! What is read back is checked like an answer of the issuer, and it ages as if
//! the process had never ended. The file is bound to its issuer, and one that
//! others may write is not believed: who writes it decides whom we trust.
//!
//! Not responsible for whether the keys are still young enough.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_jose::jwk::MAX_KEY_SET_LEN;
use countersign_jose::{KeySet, Timestamp, base64url, crypto, json};

/// The set, as text in JSON, may double in length.
const MAX_FILE: usize = 2 * MAX_KEY_SET_LEN + 4096;

/// Raised when the meaning of a member changes; a file of another version is
/// not read.
const VERSION: u64 = 1;

/// Where the keys of one issuer are kept.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    issuer: String,
}

/// A key set as it was kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) keys: KeySet,
    pub(crate) json: Vec<u8>,
    pub(crate) life: Duration,
    pub(crate) fetched_at: Timestamp,
}

impl KeyFile {
    pub(crate) fn new(path: PathBuf, issuer: String) -> Self {
        Self { path, issuer }
    }

    /// What is in the file; nothing when there is none.
    ///
    /// # Errors
    ///
    /// Why what is there is not believed.
    pub(crate) fn load(&self, now: Timestamp) -> io::Result<Option<Kept>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        check_owner(&file)?;
        let mut text = Vec::new();
        // Too long by a byte is too long for the parser.
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut text)?;
        self.parse(&text, now).map(Some)
    }

    fn parse(&self, text: &[u8], now: Timestamp) -> io::Result<Kept> {
        let members = json::parse(text, MAX_FILE).map_err(invalid)?;
        if members.u64("version").map_err(invalid)? != Some(VERSION) {
            return Err(invalid("it is of another version"));
        }
        if members.required_str("issuer").map_err(invalid)? != self.issuer {
            return Err(invalid("it holds the keys of another issuer"));
        }
        let fetched_at = members.u64("fetched_at").map_err(invalid)?;
        let fetched_at = fetched_at.and_then(|millis| i64::try_from(millis).ok());
        let fetched_at = Timestamp::from_millis(fetched_at.unwrap_or_default());
        if fetched_at > now {
            return Err(invalid("it is dated in the future"));
        }
        let life = members.u64("life").map_err(invalid)?.unwrap_or_default();
        let json = members.required_str("keys").map_err(invalid)?.as_bytes();
        let keys = KeySet::from_json(json, crypto::aws_lc::provider()).map_err(invalid)?;
        if keys.keys().is_empty() {
            return Err(invalid("it holds no usable key"));
        }
        Ok(Kept {
            keys,
            json: json.to_owned(),
            life: Duration::from_secs(life),
            fetched_at,
        })
    }

    /// Replaces the file as a whole: whoever reads it sees the old set or the
    /// new one.
    pub(crate) fn save(
        &self,
        json: &[u8],
        life: Duration,
        fetched_at: Timestamp,
    ) -> io::Result<()> {
        let text = serde_json::json!({
            "version": VERSION,
            "issuer": self.issuer,
            "fetched_at": fetched_at.as_millis(),
            "life": life.as_secs(),
            "keys": std::str::from_utf8(json).map_err(invalid)?,
        })
        .to_string();
        let beside = self.beside()?;
        let written = write_new(&beside, text.as_bytes())
            .and_then(|()| fs::rename(&beside, &self.path))
            .and_then(|()| sync_directory(&self.path));
        if written.is_err() {
            // What is left behind helps nobody; the error says what went wrong.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// A name beside the file that no other replica takes.
    fn beside(&self) -> io::Result<PathBuf> {
        let mut random = [0; 9];
        crypto::aws_lc::provider()
            .fill_random(&mut random)
            .map_err(io::Error::other)?;
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", base64url::encode(&random)));
        Ok(self.path.with_file_name(name))
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// The rename is on the disk when its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Refuses what is somebody else's, what others may write, and what is no file.
fn check_owner(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(invalid("it is not a file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let ours = rustix::process::geteuid().as_raw();
        if let Some(problem) = whose(metadata.mode(), metadata.uid(), ours) {
            return Err(invalid(problem));
        }
    }
    Ok(())
}

/// What is wrong with the owner or the mode of a file, for the user `ours`.
#[cfg(unix)]
fn whose(mode: u32, owner: u32, ours: u32) -> Option<&'static str> {
    if mode & 0o022 != 0 {
        Some("others may write it")
    } else if owner != 0 && owner != ours {
        // Whoever came first in a directory that all may write to.
        Some("it belongs to somebody else")
    } else {
        None
    }
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_believed_from_us_and_from_the_administrator() {
        assert_eq!(whose(0o100_600, 1000, 1000), None);
        assert_eq!(whose(0o100_644, 0, 1000), None);
        for (mode, owner, problem) in [
            (0o100_600, 1001, "it belongs to somebody else"),
            (0o100_620, 1000, "others may write it"),
            (0o100_602, 0, "others may write it"),
        ] {
            assert_eq!(whose(mode, owner, 1000), Some(problem), "{mode:o}");
        }
    }
}

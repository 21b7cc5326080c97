//! What a person has agreed to: that the file at a path, with the content it has, may be used.
//!
//! A file that somebody else can write, or that comes with a download, is worth what its reader agreed to
//! and no more. So it is remembered by its path and by a digest of its content: another file there, or
//! the same elsewhere, is one that nobody has agreed to.
//!
//! Not responsible for what the file may say.

use std::path::Path;

use countersign_store::{FileStore, Key, Record};
use serde::{Deserialize, Serialize};

use crate::cache::hash_bytes;
use crate::{Context, Error};

/// What was agreed to about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// This very content.
    Given,
    /// Another content.
    ToOther,
    /// Nothing.
    Never,
}

#[derive(Debug, Serialize, Deserialize)]
struct Agreed {
    /// For whoever looks into the file.
    path: String,
    /// SHA-256 of the content.
    digest: String,
}

impl Record for Agreed {
    const VERSION: u32 = 1;
}

impl Context {
    /// What was agreed to about the file at `path`, an absolute one, with this content.
    ///
    /// # Errors
    /// [`Error::Storage`] when that cannot be read.
    pub fn trust(&self, path: &Path, content: &[u8]) -> Result<Trust, Error> {
        let known = agreements(self).load::<Agreed>(&key(path)?);
        Ok(match known.map_err(Error::Storage)? {
            None => Trust::Never,
            Some(agreed) if agreed.digest == hash_bytes(content) => Trust::Given,
            Some(_) => Trust::ToOther,
        })
    }

    /// Agrees to the file at `path`, an absolute one, with this content and no other.
    ///
    /// # Errors
    /// [`Error::Storage`] when that cannot be written.
    pub fn give_trust(&self, path: &Path, content: &[u8]) -> Result<(), Error> {
        let agreed = Agreed {
            path: path.display().to_string(),
            digest: hash_bytes(content),
        };
        agreements(self)
            .save(&key(path)?, &agreed)
            .map_err(Error::Storage)
    }

    /// Agrees to nothing at `path` any more; `false` when nothing was.
    ///
    /// # Errors
    /// [`Error::Storage`] when that cannot be written.
    pub fn take_trust(&self, path: &Path) -> Result<bool, Error> {
        agreements(self).remove(&key(path)?).map_err(Error::Storage)
    }
}

fn agreements(context: &Context) -> FileStore {
    FileStore::open(&context.directories().state().join("trusted"))
}

/// Every byte of the path counts, also where it is no text.
fn key(path: &Path) -> Result<Key, Error> {
    let hash = hash_bytes(path.as_os_str().as_encoded_bytes());
    Key::new(&hash).map_err(|error| Error::Configuration {
        what: "path",
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Directories, HttpOptions};

    #[test]
    fn trust_is_in_one_content_at_one_path() {
        let home = tempfile::tempdir().unwrap();
        let directories = Directories::new(home.path().join("state"), home.path().join("cache"));
        let context = Context::new(directories, HttpOptions::default());
        let (here, there) = (Path::new("/a/file"), Path::new("/b/file"));
        let trust = |path, content: &str| context.trust(path, content.as_bytes()).unwrap();
        assert_eq!(trust(here, "one"), Trust::Never);
        assert!(!home.path().join("state").exists(), "a look leaves nothing");
        context.give_trust(here, b"one").unwrap();
        assert_eq!(trust(here, "one"), Trust::Given);
        assert_eq!(trust(here, "two"), Trust::ToOther);
        assert_eq!(trust(here, ""), Trust::ToOther);
        assert_eq!(trust(there, "one"), Trust::Never);
        context.give_trust(here, b"two").unwrap();
        assert_eq!(trust(here, "one"), Trust::ToOther);
        assert!(context.take_trust(here).unwrap());
        assert!(!context.take_trust(here).unwrap());
        assert_eq!(trust(here, "two"), Trust::Never);
    }
}

//! The file that holds the keys.
//!
//! JSON, mode 0600, written to a temporary name, synced and renamed, so that
//! there is always a whole one. It lies apart from the database, so that a copy
//! of the database alone signs nothing and renews nothing. A copy of this file
//! signs whatever its holder likes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign_jose::{Algorithm, CryptoProvider, SigningKey, base64url};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::core::{KeyError, Keys};

/// The format of the file; a newer one is refused.
const VERSION: u32 = 1;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("the key file {} cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else than keys.
    #[error("the key file {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The keys in it, or fresh ones, cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    token_key: String,
    es256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rs256: Option<String>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.token_key.zeroize();
        self.es256.zeroize();
        self.rs256.zeroize();
    }
}

/// Reads the keys, or makes and stores fresh ones when there is no file.
pub fn load_or_generate(
    path: &Path,
    provider: &'static CryptoProvider,
) -> Result<Keys, KeyFileError> {
    match File::open(path) {
        Ok(file) => load(file, path, provider),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let keys = Keys::generate(provider)?;
            let file_error = |source| KeyFileError::File {
                path: path.to_owned(),
                source,
            };
            let json = stored(&keys).map_err(file_error)?;
            match write(path, &json, Placing::First) {
                Ok(()) => Ok(keys),
                // Another program was as fast, and its keys are the ones.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let file = File::open(path).map_err(file_error)?;
                    load(file, path, provider)
                }
                Err(source) => Err(file_error(source)),
            }
        }
        Err(source) => Err(KeyFileError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Stores keys in place of the ones before.
pub fn save(path: &Path, keys: &Keys) -> Result<(), KeyFileError> {
    let written = stored(keys).and_then(|json| write(path, &json, Placing::InPlace));
    written.map_err(|source| KeyFileError::File {
        path: path.to_owned(),
        source,
    })
}

fn stored(keys: &Keys) -> io::Result<Zeroizing<Vec<u8>>> {
    let encode = |key: &SigningKey| base64url::encode(key.to_pkcs8_der());
    let stored = Stored {
        version: VERSION,
        token_key: base64url::encode(keys.token_key()),
        es256: encode(keys.es256()),
        rs256: keys.rs256().map(encode),
    };
    Ok(Zeroizing::new(serde_json::to_vec(&stored)?))
}

fn load(file: File, path: &Path, provider: &'static CryptoProvider) -> Result<Keys, KeyFileError> {
    let damaged = || KeyFileError::Damaged {
        path: path.to_owned(),
    };
    let file_error = |source| KeyFileError::File {
        path: path.to_owned(),
        source,
    };
    crate::private::check(&file, path).map_err(file_error)?;
    let text = Zeroizing::new(io::read_to_string(file).map_err(file_error)?);
    let stored: Stored = serde_json::from_str(&text).map_err(|_| damaged())?;
    if stored.version != VERSION {
        return Err(damaged());
    }
    let decode = |text: &str| {
        base64url::decode(text)
            .map(Zeroizing::new)
            .map_err(|_| damaged())
    };
    let token_key = decode(&stored.token_key)?;
    let token_key =
        Zeroizing::new(<[u8; 32]>::try_from(token_key.as_slice()).map_err(|_| damaged())?);
    let read = |algorithm, text: &str| -> Result<Arc<SigningKey>, KeyFileError> {
        let der = decode(text)?;
        let key = SigningKey::from_pkcs8_der(algorithm, None, &der, provider);
        Ok(Arc::new(key.map_err(KeyError::from)?))
    };
    let es256 = read(Algorithm::Es256, &stored.es256)?;
    let rs256 = match &stored.rs256 {
        Some(text) => Some(read(Algorithm::Rs256, text)?),
        None => None,
    };
    Ok(Keys::assemble(token_key, es256, rs256, provider)?)
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placing {
    /// It stays, and the writing is refused.
    First,
    /// It is replaced.
    InPlace,
}

fn write(path: &Path, bytes: &[u8], placing: Placing) -> io::Result<()> {
    // A writer's own: a server and a command may begin together.
    static WRITERS: AtomicU32 = AtomicU32::new(0);
    let writer = WRITERS.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{writer}.new", std::process::id()));
    // What a killed predecessor of the same number left there.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    match placing {
        Placing::InPlace => fs::rename(&temporary, path)?,
        Placing::First => {
            let placed = fs::hard_link(&temporary, path);
            fs::remove_file(&temporary)?;
            placed?;
        }
    }
    match path.parent() {
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use countersign_jose::crypto::aws_lc;
    use tempfile::TempDir;

    use super::*;

    /// Whatever was sealed by one of them has to open with the others' keys.
    #[test]
    fn programs_that_begin_together_have_the_same_keys() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("keys.json");
        let barrier = Barrier::new(2);
        let begin = || {
            barrier.wait();
            load_or_generate(&path, aws_lc::provider()).unwrap()
        };
        let (one, two) = thread::scope(|scope| {
            let other = scope.spawn(begin);
            (begin(), other.join().unwrap())
        });
        let stored = load_or_generate(&path, aws_lc::provider()).unwrap();
        assert_eq!(one.token_key(), stored.token_key());
        assert_eq!(two.token_key(), stored.token_key());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

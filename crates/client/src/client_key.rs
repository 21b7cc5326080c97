//! The client's own private key, from a file (`private_key_jwt`, RFC 7523).
//!
//! Not responsible for: what is signed with it, and for its public half at the server.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use countersign_jose::crypto::ring;
use countersign_jose::{SigningKey, base64url};
use countersign_oauth::{AssertionAudience, ClientKey};
use zeroize::Zeroizing;

use crate::Error;

/// No private key is larger: RSA with 8192 bits has some six kilobytes.
const MAX_BYTES: u64 = 64 * 1024;

/// What stands before and after PKCS#8 in PEM (RFC 7468, section 10).
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Reads the key in `path`, to be named `kid` (its thumbprint if not said) and to sign for `audience`.
///
/// # Errors
/// [`Error::Configuration`] when the file cannot be read, others can read it too, or there is no key of
/// a kind that this project signs with in it.
pub(crate) fn load(
    path: &Path,
    kid: Option<&str>,
    audience: AssertionAudience,
) -> Result<ClientKey, Error> {
    let wrong = |why: String| Error::Configuration {
        what: "client key",
        why: format!("{}: {why}", path.display()),
    };
    let bytes = read(path).map_err(wrong)?;
    let der = der(&bytes).map_err(|why| wrong(why.to_owned()))?;
    let read_as = |algorithm| {
        let kid = kid.map(str::to_owned);
        SigningKey::from_pkcs8_der(algorithm, kid, &der, ring::provider()).ok()
    };
    let key = SigningKey::ALGORITHMS.into_iter().find_map(read_as);
    let key = key.ok_or_else(|| {
        let why = "it is no private key for ES256, EdDSA or RS256, in PKCS#8 and not encrypted";
        wrong(why.to_owned())
    })?;
    Ok(ClientKey::new(Arc::new(key)).audience(audience))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let found = file
        .metadata()
        .map_err(|error| format!("it cannot be examined: {error}"))?;
    if !found.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    // Of the open file, so that nobody can put another in its place in between.
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "others can read it (mode {mode:04o}); chmod 600 makes it private"
        ));
    }
    if found.len() > MAX_BYTES {
        return Err("it is too large for a key".to_owned());
    }
    // Room for all of it at once: a vector that grows would leave unwiped copies behind.
    let room = usize::try_from(found.len()).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    Ok(bytes)
}

/// The DER in a file that holds DER or PEM.
fn der(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let Some(text) = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.contains("-----BEGIN "))
    else {
        return Ok(Zeroizing::new(bytes.to_vec()));
    };
    let Some((body, _)) = text
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END))
    else {
        return Err(
            "it is PEM, but not `PRIVATE KEY`; `openssl pkcs8 -topk8 -nocrypt` turns other \
             forms into that",
        );
    };
    // The same alphabet but for two letters, and without the padding.
    let mut digits = Zeroizing::new(String::with_capacity(body.len()));
    for c in body.chars().filter(|c| !c.is_ascii_whitespace()) {
        digits.push(match c {
            '+' => '-',
            '/' => '_',
            '-' | '_' => return Err("it is not base64"),
            c => c,
        });
    }
    let decoded = base64url::decode(digits.trim_end_matches('='));
    decoded.map(Zeroizing::new).map_err(|_| "it is not base64")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use countersign_jose::Algorithm;
    use tempfile::TempDir;

    use super::*;

    /// A directory with a key in it, in both forms.
    fn files(algorithm: Algorithm) -> (TempDir, SigningKey) {
        let directory = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(algorithm, ring::provider()).unwrap();
        let der = key.to_pkcs8_der();
        put(&directory, "key.der", der);
        let digits: String = base64url::encode(der)
            .chars()
            .map(|c| match c {
                '-' => '+',
                '_' => '/',
                c => c,
            })
            .collect();
        let padding = "=".repeat((4 - digits.len() % 4) % 4);
        let lines: Vec<String> = format!("{digits}{padding}")
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let pem = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
        put(&directory, "key.pem", pem.as_bytes());
        (directory, key)
    }

    fn put(directory: &TempDir, name: &str, bytes: &[u8]) {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        mode(&path, 0o600);
    }

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn why(path: &Path) -> String {
        let error = load(path, None, AssertionAudience::Issuer).unwrap_err();
        assert_eq!(error.code(), "configuration");
        error.to_string()
    }

    #[test]
    fn a_key_is_read_from_both_forms_and_named_by_its_thumbprint_or_as_told() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let (directory, key) = files(algorithm);
            for name in ["key.der", "key.pem"] {
                let path = directory.path().join(name);
                let read = load(&path, None, AssertionAudience::Issuer).unwrap();
                assert_eq!(read.signing_key().thumbprint(), key.thumbprint());
                assert_eq!(read.signing_key().algorithm(), algorithm);
                assert_eq!(read.signing_key().kid(), key.thumbprint());
                let named = load(&path, Some("2026"), AssertionAudience::Endpoint).unwrap();
                assert_eq!(named.signing_key().kid(), "2026");
            }
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_helps() {
        let (directory, _) = files(Algorithm::Es256);
        let path = directory.path().join("key.pem");
        for open in [0o644, 0o640, 0o660, 0o604] {
            mode(&path, open);
            let why = why(&path);
            assert!(
                why.contains("others can read it") && why.contains("chmod 600"),
                "{why}"
            );
        }
        mode(&path, 0o400);
        load(&path, None, AssertionAudience::Issuer).unwrap();
    }

    #[test]
    fn what_is_no_key_says_so_and_shows_nothing_of_itself() {
        let (directory, _) = files(Algorithm::Es256);
        let canary = "canarycanarycanary";
        let cases = [
            (
                format!("-----BEGIN RSA PRIVATE KEY-----\n{canary}\n"),
                "pkcs8 -topk8",
            ),
            (format!("{BEGIN}\n{canary}!\n{END}\n"), "base64"),
            (format!("{BEGIN}\n{canary}\n"), "pkcs8 -topk8"),
            (canary.to_owned(), "no private key"),
            (String::new(), "no private key"),
            ("x".repeat(100_000), "too large"),
        ];
        for (content, expected) in cases {
            put(&directory, "other", content.as_bytes());
            let why = why(&directory.path().join("other"));
            assert!(why.contains(expected), "{why}");
            assert!(!why.contains(canary), "{why}");
        }
        assert!(why(directory.path()).contains("regular file"));
        assert!(why(&directory.path().join("missing")).contains("cannot be read"));
    }
}

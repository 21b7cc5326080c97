//! The keys of a client that signs: its public ones from a file, or a pair that
//! is made for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_console::Problem;
use countersign_jose::jwk::MAX_KEY_SET_LEN;
use countersign_jose::{Algorithm, SigningKey, crypto};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The JWK set in a file; a single JWK is a set of one.
pub(super) fn public(file: &Path) -> Result<String, Problem> {
    let text = read(file).map_err(|error| Problem::unreadable(file, &error))?;
    // Whether it is sound is for the core to say, by the text as it stands.
    Ok(match serde_json::from_str(&text) {
        Ok(Value::Object(key)) if key.contains_key("kty") && !key.contains_key("keys") => {
            json!({ "keys": [key] }).to_string()
        }
        _ => text,
    })
}

fn read(file: &Path) -> io::Result<String> {
    let most = MAX_KEY_SET_LEN as u64 + 1;
    let mut text = String::new();
    File::open(file)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

/// Makes a pair, writes the private half to a file of the owner's alone, and
/// gives the JWK set of the public half.
pub(super) fn make(file: &Path) -> Result<String, Problem> {
    let key = SigningKey::generate(Algorithm::Es256, crypto::aws_lc::provider())
        .map_err(|error| Problem::new("a key cannot be made").because(error))?;
    write(file, &pem(&key)).map_err(|error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        let problem = Problem::new(format!("{} cannot be written", file.display())).because(error);
        if exists {
            problem.hint("a key is never replaced: name another file, or remove this one")
        } else {
            problem
        }
    })?;
    Ok(json!({ "keys": [key.public_jwk()] }).to_string())
}

/// Takes the file back that was made for a client nobody wanted.
pub(super) fn unmake(file: &Path) {
    // Left behind, it is a key that is good for nothing.
    let _ = fs::remove_file(file);
}

/// PKCS#8 in PEM (RFC 7468, section 10).
fn pem(key: &SigningKey) -> Zeroizing<String> {
    let digits = Zeroizing::new(STANDARD.encode(key.to_pkcs8_der()));
    let mut pem = Zeroizing::new(String::with_capacity(digits.len() + 96));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            pem.push('\n');
        }
        pem.push(digit);
    }
    pem.push_str("\n-----END PRIVATE KEY-----\n");
    pem
}

fn write(file: &Path, pem: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(file)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}

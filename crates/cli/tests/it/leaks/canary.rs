//! Secrets that are known, and the shapes in which they could come out.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::desk::Desk;

/// What a secret is. A command may be asked for some of them, and for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Access,
    Id,
    Refresh,
    DeviceCode,
    Code,
    /// What the client proves itself with, or its session: keys, passwords, a verifier.
    Own,
    /// What STS gives.
    Aws,
}

/// All secrets that there are, so far.
#[derive(Debug, Default)]
pub(crate) struct Canary {
    known: Vec<(Kind, String)>,
}

impl Canary {
    /// A secret of our own making.
    pub(crate) fn knows(&mut self, kind: Kind, secret: &str) {
        assert!(secret.len() > 12, "{secret} may stand anywhere by chance");
        self.known.push((kind, secret.to_owned()));
    }

    /// Everything that the server of this desk has handed out by now, and what it was sent.
    pub(crate) fn of(&self, desk: &Desk) -> Vec<(Kind, String)> {
        let handed_out = desk.provider.secrets().into_iter().map(|secret| {
            let kind = match secret.split('-').nth(1) {
                _ if secret.starts_with("eyJ") => Kind::Id,
                Some("access") => Kind::Access,
                Some("refresh") => Kind::Refresh,
                Some("device") => Kind::DeviceCode,
                Some("code") => Kind::Code,
                _ => Kind::Own,
            };
            (kind, secret)
        });
        let requests = desk.provider.server().requests();
        let verifiers = requests.iter().filter_map(|request| {
            let verifier = request.form_value("code_verifier")?;
            Some((Kind::Own, verifier))
        });
        let known = self.known.iter().cloned();
        known.chain(handed_out).chain(verifiers).collect()
    }
}

/// Panics when one of the secrets is in `bytes`, in whatever shape, unless its kind was asked for.
#[track_caller]
pub(crate) fn none_in(secrets: &[(Kind, String)], bytes: &[u8], asked_for: &[Kind], place: &str) {
    for (kind, secret) in secrets {
        if asked_for.contains(kind) {
            continue;
        }
        for shape in shapes(secret) {
            let shape_bytes = shape.as_bytes();
            let found = bytes
                .windows(shape_bytes.len())
                .position(|window| window == shape_bytes);
            if let Some(at) = found {
                let around = bytes.get(at.saturating_sub(200)..(at + 200).min(bytes.len()));
                panic!(
                    "{place}: a secret ({kind:?}) is there as {shape}:\n…{}…",
                    String::from_utf8_lossy(around.unwrap_or_default())
                );
            }
        }
    }
}

/// A secret as it is, for a URL, for JSON, and in base64, wherever in a longer text it begins.
fn shapes(secret: &str) -> Vec<String> {
    let mut shapes = vec![secret.to_owned()];
    shapes.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    let json = serde_json::Value::from(secret).to_string();
    shapes.push(json.trim_matches('"').to_owned());
    let hex = secret.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    shapes.push(hex);
    for before in 0..3 {
        let text = format!("{}{secret}", &"::"[..before]);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&text);
            // The first and the last characters depend on what is beside it.
            let inner = encoded.get(4..encoded.len() - 4).unwrap_or_default();
            shapes.push(inner.to_owned());
        }
    }
    shapes.sort();
    shapes.dedup();
    shapes
}

#[test]
fn a_secret_is_recognised_in_every_shape() {
    let secrets = [(Kind::Own, "canary+client/secret&%=9f3b".to_owned())];
    for text in [
        "x canary+client/secret&%=9f3b y",
        "a=canary%2Bclient%2Fsecret%26%25%3D9f3b",
        &STANDARD_NO_PAD.encode("cli:canary+client/secret&%=9f3b!"),
        &URL_SAFE_NO_PAD.encode("ab canary+client/secret&%=9f3b"),
    ] {
        let found = std::panic::catch_unwind(|| none_in(&secrets, text.as_bytes(), &[], "here"));
        assert!(found.is_err(), "{text}");
        none_in(&secrets, text.as_bytes(), &[Kind::Own], "here");
    }
}

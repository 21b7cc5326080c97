//! What several files need: both libraries, a key, a client, and a server that signs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_otp::crypto::{Crypto, aws_lc, ring};
use countersign_otp::validation::{ApiKey, Client, Nonce, Server};
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_otp::yubico::{Otp, Secrets};

pub(crate) const API_KEY: [u8; 20] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];

/// 2026-11-26T02:22:26Z.
pub(crate) const NOW: Duration = Duration::from_secs(1_795_659_746);

pub(crate) fn providers() -> [Crypto; 2] {
    [ring::provider(), aws_lc::provider()]
}

pub(crate) fn secrets() -> Secrets {
    Secrets::new([1, 2, 3, 4, 5, 6], [7; 16])
}

pub(crate) fn key() -> SimulatedKey {
    SimulatedKey::new("ccccccbchvth".parse().unwrap(), secrets())
}

pub(crate) fn otp() -> Otp {
    key().press(0x5a5a)
}

pub(crate) fn nonce() -> Nonce {
    Nonce::parse("askjdnkajsndjkasndkjsnad").unwrap()
}

pub(crate) fn api_key() -> ApiKey {
    ApiKey::from_base64(&STANDARD.encode(API_KEY)).unwrap()
}

pub(crate) fn client(servers: usize) -> Client {
    (0..servers).fold(Client::new("87", api_key()).unwrap(), |client, at| {
        client.server(Server::new(&format!("https://v{at}.example.com/wsapi/2.0/verify")).unwrap())
    })
}

/// An answer, as the lines that a server would write, still unsigned.
#[derive(Clone)]
pub(crate) struct Lines(pub(crate) Vec<(String, String)>);

impl Lines {
    /// What a server says to `otp` and `nonce`.
    pub(crate) fn new(status: &str) -> Self {
        Self(Vec::new())
            .with("t", "2026-11-26T02:22:26Z0277")
            .with("otp", otp().expose())
            .with("nonce", nonce().as_str())
            .with("sl", "100")
            .with("timestamp", "12345")
            .with("sessioncounter", "1")
            .with("sessionuse", "0")
            .with("status", status)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        match self.0.iter_mut().find(|(it, _)| it == name) {
            Some(line) => value.clone_into(&mut line.1),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(it, _)| it != name);
        self
    }

    pub(crate) fn signed(&self) -> Vec<u8> {
        self.signed_with(&API_KEY)
    }

    pub(crate) fn signed_with(&self, key: &[u8]) -> Vec<u8> {
        self.clone().with("h", &signature(&self.0, key)).unsigned()
    }

    pub(crate) fn unsigned(&self) -> Vec<u8> {
        let lines: Vec<String> = self.0.iter().map(|(k, v)| format!("{k}={v}\r\n")).collect();
        lines.concat().into_bytes()
    }
}

/// The signature of validation protocol 2.0, written a second time. That it is the right one is
/// shown with Yubico's own client in `strangers.rs`.
pub(crate) fn signature(parameters: &[(String, String)], key: &[u8]) -> String {
    let mut lines: Vec<String> = parameters
        .iter()
        .filter(|(name, _)| name != "h")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    lines.sort();
    let key = ::ring::hmac::Key::new(::ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    STANDARD.encode(::ring::hmac::sign(&key, lines.join("&").as_bytes()))
}

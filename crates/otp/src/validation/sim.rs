//! A validation server made of nothing, for tests and demonstrations (feature `sim`).
//!
//! It knows one client and some keys and says what a server would say to a request. It can be made
//! to say anything else.
//!
//! Not responsible for: being a validation server. It has no peers, forgets everything, and takes
//! requests without a signature as all of them do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{ApiKey, Nonce, Status, signature, time};
use crate::crypto::Crypto;
use crate::text::percent_decode;
use crate::yubico::{Decrypted, Otp, PublicId, Secrets};
use crate::{Counter, Unspent};

/// The key that a server signs with which does not know the client.
const NO_KEY: &[u8] = &[];

/// A validation server.
#[derive(Debug)]
pub struct SimulatedServer {
    id: String,
    api_key: ApiKey,
    keys: BTreeMap<PublicId, Known>,
    always: Option<Status>,
}

#[derive(Debug)]
struct Known {
    secrets: Secrets,
    /// The position of the last password, and the nonce that it came with.
    last: Option<(u64, String)>,
}

impl SimulatedServer {
    /// A server that knows one client and no key yet.
    pub fn new(id: &str, api_key: ApiKey) -> Self {
        Self {
            id: id.to_owned(),
            api_key,
            keys: BTreeMap::new(),
            always: None,
        }
    }

    /// One more key.
    #[must_use]
    pub fn key(mut self, id: PublicId, secrets: Secrets) -> Self {
        let known = Known {
            secrets,
            last: None,
        };
        self.keys.insert(id, known);
        self
    }

    /// From now on it says this to everybody (`None`: what is so). An `OK` of this kind knows no
    /// counters.
    pub fn always(&mut self, status: Option<Status>) {
        self.always = status;
    }

    /// The body of the answer to a request with this query, at `now` (the time since 1970).
    pub fn answer(&mut self, query: &str, now: Duration, crypto: Crypto) -> String {
        let parameters: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter_map(|(name, value)| Some((name.to_owned(), percent_decode(value)?)))
            .collect();
        let get = |name: &str| {
            let found = parameters.iter().find(|(it, _)| it == name);
            found.map(|(_, value)| value.as_str())
        };
        let mut lines = vec![("t", time::format(now))];
        for name in ["otp", "nonce"] {
            lines.extend(get(name).map(|value| (name, value.to_owned())));
        }
        lines.push(("sl", "100".to_owned()));
        let judged = self.judge(&parameters, crypto);
        let status = match self.always.map_or(judged, Err) {
            Err(status) => status,
            Ok(said) => {
                if get("timestamp") == Some("1") {
                    lines.push(("timestamp", said.timestamp().to_string()));
                    lines.push(("sessioncounter", said.counter().to_string()));
                    lines.push(("sessionuse", said.session_use().to_string()));
                }
                Status::Ok
            }
        };
        lines.push(("status", status.as_str().to_owned()));
        let signed: Vec<(&str, &str)> = lines.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let key = if get("id") == Some(&self.id) {
            self.api_key.expose()
        } else {
            NO_KEY
        };
        let h = signature::sign_with(&signed, key, crypto);
        let mut body = format!("h={h}\r\n");
        for (name, value) in &lines {
            // Writing to a string cannot fail.
            let _ = write!(body, "{name}={value}\r\n");
        }
        body
    }

    fn judge(
        &mut self,
        parameters: &[(String, String)],
        crypto: Crypto,
    ) -> Result<Decrypted, Status> {
        let get = |name: &str| {
            let found = parameters.iter().find(|(it, _)| it == name);
            found
                .map(|(_, value)| value.as_str())
                .ok_or(Status::MissingParameter)
        };
        let (id, otp) = (get("id")?, get("otp")?);
        let nonce = Nonce::parse(get("nonce")?).map_err(|_| Status::MissingParameter)?;
        if id != self.id {
            return Err(Status::NoSuchClient);
        }
        if let Ok(h) = get("h") {
            let others = parameters.iter().filter(|(name, _)| name != "h");
            let others: Vec<(&str, &str)> = others.map(|(k, v)| (&**k, &**v)).collect();
            if !signature::verify(&others, h, &self.api_key, crypto) {
                return Err(Status::BadSignature);
            }
        }
        let otp = Otp::parse(otp).map_err(|_| Status::BadOtp)?;
        let known = self.keys.get_mut(otp.public_id()).ok_or(Status::BadOtp)?;
        let unspent = known.secrets.decrypt(&otp).map_err(|_| Status::BadOtp)?;
        known.advance(unspent, nonce.as_str())
    }
}

impl Known {
    fn advance(&mut self, unspent: Unspent<Decrypted>, nonce: &str) -> Result<Decrypted, Status> {
        let position = unspent.position();
        let (outcome, status) = match &self.last {
            Some((last, with)) if *last == position && with == nonce => {
                (Counter::Behind, Status::ReplayedRequest)
            }
            Some((last, _)) if *last >= position => (Counter::Behind, Status::ReplayedOtp),
            _ => {
                self.last = Some((position, nonce.to_owned()));
                (Counter::Moved, Status::Ok)
            }
        };
        unspent.settle(outcome).map_err(|_| status)
    }
}

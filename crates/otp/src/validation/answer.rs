//! What a server said, and whether it was the server that said it, now and to us.
//!
//! Not responsible for: what several answers mean together.

use std::time::Duration;

use super::{Client, Nonce, Status, signature, time};
use crate::Unspent;
use crate::crypto::{Crypto, constant_time_eq};
use crate::yubico::{Otp, PublicId};

/// The most bytes of an answer that are read; honest ones have some 200.
pub const MAX_BODY: usize = 8 * 1024;

/// The most lines of an answer; honest ones have nine.
const MAX_LINES: usize = 64;

/// Bits of the counter without the one that stands for Caps Lock, which servers pass on.
const COUNTER_MASK: u16 = 0x7fff;

/// An answer that is known to come from a server and to belong to a request.
#[derive(Debug)]
pub struct Answer {
    status: Status,
    accepted: Option<Accepted>,
}

/// What a server said of a password that it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    public_id: PublicId,
    sync_level: Option<u8>,
    timestamp: Option<u32>,
    counters: Option<(u16, u8)>,
}

impl Answer {
    /// Reads the body of an answer to the request with `otp` and `nonce`, at `now` (the time since
    /// 1970).
    ///
    /// The signature comes first: before it was found right nothing of the answer counts. Then the
    /// time, and that `otp` and `nonce` are ours. An `OK` has to repeat both; some servers leave
    /// them out of a refusal.
    ///
    /// # Errors
    /// [`BadAnswer`].
    pub fn verify(
        body: &[u8],
        client: &Client,
        otp: &Otp,
        nonce: &Nonce,
        now: Duration,
        crypto: Crypto,
    ) -> Result<Self, BadAnswer> {
        let lines = Lines::parse(body)?;
        let claimed = lines.get("status").map(Status::from_wire);
        let h = lines.get("h").filter(|h| !h.trim().is_empty());
        let h = h.ok_or(BadAnswer::Unsigned { claimed })?;
        if !signature::verify(&lines.signed(), h, &client.key, crypto) {
            return Err(BadAnswer::Signature { claimed });
        }

        let status = claimed.ok_or(BadAnswer::Missing("status"))?;
        let at = lines.get("t").ok_or(BadAnswer::Missing("t"))?;
        let at = time::parse(at).ok_or(BadAnswer::Malformed("t"))?;
        if at.abs_diff(now) > client.clock_tolerance {
            return Err(BadAnswer::Time {
                seconds: at.abs_diff(now).as_secs(),
            });
        }
        for (name, ours) in [("otp", otp.expose()), ("nonce", nonce.as_str())] {
            match lines.get(name) {
                Some(theirs) if constant_time_eq(theirs.as_bytes(), ours.as_bytes()) => {}
                Some(_) => return Err(BadAnswer::Echo(name)),
                None if status == Status::Ok => return Err(BadAnswer::Missing(name)),
                None => {}
            }
        }
        let accepted = match status {
            Status::Ok => Some(Accepted::read(&lines, otp, client.needs_counters)?),
            _ => None,
        };
        Ok(Self { status, accepted })
    }

    /// What the server said.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What it said of the password, if it said `OK`.
    pub fn accepted(self) -> Option<Accepted> {
        self.accepted
    }
}

impl Accepted {
    fn read(lines: &Lines<'_>, otp: &Otp, needs_counters: bool) -> Result<Self, BadAnswer> {
        let counter: Option<u16> = lines.number("sessioncounter")?;
        let session_use = lines.number("sessionuse")?;
        let counters = match (counter, session_use) {
            (Some(counter), Some(session_use)) => Some((counter & COUNTER_MASK, session_use)),
            (None, _) if needs_counters => return Err(BadAnswer::Missing("sessioncounter")),
            (_, None) if needs_counters => return Err(BadAnswer::Missing("sessionuse")),
            _ => None,
        };
        Ok(Self {
            public_id: otp.public_id().clone(),
            sync_level: lines.number("sl")?,
            timestamp: lines.number("timestamp")?,
            counters,
        })
    }

    /// Whose key it was.
    pub fn public_id(&self) -> &PublicId {
        &self.public_id
    }

    /// The share of its peers, in percent, that the server had heard (`sl`).
    pub fn sync_level(&self) -> Option<u8> {
        self.sync_level
    }

    /// The clock of the key, as in [`Decrypted::timestamp`](crate::yubico::Decrypted::timestamp).
    pub fn timestamp(&self) -> Option<u32> {
        self.timestamp
    }

    /// How often the key was plugged in, and used since.
    pub fn counters(&self) -> Option<(u16, u8)> {
        self.counters
    }

    /// In the same order as passwords that are checked offline. `Err` without counters.
    pub(super) fn into_unspent(self) -> Result<Unspent<Self>, Self> {
        match self.counters {
            Some((counter, session_use)) => {
                let position = (u64::from(counter) << 8) | u64::from(session_use);
                Ok(Unspent::new(position, self))
            }
            None => Err(self),
        }
    }
}

/// The lines of an answer, `name=value` each.
struct Lines<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Lines<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, BadAnswer> {
        if body.len() > MAX_BODY {
            return Err(BadAnswer::TooLarge);
        }
        let text = std::str::from_utf8(body).map_err(|_| BadAnswer::NotText)?;
        let is_plain = text
            .bytes()
            .all(|byte| matches!(byte, b'\r' | b'\n' | b' '..=b'~'));
        if !is_plain {
            return Err(BadAnswer::NotText);
        }
        let mut lines: Vec<(&str, &str)> = Vec::new();
        // What has no `=` says nothing; a name that is not known is signed like the others.
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            // The signature does not say where a line ends: whoever can make a server repeat a `&`
            // could make two lines of one.
            if name.contains('&') || value.contains('&') {
                return Err(BadAnswer::Ambiguous);
            }
            if lines.iter().any(|(earlier, _)| *earlier == name) {
                return Err(BadAnswer::Twice);
            }
            if lines.len() == MAX_LINES {
                return Err(BadAnswer::TooLarge);
            }
            lines.push((name, value.trim_end_matches('\r')));
        }
        Ok(Self(lines))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(it, _)| *it == name);
        found.map(|(_, value)| *value)
    }

    fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, BadAnswer> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_plain => Ok(Some(number)),
            _ => Err(BadAnswer::Malformed(name)),
        }
    }

    fn signed(&self) -> Vec<(&'a str, &'a str)> {
        let others = self.0.iter().filter(|(name, _)| *name != "h");
        others.copied().collect()
    }
}

/// Why an answer counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAnswer {
    /// Longer than [`MAX_BODY`], or with more lines than anybody needs.
    #[error("the answer is too long")]
    TooLarge,
    /// Not printable ASCII: a page of HTML from a proxy, for instance.
    #[error("the answer is not the text of a validation server")]
    NotText,
    /// A name stands there twice.
    #[error("the answer says something twice")]
    Twice,
    /// A line has a `&` in it and could as well be two.
    #[error("the answer has a line that could be read as two")]
    Ambiguous,
    /// There is no signature. `claimed` may come from anybody; it is for the log.
    #[error("the answer is not signed{}", claims(*.claimed))]
    Unsigned {
        /// The status that it claims.
        claimed: Option<Status>,
    },
    /// The signature is not right. Servers sign with no key if they do not know the client:
    /// `claimed` may come from anybody; it is for the log.
    #[error("the signature of the answer is wrong{}", claims(*.claimed))]
    Signature {
        /// The status that it claims.
        claimed: Option<Status>,
    },
    /// A line that has to be there is not.
    #[error("the answer does not say `{0}`")]
    Missing(&'static str),
    /// A line has a value that cannot be.
    #[error("the answer has a `{0}` that cannot be read")]
    Malformed(&'static str),
    /// It answers another request.
    #[error("the `{0}` in the answer is not that of the request")]
    Echo(&'static str),
    /// It was made at another time, or one of the clocks is wrong.
    #[error("the answer was made {seconds} seconds from now by the clock of this machine")]
    Time {
        /// How far away.
        seconds: u64,
    },
}

impl BadAnswer {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "otp_answer_too_large",
            Self::NotText => "otp_answer_not_text",
            Self::Twice | Self::Ambiguous => "otp_answer_ambiguous",
            Self::Unsigned { .. } => "otp_answer_unsigned",
            Self::Signature { .. } => "otp_answer_signature",
            Self::Missing(_) | Self::Malformed(_) => "otp_answer_malformed",
            Self::Echo(_) => "otp_answer_foreign",
            Self::Time { .. } => "otp_answer_time",
        }
    }

    /// What the operator of the client may look at.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unsigned {
                claimed: Some(Status::NoSuchClient),
            }
            | Self::Signature {
                claimed: Some(Status::NoSuchClient),
            } => Some("check the client id: the server seems not to know it"),
            Self::Unsigned { .. } | Self::Signature { .. } => {
                Some("check that the API key is the one that belongs to this client id")
            }
            Self::Time { .. } => Some("check the clocks of this machine and of the server"),
            Self::Missing("sessioncounter" | "sessionuse") => {
                Some("this server does not say the counters of the key; use another if you can")
            }
            Self::NotText => Some("check the address of the server, and proxies on the way"),
            _ => None,
        }
    }
}

fn claims(claimed: Option<Status>) -> String {
    claimed.map_or_else(String::new, |status| format!(" (it claims {status})"))
}

//! What is said to the program that speaks with the operating system's keyring, and what it answers.
//!
//! One JSON document each way, through pipes: nothing secret stands in an argument or a variable. The
//! program does one request and ends. Values are base64, because a secret is bytes.

use serde::{Deserialize, Serialize};

use crate::SecretBytes;

/// The version of this exchange. Program and caller are installed together, and this says so when
/// they were not.
pub const VERSION: u32 = 1;

/// The largest document either side reads.
pub const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Whether a person may be asked to unlock the keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unlock {
    /// A window may open, because a person is at it: a login.
    Ask,
    /// A locked keyring is an answer: a command that runs by itself.
    Never,
}

/// What is asked of the program.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// In whose name: items of other applications are not seen.
    pub application: String,
    /// Whether a person may be asked.
    pub unlock: Unlock,
    /// After how long the program ends by itself, should nobody be left to end it.
    pub limit_ms: u64,
    /// What to do, in this order, until something fails.
    pub operations: Vec<Operation>,
}

/// One thing to do. Items are named by a group and a name within it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Reads an item: [`Outcome::Value`] or [`Outcome::Absent`].
    Read {
        /// The group.
        group: String,
        /// The name.
        name: String,
    },
    /// Writes an item, replacing the one there is: [`Outcome::Done`].
    Write {
        /// The group.
        group: String,
        /// The name.
        name: String,
        /// What the person sees in the keyring's own window.
        label: String,
        /// What is kept.
        #[serde(with = "base64_text")]
        value: SecretBytes,
    },
    /// Removes the items of a group: [`Outcome::Done`], also when there are none.
    Clear {
        /// The group.
        group: String,
        /// Names that begin with this stay.
        keep: Option<String>,
    },
}

/// What the program answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// [`VERSION`].
    pub version: u32,
    /// One for each operation, up to and including the one that failed.
    pub outcomes: Vec<Outcome>,
}

/// What became of one operation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// What the item holds.
    Value(#[serde(with = "base64_text")] SecretBytes),
    /// There is no such item.
    Absent,
    /// It was done.
    Done,
    /// It failed, and what was to follow was not tried.
    Failed(Trouble),
}

/// Why the keyring did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Trouble {
    /// There is no session bus.
    NoBus,
    /// Nobody on the bus keeps secrets.
    NoService,
    /// It is locked, and nobody may be asked.
    Locked,
    /// The person closed the window.
    Dismissed,
    /// An item that was written in pieces lacks some, or one is of another time.
    Damaged,
    /// Larger than the keyring takes, even in pieces.
    TooLarge {
        /// The size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Anything else.
    Other {
        /// In its own words: text from outside, not yet filtered.
        detail: String,
    },
}

mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use zeroize::Zeroizing;

    use crate::SecretBytes;

    pub(super) fn serialize<S: Serializer>(
        value: &SecretBytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Zeroizing::new(STANDARD.encode(value.expose())).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SecretBytes, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD
            .decode(text.as_bytes())
            // The decoder's message names a byte of what it read.
            .map_err(|_| serde::de::Error::custom("not base64"))?;
        Ok(SecretBytes::new(bytes))
    }
}

//! What supervisor and worker say to each other, and the frames it goes in: a length and JSON.
//!
//! Both ends are the same program, so there is one version of it. Tokens stand in these messages and
//! nowhere else outside of memory; buffers are wiped.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use countersign_client::Secret;
use countersign_client::probe::ServerClock;
use countersign_oauth::secret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::conversation::FailureKind;
use crate::prompt::Shown;

/// Claims of 64 KiB, escaped, and some tokens.
const MAX_FRAME: usize = 512 * 1024;

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum ToWorker {
    /// The first message: whom to speak with.
    Configure(Configure),
    /// Begin a sign-in.
    Begin {
        id: u64,
        /// The page that shows the code; none for the device grant.
        redirect_uri: Option<String>,
        requester: Requester,
        acr_values: Vec<String>,
        max_age: Option<Duration>,
        /// Whether the grant is to be renewed: a refresh token is asked for.
        renewable: bool,
        /// Give up after this.
        limit: Duration,
    },
    /// The person pasted this.
    Redeem {
        id: u64,
        #[serde(with = "secret::exposed")]
        text: Secret,
    },
    /// Nobody wants to know any more.
    Forget { id: u64 },
    /// Renew a grant of this subject.
    Renew {
        id: u64,
        #[serde(with = "secret::exposed")]
        refresh_token: Secret,
        subject: String,
        /// The claims that userinfo is asked for where the ID token does not have them, or where there is
        /// none.
        claims: Vec<String>,
    },
    /// Revoke a token.
    Revoke {
        id: u64,
        #[serde(with = "secret::exposed")]
        refresh_token: Secret,
    },
}

/// What a server that wants to know shows the person who is to approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Requester {
    pub(crate) host: String,
    pub(crate) purpose: String,
}

/// The authorization server, and who we are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Configure {
    pub(crate) issuer: String,
    /// The name of what is known of it.
    pub(crate) preset: String,
    pub(crate) client_id: String,
    #[serde(default, with = "secret::exposed")]
    pub(crate) client_secret: Option<Secret>,
    pub(crate) scopes: Vec<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) http_timeout: Duration,
    /// What an earlier worker knew of the server.
    pub(crate) known: Option<Known>,
}

/// What a server publishes, as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) metadata: String,
    pub(crate) keys: String,
    /// When, by the time of day in milliseconds.
    pub(crate) fetched_at: i64,
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub(crate) enum FromWorker {
    /// The sandbox is closed; this is what it consists of.
    Ready { sandbox: Vec<String> },
    /// What the server publishes, for the worker after this one.
    Learned { known: Known, clock: ServerClock },
    /// The server cannot be asked what it publishes.
    Trouble { why: String },
    /// The server has begun: show this.
    Shown { id: u64, shown: Shown },
    /// What was pasted is no code, and was not sent.
    NotACode { id: u64 },
    /// The person has signed in.
    Signed {
        id: u64,
        /// Verified.
        claims: String,
        access_expires_in: Option<Duration>,
        #[serde(default, with = "secret::exposed")]
        refresh_token: Option<Secret>,
    },
    /// The server has renewed a grant. What it says about the person comes next, and may not come: the
    /// token is kept before that.
    Renewed {
        id: u64,
        access_expires_in: Option<Duration>,
        /// The one for the next time, if it is another one.
        #[serde(default, with = "secret::exposed")]
        refresh_token: Option<Secret>,
    },
    /// What the server says about the person of a renewed grant.
    About {
        id: u64,
        /// Verified, or what userinfo says; none when there is no ID token and nothing was asked.
        claims: Option<String>,
    },
    /// A token is good no more, or the server has no place where that can be asked for.
    Revoked { id: u64, is_taken: bool },
    /// It failed.
    Failed {
        id: u64,
        kind: FailureKind,
        why: String,
    },
}

/// Writes a message.
///
/// # Errors
/// When the other side is gone.
pub(crate) fn write(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = Zeroizing::new(serde_json::to_vec(message)?);
    let length = u32::try_from(body.len()).ok();
    let length = length.filter(|_| body.len() <= MAX_FRAME);
    let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut frame = Zeroizing::new(Vec::with_capacity(4 + body.len()));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    to.write_all(&frame)
}

/// Reads a message; `None` when the other side has closed.
///
/// # Errors
/// When the other side is gone in the middle of a message, or says what is none.
pub(crate) fn read<M: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<M>> {
    let mut prefix = [0; 4];
    match from.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written_and_hides_its_secrets() {
        let message = ToWorker::Renew {
            id: 7,
            refresh_token: Secret::new("hush"),
            subject: "ada".to_owned(),
            claims: Vec::new(),
        };
        assert!(!format!("{message:?}").contains("hush"));
        let mut bytes = Vec::new();
        write(&mut bytes, &message).unwrap();
        let back: ToWorker = read(bytes.as_slice()).unwrap().unwrap();
        assert!(
            matches!(back, ToWorker::Renew { id: 7, refresh_token, .. } if refresh_token.expose() == "hush")
        );
        assert!(read::<ToWorker>([].as_slice()).unwrap().is_none());
        assert!(read::<ToWorker>(&bytes[..9]).is_err());
        assert!(read::<ToWorker>([0xff, 0, 0, 0].as_slice()).is_err());
        assert!(read::<ToWorker>([0, 0, 0, 2, b'{', b'}'].as_slice()).is_err());
    }
}

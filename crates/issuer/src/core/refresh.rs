//! Refresh tokens: their form, and when one is good.
//!
//! A refresh token is `csr_` and base64url of
//!
//! ```text
//! grant identifier (16 bytes) ‖ generation (4 bytes) ‖ MAC (32 bytes)
//! ```
//!
//! with the MAC made by the server's token key over the first two. So the
//! database holds no refresh token, not even a hash of one: whoever reads it
//! can renew nothing, and the successor of a token can be told a second time
//! without having been kept. A login stays one row however often it is
//! renewed, and "reuse" is a comparison of two numbers.
//!
//! The rules (RFC 9700, section 4.14.2):
//!
//! * the current generation is renewed: the next one becomes current;
//! * its predecessor, for [`GRACE`] after it was first used and as long as the
//!   current one was never used, gets the *same* successor: a client whose
//!   answer was lost, or that renewed from two processes at once, goes on;
//! * every older one, or the predecessor after that time, is a copy in wrong
//!   hands: the whole login ends.

use std::time::Duration;

use countersign_jose::{CryptoProvider, Timestamp, base64url, constant_time_eq};
use countersign_oauth::Secret;

use super::model::{GrantId, Rotation};

/// How long a replaced refresh token still gets its successor.
pub(super) const GRACE: Duration = Duration::from_secs(30);

const PREFIX: &str = "csr_";
const MAC_DOMAIN: &[u8] = b"countersign refresh token v1\0";

/// A refresh token whose MAC was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) grant: GrantId,
    pub(super) generation: u32,
}

impl RefreshToken {
    /// The token as clients hold it.
    pub(super) fn seal(self, key: &[u8], provider: &CryptoProvider) -> Secret {
        let mut bytes = self.body();
        bytes.extend_from_slice(&self.mac(key, provider));
        Secret::from(format!("{PREFIX}{}", base64url::encode(&bytes)))
    }

    /// Reads what a client sent; `None` when this server did not make it.
    pub(super) fn open(token: &str, key: &[u8], provider: &CryptoProvider) -> Option<Self> {
        let bytes = base64url::decode(token.strip_prefix(PREFIX)?).ok()?;
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, mac) = rest.split_first_chunk::<4>()?;
        let token = Self {
            grant: *grant,
            generation: u32::from_be_bytes(*generation),
        };
        constant_time_eq(mac, &token.mac(key, provider)).then_some(token)
    }

    fn body(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(52);
        bytes.extend_from_slice(&self.grant);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes
    }

    fn mac(self, key: &[u8], provider: &CryptoProvider) -> [u8; 32] {
        let mut message = MAC_DOMAIN.to_vec();
        message.extend_from_slice(&self.body());
        provider.hmac_sha256(key, &message)
    }
}

/// What the presented generation means to a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presented {
    /// The current one: go on to this state.
    Current(Rotation),
    /// The predecessor in its grace: tell the current one again.
    InGrace,
    /// A copy: end the login.
    Reused,
}

/// Judges a presented generation.
///
/// `resumed` is when this process began, if the answer to a rotation shortly
/// before may have been lost with the last one: grace then runs from there,
/// as nobody could have asked again before.
pub(super) fn judge(
    rotation: Rotation,
    presented: u32,
    resumed: Option<Resumed>,
    now: Timestamp,
) -> Presented {
    if presented == rotation.generation {
        return match rotation.generation.checked_add(1) {
            Some(generation) => Presented::Current(Rotation {
                generation,
                rotated_at: now,
            }),
            None => Presented::Reused,
        };
    }
    let is_predecessor = presented.checked_add(1) == Some(rotation.generation);
    let grace_from = match resumed {
        Some(resumed) => resumed.grace_from(rotation.rotated_at),
        None => rotation.rotated_at,
    };
    if is_predecessor && now.since(grace_from) <= GRACE {
        return Presented::InGrace;
    }
    Presented::Reused
}

/// A gap in the server's service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resumed {
    /// The last sign of life before the gap.
    pub(super) stopped_at: Timestamp,
    /// When service went on.
    pub(super) resumed_at: Timestamp,
}

impl Resumed {
    /// When the grace of a rotation begins: at the rotation, or after the gap
    /// when the gap came before the grace was over.
    fn grace_from(self, rotated_at: Timestamp) -> Timestamp {
        let cut_short = rotated_at <= self.stopped_at
            && self.stopped_at.since(rotated_at) <= GRACE
            && rotated_at <= self.resumed_at;
        if cut_short {
            self.resumed_at
        } else {
            rotated_at
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_jose::crypto::aws_lc;

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);
    const TOKEN: RefreshToken = RefreshToken {
        grant: [3; 16],
        generation: 7,
    };

    fn after(seconds: u64) -> Timestamp {
        T0 + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_opens_with_the_key_that_sealed_it_and_no_other() {
        let sealed = TOKEN.seal(&[1; 32], aws_lc::provider());
        let open = |key: &[u8]| RefreshToken::open(sealed.expose(), key, aws_lc::provider());
        assert_eq!(open(&[1; 32]), Some(TOKEN));
        assert_eq!(open(&[2; 32]), None);
    }

    #[test]
    fn sealing_twice_gives_the_same_token() {
        let seal = || TOKEN.seal(&[1; 32], aws_lc::provider());
        assert_eq!(seal().expose(), seal().expose());
    }

    #[test]
    fn no_altered_token_opens() {
        let sealed = TOKEN.seal(&[1; 32], aws_lc::provider());
        let sealed = sealed.expose();
        for place in 0..sealed.len() {
            let mut altered = sealed.to_owned().into_bytes();
            altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(
                RefreshToken::open(&altered, &[1; 32], aws_lc::provider()),
                None
            );
        }
        for cut in 0..sealed.len() {
            assert_eq!(
                RefreshToken::open(&sealed[..cut], &[1; 32], aws_lc::provider()),
                None
            );
        }
    }

    #[test]
    fn the_current_generation_moves_on() {
        let rotation = Rotation {
            generation: 4,
            rotated_at: T0,
        };
        assert_eq!(
            judge(rotation, 4, None, after(60)),
            Presented::Current(Rotation {
                generation: 5,
                rotated_at: after(60)
            })
        );
    }

    #[test]
    fn the_predecessor_has_thirty_seconds() {
        let rotation = Rotation {
            generation: 4,
            rotated_at: T0,
        };
        assert_eq!(judge(rotation, 3, None, after(0)), Presented::InGrace);
        assert_eq!(judge(rotation, 3, None, after(30)), Presented::InGrace);
        assert_eq!(judge(rotation, 3, None, after(31)), Presented::Reused);
    }

    #[test]
    fn older_and_future_generations_are_copies() {
        let rotation = Rotation {
            generation: 4,
            rotated_at: T0,
        };
        for presented in [0, 2, 5, u32::MAX] {
            assert_eq!(judge(rotation, presented, None, T0), Presented::Reused);
        }
    }

    #[test]
    fn grace_that_a_crash_cut_short_begins_again_when_service_does() {
        let rotation = Rotation {
            generation: 4,
            rotated_at: T0,
        };
        let resumed = Some(Resumed {
            stopped_at: after(5),
            resumed_at: after(7_200),
        });
        assert_eq!(
            judge(rotation, 3, resumed, after(7_230)),
            Presented::InGrace
        );
        assert_eq!(judge(rotation, 3, resumed, after(7_231)), Presented::Reused);
    }

    #[test]
    fn grace_that_was_over_before_the_crash_stays_over() {
        let rotation = Rotation {
            generation: 4,
            rotated_at: T0,
        };
        let resumed = Some(Resumed {
            stopped_at: after(31),
            resumed_at: after(40),
        });
        assert_eq!(judge(rotation, 3, resumed, after(40)), Presented::Reused);
    }
}

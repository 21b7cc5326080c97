//! When a token that is still good is renewed all the same.
//!
//! Whoever finds a token expired has to wait for another, and so has everybody else at that moment.
//! So one of those who come shortly before gets the next token, while the others use the one there is.
//!
//! Not responsible for how it is renewed, nor for who does it.

use std::time::Duration;

use crate::session::Life;
use crate::{Secret, Timestamp};

/// How long before it would have to be, at most.
const GREATEST_LEAD: Duration = Duration::from_secs(300);
/// No more than this part of the token's life: most of it is to be used.
const PART: u32 = 4;
/// The steps in which leads differ.
const STEPS: u32 = 1024;

/// The longest that the renewal of any token with this life may come before it would have to.
pub(crate) fn greatest_lead(length: Duration) -> Duration {
    (length / PART).min(GREATEST_LEAD)
}

/// How long before it would have to be this token is renewed: between half of the greatest lead and all
/// of it.
///
/// A thousand computers that sign in at nine must not all ask the server at the same instant. The lead is
/// drawn from the token and the moment at which it was asked for, not anew by each process: of a hundred
/// short-lived processes one would always draw the earliest.
pub(crate) fn lead(token: &Secret, life: Life) -> Duration {
    let greatest = life.length().map_or(Duration::ZERO, greatest_lead);
    let half = greatest / 2;
    half + half / STEPS * (spread(token, life.obtained_at()) % STEPS)
}

/// A number that differs for different tokens and moments: FNV-1a, of which nothing is asked but that.
fn spread(token: &Secret, obtained_at: Timestamp) -> u32 {
    let moment = obtained_at.as_millis().to_le_bytes();
    let bytes = token.expose().bytes().chain(moment);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The upper half is mixed better than the lower one.
    u32::try_from(hash >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(at: i64, seconds: u64) -> Life {
        Life::new(
            Timestamp::from_secs(at),
            Some(Timestamp::from_secs(at) + Duration::from_secs(seconds)),
        )
    }

    #[test]
    fn leads_are_spread_over_half_of_the_greatest() {
        for (length, greatest) in [(600, 150), (86_400, 300), (60, 15)] {
            let greatest = Duration::from_secs(greatest);
            let leads: Vec<Duration> = (0..1000)
                .map(|n| lead(&Secret::new(format!("token-{n}")), life(1_000_000, length)))
                .collect();
            assert!(leads.iter().all(|l| (greatest / 2..=greatest).contains(l)));
            // In each tenth of the range there is about a tenth of them.
            for tenth in 0..10 {
                let from = greatest / 2 + greatest / 20 * tenth;
                let tenth = from..from + greatest / 20;
                let count = leads.iter().filter(|lead| tenth.contains(*lead)).count();
                assert!((60..=140).contains(&count), "{tenth:?}: {count}");
            }
        }
    }

    #[test]
    fn one_session_has_one_lead_and_the_same_token_elsewhere_another() {
        let token = Secret::new("the same for every machine of a client");
        let here = lead(&token, life(1_000_000, 3600));
        assert_eq!(here, lead(&token, life(1_000_000, 3600)));
        let others = (1..=50).map(|n| lead(&token, life(1_000_000 + n, 3600)));
        assert!(others.filter(|other| *other == here).count() <= 2);
    }

    #[test]
    fn a_token_of_unknown_life_is_never_renewed_early() {
        let life = Life::new(Timestamp::from_secs(0), None);
        assert_eq!(lead(&Secret::new("token"), life), Duration::ZERO);
    }
}

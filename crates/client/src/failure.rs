//! What a renewal that failed leaves for those who come after: when that was, and until when the server is
//! left alone.
//!
//! It stands as a note in the file of the lock, which whoever renews holds. It is about one access token
//! of one session, so a renewal, a login or a logout by anybody makes it meaningless. Nothing
//! depends on it but who waits, and how long: a lost or torn note costs a request.

use std::time::Duration;

use countersign_store::{Lock, Purpose};

use crate::{Context, Error, Session, SessionName, Timestamp};

/// The longest that the server is left alone when it does not ask for more.
const USUAL_REST: Duration = Duration::from_secs(30);
/// The longest that it is, whatever it asks for.
const GREATEST_REST: Duration = Duration::from_secs(300);

/// A renewal that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// When it was over.
    at: Timestamp,
    /// Until when whoever has a token that is still good does not try again.
    rest_until: Timestamp,
    /// When the access token that it failed to replace was asked for.
    of: Timestamp,
    /// Whether it would have been the same for anybody.
    passing: bool,
}

impl Failure {
    /// The renewal of `session` that ended with `error` just now.
    pub(crate) fn now(context: &Context, session: &Session, error: &Error) -> Self {
        let at = context.clock().now();
        let rest = rest(session.remaining(at).unwrap_or_default(), error);
        Self {
            at,
            rest_until: at + rest,
            of: session.obtained_at(),
            passing: error.is_retryable(),
        }
    }

    /// The last one of `session` as it is, if the last renewal of it failed.
    pub(crate) fn last(context: &Context, name: &SessionName, session: &Session) -> Option<Self> {
        let note = context.store().lock_note(name, Purpose::Refresh)?;
        let failure = Self::parse(&note)?;
        let rest = failure.rest_until.since(failure.at);
        // What happened in the future was noted by a clock that has been set back since.
        let credible = failure.at <= context.clock().now() && rest <= GREATEST_REST;
        (credible && failure.of == session.obtained_at()).then_some(failure)
    }

    /// Leaves it for the others.
    pub(crate) fn note(self, lock: &Lock) {
        // Each note is as long as the one before, so that two of them cannot be mistaken for a third.
        let note = format!(
            "{:020} {:020} {:020} {}\n",
            self.at.as_millis(),
            self.rest_until.as_millis(),
            self.of.as_millis(),
            u8::from(self.passing),
        );
        // A full disk, perhaps. Then the others find out for themselves.
        let _ = lock.leave_note(&note);
    }

    /// Whether the server is left alone at `now` by those who can do without it.
    pub(crate) fn is_resting(self, now: Timestamp) -> bool {
        now < self.rest_until
    }

    /// Whether whoever has been waiting since `since` would only see the same happen once more.
    pub(crate) fn answers(self, since: Timestamp) -> bool {
        self.passing && self.at > since
    }

    fn parse(note: &str) -> Option<Self> {
        let mut words = note.strip_suffix('\n')?.split(' ');
        let mut moment = || words.next()?.parse().ok().map(Timestamp::from_millis);
        let (at, rest_until, of) = (moment()?, moment()?, moment()?);
        let passing = match words.next()? {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        words.next().is_none().then_some(Self {
            at,
            rest_until,
            of,
            passing,
        })
    }
}

/// How long to leave the server alone after `error`, when the token at hand is good for `left`: the nearer
/// its end, the more often it is tried.
pub(crate) fn rest(left: Duration, error: &Error) -> Duration {
    let asked_for = error.retry_after().unwrap_or_default();
    let usual = (left / 2).min(USUAL_REST);
    usual.max(asked_for.min(left)).min(GREATEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_is_torn_or_not_ours_says_nothing() {
        let whole = "00000001795219200000 00000001795219230000 00000001795219100000 1\n";
        let failure = Failure::parse(whole).unwrap();
        assert!(failure.is_resting(Timestamp::from_millis(1_795_219_229_999)));
        assert!(!failure.is_resting(Timestamp::from_millis(1_795_219_230_000)));
        assert!(failure.answers(Timestamp::from_millis(1_795_219_199_999)));
        assert!(!failure.answers(Timestamp::from_millis(1_795_219_200_000)));
        for end in 0..whole.len() {
            assert_eq!(Failure::parse(&whole[..end]), None, "{end}");
        }
        for other in ["\n", "a b c 1\n", "1 2 3 2\n", "1 2 3 1 4\n", "1 2 3 1\n\n"] {
            assert_eq!(Failure::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn the_nearer_the_end_the_shorter_the_rest() {
        let error = Error::Cancelled;
        for (left, expected) in [(3600, 30), (60, 30), (20, 10), (0, 0)] {
            let rest = rest(Duration::from_secs(left), &error);
            assert_eq!(rest.as_secs(), expected, "{left}");
        }
    }
}

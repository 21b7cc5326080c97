//! Who may begin a sign-in now: limits on what waits, and a memory of what has ended.
//!
//! The ssh client tries three times on one connection; what has ended stays ended for all three, and the
//! authorization server hears of it once.
//!
//! Not responsible for the rules, nor for what anybody is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Limits;
use crate::{Answer, Process};

/// How long an end is remembered, if its process is there so long.
const MEMORY: Duration = Duration::from_secs(15 * 60);
const MINUTE: Duration = Duration::from_secs(60);
/// The most that is remembered; the oldest goes first.
const MOST_REMEMBERED: usize = 1024;

/// The door.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door(Arc<Mutex<Ledger>>);

#[derive(Debug, Default)]
struct Ledger {
    next: u64,
    inside: HashMap<u64, (String, String)>,
    /// When sign-ins were begun, by source.
    begun: HashMap<String, VecDeque<Duration>>,
    ended: HashMap<Process, Ended>,
}

#[derive(Debug)]
struct Ended {
    account: String,
    answer: Answer,
    at: Duration,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("too many sign-ins wait for this account from this address")]
    User,
    #[error("too many sign-ins wait from this address")]
    Source,
    #[error("too many sign-ins were begun from this address within a minute")]
    Rate,
    #[error("too many sign-ins wait altogether")]
    Total,
}

/// A place inside, given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    door: Door,
    number: u64,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.door.ledger().inside.remove(&self.number);
    }
}

impl Door {
    /// Lets a sign-in for `account` from `source` begin. `now` is of the monotonic clock.
    ///
    /// # Errors
    /// [`Full`] says which limit is reached.
    pub(crate) fn enter(
        &self,
        limits: Limits,
        account: &str,
        source: &str,
        now: Duration,
    ) -> Result<Pass, Full> {
        let mut ledger = self.ledger();
        let inside = ledger.inside.values();
        let from_here = inside.filter(|(_, other)| other == source);
        let (mut here, mut same) = (0, 0);
        for (other, _) in from_here {
            here += 1;
            same += usize::from(other == account);
        }
        if ledger.inside.len() >= limits.total {
            return Err(Full::Total);
        }
        if same >= limits.per_user {
            return Err(Full::User);
        }
        if here >= limits.per_rhost {
            return Err(Full::Source);
        }
        ledger.begun.retain(|_, times| {
            times.retain(|time| *time + MINUTE > now);
            !times.is_empty()
        });
        let times = ledger.begun.entry(source.to_owned()).or_default();
        if times.len() >= limits.per_minute {
            return Err(Full::Rate);
        }
        times.push_back(now);
        ledger.next += 1;
        let number = ledger.next;
        let place = (account.to_owned(), source.to_owned());
        ledger.inside.insert(number, place);
        Ok(Pass {
            door: self.clone(),
            number,
        })
    }

    /// How a sign-in of this login for `account` has ended before.
    pub(crate) fn ended(&self, login: Process, account: &str, now: Duration) -> Option<Answer> {
        let mut ledger = self.ledger();
        ledger.ended.retain(|_, ended| now < ended.at + MEMORY);
        let ended = ledger.ended.get(&login)?;
        (ended.account == account).then(|| ended.answer.clone())
    }

    /// Remembers how it ended.
    pub(crate) fn remember(&self, login: Process, account: &str, answer: &Answer, now: Duration) {
        let mut ledger = self.ledger();
        if ledger.ended.len() >= MOST_REMEMBERED {
            let oldest = ledger.ended.iter().min_by_key(|(_, ended)| ended.at);
            if let Some(oldest) = oldest.map(|(login, _)| *login) {
                ledger.ended.remove(&oldest);
            }
        }
        let ended = Ended {
            account: account.to_owned(),
            answer: answer.clone(),
            at: now,
        };
        ledger.ended.insert(login, ended);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    const LIMITS: Limits = Limits {
        per_user: 1,
        per_rhost: 2,
        per_minute: 100,
        total: 3,
    };

    #[test]
    fn each_limit_holds_until_a_place_is_given_back() {
        let (door, now) = (Door::default(), Duration::from_secs(100));
        let enter = |account: &str, source: &str| door.enter(LIMITS, account, source, now);
        let first = enter("ada", "a").unwrap();
        assert_eq!(enter("ada", "a").unwrap_err(), Full::User);
        // Whoever waits elsewhere locks nobody out.
        let second = enter("ada", "b").unwrap();
        let _third = enter("bob", "a").unwrap();
        assert_eq!(enter("eve", "c").unwrap_err(), Full::Total);
        drop(second);
        assert_eq!(enter("eve", "a").unwrap_err(), Full::Source);
        drop(first);
        enter("eve", "a").unwrap();
    }

    #[test]
    fn who_comes_again_and_again_waits_a_minute() {
        let door = Door::default();
        let limits = Limits {
            per_minute: 2,
            ..LIMITS
        };
        let enter = |source: &str, seconds| {
            let now = Duration::from_secs(seconds);
            door.enter(limits, "ada", source, now).map(drop)
        };
        assert_eq!(enter("a", 100), Ok(()));
        assert_eq!(enter("a", 110), Ok(()));
        assert_eq!(enter("a", 120), Err(Full::Rate));
        assert_eq!(enter("b", 120), Ok(()));
        assert_eq!(enter("a", 160), Ok(()));
        assert_eq!(enter("a", 161), Err(Full::Rate));
    }

    #[test]
    fn what_has_ended_stays_ended_for_that_login_and_account() {
        let door = Door::default();
        let login = |pid| Process { pid, start_time: 1 };
        let answer = Answer {
            verdict: Verdict::Denied,
            text: "no".to_owned(),
            reference: None,
        };
        let now = Duration::from_secs(100);
        door.remember(login(1), "ada", &answer, now);
        assert_eq!(door.ended(login(1), "ada", now), Some(answer.clone()));
        assert_eq!(door.ended(login(1), "bob", now), None);
        assert_eq!(door.ended(login(2), "ada", now), None);
        for pid in 0..2_000 {
            door.remember(
                login(pid),
                "ada",
                &answer,
                now + Duration::from_secs(pid.into()),
            );
        }
        assert_eq!(door.ledger().ended.len(), MOST_REMEMBERED);
        let late = now + Duration::from_secs(4_000);
        assert_eq!(door.ended(login(1_999), "ada", late), None);
    }
}

//! How often something may be tried.
//!
//! Counters live in memory only: a restart forgets them, which gives a
//! guesser one more round and nothing else. Attempts are counted before they
//! are made and given back when they succeed, so that a thousand attempts in
//! parallel are not a thousand first attempts.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_jose::Timestamp;

use super::model::Digest;

/// So many attempts in a window that begins with the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many attempts a window takes.
    pub attempts: u32,
    /// How long a window lasts.
    pub window: Duration,
}

impl Limit {
    const fn in_ten_minutes(attempts: u32) -> Self {
        Self {
            attempts,
            window: Duration::from_secs(600),
        }
    }
}

/// The limits of an issuer.
///
/// A user code has 20^8 values. With a thousand live codes and every guess of
/// `codes_everywhere` used for all of ten minutes, one of them is hit with a
/// probability below one in twenty thousand (RFC 8628, section 5.1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Wrong user codes of one browser session.
    pub codes_per_session: Limit,
    /// Wrong user codes from one address.
    pub codes_per_address: Limit,
    /// Wrong user codes of everybody.
    pub codes_everywhere: Limit,
    /// Failed sign-ins to one account from one address.
    pub sign_ins_per_account_and_address: Limit,
    /// Failed sign-ins from one address.
    pub sign_ins_per_address: Limit,
    /// Failed sign-ins to one account. Wide, because whoever can use it up
    /// locks the owner out.
    pub sign_ins_per_account: Limit,
    /// Wrong second factors of one account.
    pub factors_per_account: Limit,
    /// Wrong second factors of one account in a day: what bounds a guesser who
    /// has the password and patience.
    pub factors_per_account_and_day: Limit,
    /// Wrong second factors from one address.
    pub factors_per_address: Limit,
    /// Device logins begun from one address.
    pub starts_per_address: Limit,
    /// Device logins begun by one client. As they live as long as a window,
    /// this bounds how many are kept.
    pub starts_per_client: Limit,
    /// Authorization requests pushed from one address, by clients that prove
    /// nothing.
    pub pushes_per_address: Limit,
    /// Authorization requests pushed by one client. They are kept for an hour
    /// and have some kilobytes, which this bounds.
    pub pushes_per_client: Limit,
    /// Assertions of one client. As they are remembered for less than a window,
    /// this bounds how many are.
    pub assertions_per_client: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            codes_per_session: Limit::in_ten_minutes(5),
            codes_per_address: Limit::in_ten_minutes(10),
            codes_everywhere: Limit::in_ten_minutes(1_000),
            sign_ins_per_account_and_address: Limit::in_ten_minutes(5),
            sign_ins_per_address: Limit::in_ten_minutes(20),
            sign_ins_per_account: Limit::in_ten_minutes(50),
            factors_per_account: Limit::in_ten_minutes(5),
            factors_per_account_and_day: Limit {
                attempts: 50,
                window: Duration::from_secs(86_400),
            },
            factors_per_address: Limit::in_ten_minutes(20),
            starts_per_address: Limit::in_ten_minutes(100),
            starts_per_client: Limit::in_ten_minutes(10_000),
            pushes_per_address: Limit::in_ten_minutes(100),
            pushes_per_client: Limit::in_ten_minutes(3_000),
            assertions_per_client: Limit::in_ten_minutes(60_000),
        }
    }
}

/// What an attempt counts against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Counter {
    CodesOfSession(Digest),
    CodesFrom(IpAddr),
    CodesEverywhere,
    SignInsToFrom(String, IpAddr),
    SignInsFrom(IpAddr),
    SignInsTo(String),
    FactorsOf(String),
    FactorsOfDay(String),
    FactorsFrom(IpAddr),
    StartsFrom(IpAddr),
    StartsOf(String),
    PushesFrom(IpAddr),
    PushesOf(String),
    AssertionsOf(String),
}

impl Counter {
    fn limit(&self, limits: &Limits) -> Limit {
        match self {
            Self::CodesOfSession(_) => limits.codes_per_session,
            Self::CodesFrom(_) => limits.codes_per_address,
            Self::CodesEverywhere => limits.codes_everywhere,
            Self::SignInsToFrom(..) => limits.sign_ins_per_account_and_address,
            Self::SignInsFrom(_) => limits.sign_ins_per_address,
            Self::SignInsTo(_) => limits.sign_ins_per_account,
            Self::FactorsOf(_) => limits.factors_per_account,
            Self::FactorsOfDay(_) => limits.factors_per_account_and_day,
            Self::FactorsFrom(_) => limits.factors_per_address,
            Self::StartsFrom(_) => limits.starts_per_address,
            Self::StartsOf(_) => limits.starts_per_client,
            Self::PushesFrom(_) => limits.pushes_per_address,
            Self::PushesOf(_) => limits.pushes_per_client,
            Self::AssertionsOf(_) => limits.assertions_per_client,
        }
    }

    /// The same counter with an IPv6 address cut to its network: whoever has
    /// one such address usually has all of its /64.
    fn of_network(self) -> Self {
        match self {
            Self::CodesFrom(address) => Self::CodesFrom(network(address)),
            Self::SignInsToFrom(name, address) => Self::SignInsToFrom(name, network(address)),
            Self::SignInsFrom(address) => Self::SignInsFrom(network(address)),
            Self::FactorsFrom(address) => Self::FactorsFrom(network(address)),
            Self::StartsFrom(address) => Self::StartsFrom(network(address)),
            Self::PushesFrom(address) => Self::PushesFrom(network(address)),
            other => other,
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limited {
    pub(super) retry_after: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends_at: Timestamp,
    attempts: u32,
}

/// The running counters.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: Limits,
    windows: Mutex<HashMap<Counter, Window>>,
}

/// How many counters are kept. At the bound the oldest half goes: whoever
/// commands so many addresses gains less by that than by the addresses.
const MOST_COUNTERS: usize = 20_000;

impl Limiter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            windows: Mutex::new(HashMap::new()),
        }
    }

    /// Counts an attempt against all of `counters`, or against none when one
    /// of them has no room; then it says when there will be.
    pub(super) fn take<const N: usize>(
        &self,
        counters: [Counter; N],
        now: Timestamp,
    ) -> Result<Attempt<'_, N>, Limited> {
        let counters = counters.map(Counter::of_network);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let longest_wait = counters
            .iter()
            .filter_map(|counter| {
                let window = windows.get(counter)?;
                let full = window.attempts >= counter.limit(&self.limits).attempts;
                (full && now < window.ends_at).then(|| window.ends_at.since(now))
            })
            .max();
        if let Some(wait) = longest_wait {
            // Whole seconds, upwards: that is what Retry-After can say.
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let retry_after = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
            return Err(Limited { retry_after });
        }
        if windows.len() + N > MOST_COUNTERS {
            shrink(&mut windows, now);
        }
        for counter in &counters {
            let fresh = Window {
                ends_at: now + counter.limit(&self.limits).window,
                attempts: 0,
            };
            let window = windows.entry(counter.clone()).or_insert(fresh);
            if now >= window.ends_at {
                *window = fresh;
            }
            window.attempts = window.attempts.saturating_add(1);
        }
        drop(windows);
        Ok(Attempt {
            limiter: self,
            counters,
        })
    }
}

fn shrink(windows: &mut HashMap<Counter, Window>, now: Timestamp) {
    windows.retain(|_, window| now < window.ends_at);
    if windows.len() <= MOST_COUNTERS / 2 {
        return;
    }
    let mut ends: Vec<Timestamp> = windows.values().map(|window| window.ends_at).collect();
    let middle = ends.len() / 2;
    let (_, &mut median, _) = ends.select_nth_unstable(middle);
    windows.retain(|_, window| window.ends_at > median);
}

/// An attempt that was counted.
#[derive(Debug)]
pub(super) struct Attempt<'a, const N: usize> {
    limiter: &'a Limiter,
    counters: [Counter; N],
}

impl<const N: usize> Attempt<'_, N> {
    /// Takes the attempt off the counters again, because it was a good one.
    pub(super) fn give_back(self) {
        let mut windows = self
            .limiter
            .windows
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for counter in &self.counters {
            if let Some(window) = windows.get_mut(counter) {
                window.attempts = window.attempts.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn from(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn the_sixth_wrong_code_of_a_session_waits_until_the_window_is_over() {
        let limiter = Limiter::new(Limits::default());
        let code = || [Counter::CodesOfSession([7; 32])];
        for second in 0..5 {
            limiter.take(code(), T0 + secs(second)).unwrap();
        }
        let refused = limiter.take(code(), T0 + secs(100)).unwrap_err();
        assert_eq!(refused.retry_after, secs(500));
        limiter.take(code(), T0 + secs(600)).unwrap();
    }

    #[test]
    fn an_attempt_that_one_counter_refuses_costs_the_others_nothing() {
        let limiter = Limiter::new(Limits::default());
        for _ in 0..5 {
            limiter
                .take([Counter::CodesOfSession([7; 32])], T0)
                .unwrap();
        }
        for _ in 0..50 {
            limiter
                .take(
                    [
                        Counter::CodesOfSession([7; 32]),
                        Counter::CodesFrom(from(1)),
                    ],
                    T0,
                )
                .unwrap_err();
        }
        for _ in 0..10 {
            limiter.take([Counter::CodesFrom(from(1))], T0).unwrap();
        }
        limiter.take([Counter::CodesFrom(from(1))], T0).unwrap_err();
        limiter.take([Counter::CodesFrom(from(2))], T0).unwrap();
    }

    #[test]
    fn good_attempts_are_given_back() {
        let limiter = Limiter::new(Limits::default());
        for _ in 0..100 {
            limiter
                .take([Counter::SignInsFrom(from(1))], T0)
                .unwrap()
                .give_back();
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let limiter = Limiter::new(Limits::default());
        for host in 0..10_u128 {
            let address: IpAddr = Ipv6Addr::from_bits((0x2001_0db8 << 96) | host).into();
            limiter.take([Counter::CodesFrom(address)], T0).unwrap();
        }
        let address: IpAddr = "2001:db8::ffff".parse().unwrap();
        limiter.take([Counter::CodesFrom(address)], T0).unwrap_err();
        let elsewhere: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        limiter.take([Counter::CodesFrom(elsewhere)], T0).unwrap();
    }

    #[test]
    fn the_counters_are_bounded() {
        let limiter = Limiter::new(Limits::default());
        for number in 0..60_000_u32 {
            let counter = Counter::SignInsTo(number.to_string());
            limiter
                .take([counter], T0 + Duration::from_millis(u64::from(number)))
                .unwrap();
        }
        assert!(limiter.windows.lock().unwrap().len() <= MOST_COUNTERS);
    }
}

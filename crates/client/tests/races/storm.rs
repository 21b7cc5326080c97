//! A server in bad weather, and signal 9 for those who talk to it.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use countersign_testkit::{Endpoint, Provider, Reply, Request};

use crate::fleet::{Crew, Fleet};

/// However little happens, the weather is better after this.
const LONGEST: Duration = Duration::from_secs(10);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything, before and after the server has acted.
    Hurricane,
    /// The server does not act: it answers 503, or hangs up.
    Refusals,
    /// The server is well; processes are killed.
    Kills,
}

impl Weather {
    /// How long a process waits for an answer.
    pub(crate) fn patience(self) -> Duration {
        match self {
            // Time-outs are part of it.
            Self::Hurricane => Duration::from_millis(700),
            // A busy machine must not look like a lost answer.
            Self::Refusals | Self::Kills => Duration::from_secs(30),
        }
    }
}

/// What the server did meanwhile.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Log {
    pub(crate) rotations: usize,
    /// The process for which it acted last.
    pub(crate) last_served: Option<u32>,
}

pub(crate) struct Storm {
    weather: Weather,
    log: Arc<Mutex<Log>>,
    /// Those who kill somebody a moment later.
    late: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Storm {
    pub(crate) fn begin(provider: &Provider, weather: Weather, fleet: &Fleet, seed: u64) -> Self {
        let storm = Self {
            weather,
            log: Arc::default(),
            late: Arc::default(),
        };
        let (crew, mut random) = (fleet.crew(), Random::new(seed));
        provider.check(Endpoint::Token, move |request| {
            before_acting(weather, &crew, client(request), &mut random)
        });
        let (crew, mut random) = (fleet.crew(), Random::new(!seed));
        let (log, late) = (Arc::clone(&storm.log), Arc::clone(&storm.late));
        provider.deliver(Endpoint::Token, move |request, reply| {
            let pid = client(request);
            let mut log = log.lock().unwrap();
            log.rotations += 1;
            log.last_served = Some(pid);
            drop(log);
            after_acting(weather, &crew, pid, &mut random, reply, &late)
        });
        storm
    }

    /// Lets it rage until the server has acted so many times or has ended the session, and kills whoever.
    pub(crate) fn rage(
        &self,
        answers: usize,
        provider: &Provider,
        fleet: &Fleet,
        random: &mut Random,
    ) {
        let (end, ended) = (Instant::now() + LONGEST, provider.reuses());
        let goes_on = || self.log.lock().unwrap().rotations < answers;
        while goes_on() && provider.reuses() == ended && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(100 + random.below(300)));
            if self.weather != Weather::Refusals {
                fleet.crew().kill_any(random);
            }
        }
    }

    /// From now on the server behaves, and nobody is killed any more.
    pub(crate) fn end(self, provider: &Provider) -> Log {
        provider.behave(Endpoint::Token);
        for thread in self.late.lock().unwrap().drain(..) {
            thread.join().unwrap();
        }
        *self.log.lock().unwrap()
    }
}

/// Every process says its number in place of its name.
fn client(request: &Request) -> u32 {
    request.header("user-agent").unwrap().parse().unwrap()
}

fn before_acting(weather: Weather, crew: &Crew, pid: u32, random: &mut Random) -> Option<Reply> {
    let chance = random.below(100);
    match (weather, chance) {
        (Weather::Hurricane, 0..15) | (Weather::Refusals, 0..30) => Some(Reply::new(503)),
        (Weather::Hurricane, 15..20) => Some(Reply::never()),
        (Weather::Hurricane, 20..25) | (Weather::Refusals, 30..50) => Some(Reply::hangup()),
        (Weather::Hurricane, 25..32) | (Weather::Kills, 0..10) => {
            crew.kill(pid);
            None
        }
        _ => None,
    }
}

fn after_acting(
    weather: Weather,
    crew: &Crew,
    pid: u32,
    random: &mut Random,
    reply: Reply,
    late: &Mutex<Vec<JoinHandle<()>>>,
) -> Reply {
    let chance = random.below(100);
    match (weather, chance) {
        (Weather::Hurricane, 0..8) => Reply::hangup(),
        (Weather::Hurricane, 8..12) => Reply::never(),
        (Weather::Hurricane, 12..18) => reply.cut_after(20),
        // While the answer is on its way, while it is read, while it is written down.
        (Weather::Hurricane, 18..50) | (Weather::Kills, 0..30) => {
            let (crew, moment) = (crew.clone(), Duration::from_micros(random.below(20_000)));
            let kill = std::thread::spawn(move || {
                std::thread::sleep(moment);
                crew.kill(pid);
            });
            late.lock().unwrap().push(kill);
            reply
        }
        _ => reply,
    }
}

/// Numbers that are the same for the same seed (xorshift64*).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbours among seeds are to have nothing in common, and none may be zero.
        Self((seed.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of the numbers below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        drawn.checked_rem(limit).unwrap_or_default()
    }
}

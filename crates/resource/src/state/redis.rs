//! What replicas share, in Redis or Valkey.
//!
//! Every question is one command or one script, so that it is answered as a
//! whole. Records end by the database's own measure of time, an interval and
//! never a date, and an hour late: clocks that differ by less forget nothing
//! too early.
//!
//! Not responsible for how durable the database is. What it lost by a restart is
//! asked for anew (see [`SharedState::remembers_since`]); what it lost by a
//! failover to a replica that had not heard of it yet, nobody notices. Counters
//! need a database that keeps what it was told: `appendonly yes`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use countersign_jose::Timestamp;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError, Script,
    ServerErrorKind,
};

use super::remote::{Connection, Dialer, Failure, Link, Remote, unavailable};
use super::{Advance, Attempt, Claim, Issued, Key, SharedState, StateError, StateFuture};
use crate::{Clock, Error, SystemClock};

/// How much longer a record stays than it was asked to.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// Stands for [`Issued::Whenever`] in the database.
const WHENEVER: &str = "whenever";

/// A [`SharedState`] in Redis 6 or newer, or Valkey.
///
/// One connection for all requests, made when it is needed, and made anew when
/// it is lost. A database that would throw records away for want of memory
/// (`maxmemory-policy` other than `noeviction`) is refused, and so is a replica.
pub struct RedisState {
    remote: Remote,
    dialer: Dialer,
    link: Link<Line>,
    /// Since when the database is up, in seconds of the epoch.
    since: AtomicI64,
    /// Whether it writes down what it is told.
    writes: AtomicBool,
    scripts: Scripts,
}

struct Scripts {
    advance: Script,
    deny: Script,
    attempt: Script,
    grant: Script,
}

#[derive(Clone)]
struct Line {
    connection: MultiplexedConnection,
    alive: Arc<AtomicBool>,
}

impl Connection for Line {
    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

impl RedisState {
    /// The memory at this address. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`], [`Error::Tls`], [`Error::StateAddress`].
    pub fn new(remote: Remote) -> Result<Self, Error> {
        let number = remote.database.as_deref().unwrap_or("0");
        let is_plain = |parsed: u16| parsed.to_string() == number;
        if !number.parse().is_ok_and(is_plain) {
            return Err(Error::StateAddress("a database of Redis is a number"));
        }
        Ok(Self {
            dialer: remote.dialer()?,
            link: Link::new(remote.timeout),
            remote,
            // Until the database has been asked, nothing is known to be
            // remembered.
            since: AtomicI64::new(SystemClock::default().now().as_secs()),
            writes: AtomicBool::new(false),
            scripts: Scripts {
                // Numbers are compared as text, the longer one being greater:
                // those of the script's language are exact only up to 2^53.
                advance: Script::new(
                    "local kept = redis.call('GET', KEYS[1]) \
                     local to = ARGV[1] \
                     if kept and (#kept > #to or (#kept == #to and kept >= to)) then return 0 end \
                     redis.call('SET', KEYS[1], to) \
                     return 1",
                ),
                deny: Script::new(
                    "local kept = redis.call('GET', KEYS[1]) \
                     local left = redis.call('PTTL', KEYS[1]) \
                     local new = ARGV[1] \
                     if kept and (kept == 'whenever' or (new ~= 'whenever' and \
                         (#kept > #new or (#kept == #new and kept >= new)))) then new = kept end \
                     local time = ARGV[2] \
                     if left > tonumber(time) then time = left end \
                     redis.call('SET', KEYS[1], new, 'PX', time)",
                ),
                // Answers with when the window ends, if there were too many.
                attempt: Script::new(
                    "local kept = redis.call('HMGET', KEYS[1], 'count', 'until') \
                     local limit, ends, now = ARGV[1], ARGV[2], ARGV[3] \
                     if not kept[1] or tonumber(kept[2]) <= tonumber(now) then \
                         redis.call('HSET', KEYS[1], 'count', 1, 'until', ends) \
                         redis.call('PEXPIRE', KEYS[1], ARGV[4]) \
                         return false end \
                     if tonumber(kept[1]) >= tonumber(limit) then return kept[2] end \
                     redis.call('HINCRBY', KEYS[1], 'count', 1) \
                     return false",
                ),
                grant: Script::new(
                    "local kept = redis.call('GET', KEYS[1]) \
                     if kept and tonumber(kept) >= tonumber(ARGV[1]) then return end \
                     redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])",
                ),
            },
        })
    }

    /// Asks whether the database can be used, for a readiness check and for a
    /// start that wants to know.
    ///
    /// # Errors
    ///
    /// [`StateError::Unavailable`] with the reason.
    pub async fn ping(&self) -> Result<(), StateError> {
        let pong: String = self.ask(redis::cmd("PING")).await?;
        if pong == "PONG" {
            return Ok(());
        }
        Err(unavailable("the answer to PING is another"))
    }

    /// Whether counters outlive a restart of the database (`appendonly yes`), by
    /// what it said when it was last connected to. Otherwise a one-time password
    /// that was used before the restart is good after it.
    pub fn keeps_counters(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    async fn ask<T: FromRedisValue>(&self, command: Cmd) -> Result<T, StateError> {
        self.link
            .ask(
                || self.connect(),
                |mut line| async move {
                    command
                        .query_async(&mut line.connection)
                        .await
                        .map_err(failure)
                },
            )
            .await
    }

    async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        key: Vec<u8>,
        arguments: &[&str],
    ) -> Result<T, StateError> {
        let mut invocation = script.key(key);
        for argument in arguments {
            invocation.arg(*argument);
        }
        let invocation = &invocation;
        self.link
            .ask(
                || self.connect(),
                |mut line| async move {
                    invocation
                        .invoke_async(&mut line.connection)
                        .await
                        .map_err(failure)
                },
            )
            .await
    }

    async fn connect(&self) -> Result<Line, StateError> {
        let wire = self.dialer.dial().await.map_err(unavailable)?;
        let wire = self.dialer.secure(wire).await.map_err(unavailable)?;
        let number = self.remote.database.as_deref().unwrap_or("0");
        let mut info = RedisConnectionInfo::default()
            .set_db(number.parse().unwrap_or_default())
            .set_skip_set_lib_name();
        if let Some(password) = &self.remote.password {
            info = info.set_password(password.expose());
        }
        if let Some(user) = &self.remote.user {
            info = info.set_username(user);
        }
        // The time limit is the link's, which is around all of this.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, wire, config)
            .await
            .map_err(unavailable)?;
        let alive = Arc::new(AtomicBool::new(true));
        let gone = Arc::clone(&alive);
        tokio::spawn(async move {
            driver.await;
            gone.store(false, Ordering::Relaxed);
        });
        let line = Line { connection, alive };
        self.look_at(line.clone()).await?;
        Ok(line)
    }

    /// Whether this database keeps what it is told, and since when.
    async fn look_at(&self, mut line: Line) -> Result<(), StateError> {
        let text: String = redis::cmd("INFO")
            .query_async(&mut line.connection)
            .await
            .map_err(unavailable)?;
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        if field("role").is_some_and(|role| role != "master") {
            return Err(unavailable("it is a replica, which takes no writes"));
        }
        if field("maxmemory_policy").is_some_and(|policy| policy != "noeviction") {
            return Err(unavailable(
                "its maxmemory-policy is not noeviction: it would forget what it was told",
            ));
        }
        let writes = field("aof_enabled") == Some("1");
        self.writes.store(writes, Ordering::Relaxed);
        let up: u64 = field("uptime_in_seconds")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| unavailable("it does not say how long it has been up"))?;
        // Rounded to the second, so one more may be missing.
        let started = SystemClock::default().now() - Duration::from_secs(up);
        let since = (started + Duration::from_secs(1)).as_secs();
        self.since.store(since, Ordering::Relaxed);
        Ok(())
    }
}

impl SharedState for RedisState {
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        expires: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Claim> {
        Box::pin(async move {
            if expires <= now {
                return Ok(Claim::Again);
            }
            let mut command = redis::cmd("SET");
            command.arg(name("claim", key)).arg(1);
            command.arg("NX").arg("PX").arg(millis(expires, now));
            let answer: Option<String> = self.ask(command).await?;
            Ok(if answer.is_some() {
                Claim::First
            } else {
                Claim::Again
            })
        })
    }

    fn advance<'a>(&'a self, key: &'a Key, to: u64) -> StateFuture<'a, Advance> {
        Box::pin(async move {
            let to = to.to_string();
            let key = name("counter", key);
            let moved: u8 = self.run(&self.scripts.advance, key, &[&to]).await?;
            Ok(if moved == 1 {
                Advance::Moved
            } else {
                Advance::Behind
            })
        })
    }

    fn deny<'a>(
        &'a self,
        key: &'a Key,
        issued: Issued,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, ()> {
        Box::pin(async move {
            let issued = match issued {
                Issued::Whenever => WHENEVER.to_owned(),
                // Nothing was issued before 1970.
                Issued::UpTo(moment) => moment.as_secs().max(0).to_string(),
            };
            let time = millis(until, now).to_string();
            self.run(&self.scripts.deny, name("denied", key), &[&issued, &time])
                .await
        })
    }

    fn denied<'a>(
        &'a self,
        keys: &'a [Key],
        issued_at: Option<Timestamp>,
        _now: Timestamp,
    ) -> StateFuture<'a, bool> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(false);
            }
            let mut command = redis::cmd("MGET");
            for key in keys {
                command.arg(name("denied", key));
            }
            // Whole seconds, as they are kept.
            let issued_at = issued_at.map(|at| Timestamp::from_secs(at.as_secs()));
            let kept: Vec<Option<String>> = self.ask(command).await?;
            if kept.len() != keys.len() {
                return Err(unavailable("the answer has another length"));
            }
            for kept in kept.into_iter().flatten() {
                let denied = match kept.as_str() {
                    WHENEVER => Issued::Whenever,
                    moment => moment
                        .parse()
                        .map(Timestamp::from_secs)
                        .map(Issued::UpTo)
                        .map_err(|_| unavailable("a record is not one of ours"))?,
                };
                if denied.covers(issued_at) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    fn attempt<'a>(
        &'a self,
        key: &'a Key,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Attempt> {
        Box::pin(async move {
            if limit == 0 || until <= now {
                return Ok(Attempt::Exhausted { until });
            }
            let arguments = [
                limit.to_string(),
                // A fraction of a second longer, never shorter.
                (until.as_secs() + 1).to_string(),
                now.as_secs().to_string(),
                millis(until, now).to_string(),
            ];
            let [limit, ends, now, time] = &arguments;
            let arguments = [limit.as_str(), ends, now, time];
            let key = name("attempts", key);
            let ends: Option<String> = self.run(&self.scripts.attempt, key, &arguments).await?;
            let Some(ends) = ends else {
                return Ok(Attempt::Allowed);
            };
            let ends = ends
                .parse()
                .map_err(|_| unavailable("a record is not one of ours"))?;
            Ok(Attempt::Exhausted {
                until: Timestamp::from_secs(ends),
            })
        })
    }

    fn forgive<'a>(&'a self, key: &'a Key) -> StateFuture<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("DEL");
            command.arg(name("attempts", key));
            self.ask(command).await
        })
    }

    fn grant<'a>(&'a self, key: &'a Key, until: Timestamp, now: Timestamp) -> StateFuture<'a, ()> {
        Box::pin(async move {
            let time = millis(until, now).to_string();
            // Whole seconds, never longer.
            let until = until.as_secs().to_string();
            self.run(&self.scripts.grant, name("grant", key), &[&until, &time])
                .await
        })
    }

    fn granted<'a>(&'a self, key: &'a Key, now: Timestamp) -> StateFuture<'a, bool> {
        Box::pin(async move {
            let mut command = redis::cmd("GET");
            command.arg(name("grant", key));
            let until: Option<String> = self.ask(command).await?;
            let Some(until) = until else {
                return Ok(false);
            };
            let until: i64 = until
                .parse()
                .map_err(|_| unavailable("a record is not one of ours"))?;
            Ok(now < Timestamp::from_secs(until))
        })
    }

    fn remembers_since(&self) -> Option<Timestamp> {
        Some(Timestamp::from_secs(self.since.load(Ordering::Relaxed)))
    }
}

impl fmt::Debug for RedisState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisState")
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// The name of a record, which shows nothing but its kind and its namespace.
fn name(kind: &str, key: &Key) -> Vec<u8> {
    let mut name = format!("countersign:{kind}:{}:", key.namespace()).into_bytes();
    name.extend_from_slice(key.digest());
    name
}

/// How long a record has to stay.
fn millis(until: Timestamp, now: Timestamp) -> u64 {
    let time = until.since(now).saturating_add(MARGIN);
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn failure(error: RedisError) -> Failure {
    Failure {
        connection_is_lost: error.is_unrecoverable_error()
            // It has become a replica: the name may lead to another by now.
            || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly)),
        error: match error.code() {
            Some("OOM") => StateError::Full,
            _ => unavailable(error),
        },
    }
}

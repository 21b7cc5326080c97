//! A grant and its logins, as they are written down so that a daemon that comes after this one goes on.
//!
//! The refresh token is among what is written. The file is root's alone and lives in memory
//! (`state.rs` sees to both); who can read it can read the daemon as well, so sealing it with a key that
//! lies elsewhere on the same machine would keep nobody out. Without it every upgrade of the daemon would end
//! every session at the end of its token, or leave it unwatched.
//!
//! What is read is checked as if a stranger had written it.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_client::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::table::{End, Held, Login, Seat, Stage, Told, Why};
use crate::{Grant, Process, Reference, RefreshToken, SignIn};

/// The form that is written. A reader knows this one and every one before it.
const VERSION: u32 = 1;
/// More logins than this do not share a grant.
const MAX_LOGINS: usize = 1000;
/// The longest text, the token apart.
const MAX_TEXT: usize = 4096;
/// No limit is longer than this.
const MAX_SPAN: Duration = Duration::from_secs(366 * 86_400);

/// What is made room for, before anything is written: more than any record but those of a hundred logins.
const ROOM: usize = 32 * 1024;

/// Whether refresh tokens may be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// They go into a file that lives in memory.
    Keep,
    /// The file is on a disk, which would keep them beyond their time.
    Withhold,
}

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It is not what we write.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A later version of the program wrote it.
    #[error("it was written by a later version of this program (form {0})")]
    Later(u32),
}

/// What is looked at before the rest.
#[derive(Deserialize)]
struct Form {
    version: u32,
    boot_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    boot_id: String,
    id: Process,
    grant: GrantRecord,
    granted_ms: u64,
    confirmed_ms: u64,
    renewal_ms: Option<u64>,
    unanswered_ms: Option<u64>,
    end: Option<EndRecord>,
    logins: Vec<LoginRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantRecord {
    issuer: String,
    subject: String,
    name: String,
    #[serde(default)]
    sign_in: SignIn,
    account: String,
    rule: String,
    service: String,
    rhost: String,
    reference: Reference,
    granted_at_ms: i64,
    max_session_ms: u64,
    access_expires_ms: Option<i64>,
    #[serde(default, with = "countersign_oauth::secret::exposed")]
    refresh_token: Option<Secret>,
    /// There was a token, and no place to keep it.
    #[serde(default)]
    token_withheld: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndRecord {
    why: Why,
    at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginRecord {
    process: Process,
    user: String,
    /// Until when a session has to open, when none is yet.
    pending_until_ms: Option<u64>,
    opened_ms: Option<u64>,
    closed: bool,
    seat: Option<Seat>,
}

/// What a record says.
pub(crate) struct Restored {
    pub(crate) id: Process,
    pub(crate) held: Held,
    pub(crate) logins: BTreeMap<Process, Login>,
    /// Whether it could be renewed, had its token been kept.
    pub(crate) token_withheld: bool,
}

/// Writes a grant and the logins that hold it.
pub(crate) fn write<'a>(
    boot_id: &str,
    tokens: Tokens,
    id: Process,
    held: &Held,
    logins: impl Iterator<Item = (&'a Process, &'a Login)>,
) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let mut record = Record {
        version: VERSION,
        boot_id: boot_id.to_owned(),
        id,
        grant: GrantRecord::from(&held.grant),
        granted_ms: millis(held.granted),
        confirmed_ms: millis(held.confirmed),
        // A question that is under way may have been answered, and the answer be lost: it is asked again.
        renewal_ms: held.renewal.map(millis),
        unanswered_ms: held.unanswered.map(millis),
        end: held.end.as_ref().map(|end| EndRecord {
            why: end.why.clone(),
            at_ms: end.at.map(millis),
        }),
        logins: logins.map(LoginRecord::from).collect(),
    };
    if tokens == Tokens::Withhold {
        record.grant.token_withheld = record.grant.refresh_token.take().is_some();
    }
    // Room for all of it at once: a vector that grows would leave unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer(&mut *bytes, &record)?;
    Ok(bytes)
}

/// Reads a record; `None` when it is of an earlier start of the machine, whose processes are no more.
pub(crate) fn read(boot_id: &str, bytes: &[u8]) -> Result<Option<Restored>, Refused> {
    let damaged = |error: serde_json::Error| Refused::Damaged(error.to_string());
    let form: Form = serde_json::from_slice(bytes).map_err(damaged)?;
    if form.boot_id != boot_id {
        return Ok(None);
    }
    if form.version > VERSION {
        return Err(Refused::Later(form.version));
    }
    let record: Record = serde_json::from_slice(bytes).map_err(damaged)?;
    record
        .check()
        .map_err(|what| Refused::Damaged(what.to_owned()))?;
    Ok(Some(record.restore()))
}

impl Record {
    fn check(&self) -> Result<(), &'static str> {
        let grant = &self.grant;
        let sign_in = &grant.sign_in;
        let texts = [
            &grant.issuer,
            &grant.subject,
            &grant.name,
            &grant.account,
            &grant.rule,
            &grant.service,
            &grant.rhost,
        ];
        let users = self.logins.iter().map(|login| &login.user);
        if texts
            .into_iter()
            .chain(users)
            .chain(&sign_in.acr)
            .chain(&sign_in.amr)
            .any(|text| text.len() > MAX_TEXT)
        {
            return Err("a text is too long");
        }
        if self.logins.is_empty() || self.logins.len() > MAX_LOGINS {
            return Err("no login holds it, or too many");
        }
        if u128::from(grant.max_session_ms) > MAX_SPAN.as_millis() {
            return Err("it would last too long");
        }
        let mut processes: Vec<Process> = self.logins.iter().map(|l| l.process).collect();
        processes.push(self.id);
        // The first process and the kernel's are nobody's login, and no signal may go to a group.
        let is_one = |process: &Process| process.pid > 1 && i32::try_from(process.pid).is_ok();
        if !processes.iter().all(is_one) {
            return Err("a process has no possible number");
        }
        let opened = |l: &LoginRecord| l.seat.is_some() == l.opened_ms.is_some();
        let staged = |l: &LoginRecord| l.seat.is_some() != l.pending_until_ms.is_some();
        if !self.logins.iter().all(|l| opened(l) && staged(l)) {
            return Err("a login is neither granted nor open");
        }
        Ok(())
    }

    fn restore(self) -> Restored {
        let logins = self.logins.into_iter().map(|login| login.restore(self.id));
        Restored {
            id: self.id,
            token_withheld: self.grant.token_withheld,
            logins: logins.collect(),
            held: Held {
                granted: Duration::from_millis(self.granted_ms),
                confirmed: Duration::from_millis(self.confirmed_ms),
                renewal: self.renewal_ms.map(Duration::from_millis),
                asked: None,
                waiting: false,
                outdated: false,
                unanswered: self.unanswered_ms.map(Duration::from_millis),
                told: Told {
                    limit: self.end.as_ref().is_some_and(|end| end.why == Why::Limit),
                    silence: self.unanswered_ms.is_some(),
                    end: false,
                },
                end: self.end.map(|end| End {
                    why: end.why,
                    at: end.at_ms.map(Duration::from_millis),
                }),
                saved: true,
                grant: self.grant.into(),
            },
        }
    }
}

impl From<&Grant> for GrantRecord {
    fn from(grant: &Grant) -> Self {
        Self {
            issuer: grant.issuer.clone(),
            subject: grant.subject.clone(),
            name: grant.name.clone(),
            sign_in: grant.sign_in.clone(),
            account: grant.account.clone(),
            rule: grant.rule.clone(),
            service: grant.service.clone(),
            rhost: grant.rhost.clone(),
            reference: grant.reference.clone(),
            granted_at_ms: grant.granted_at.as_millis(),
            max_session_ms: millis(grant.max_session),
            access_expires_ms: grant.access_expires.map(Timestamp::as_millis),
            refresh_token: grant.refresh.as_ref().map(|token| token.0.clone()),
            token_withheld: false,
        }
    }
}

impl From<GrantRecord> for Grant {
    fn from(record: GrantRecord) -> Self {
        Self {
            issuer: record.issuer,
            subject: record.subject,
            name: record.name,
            sign_in: record.sign_in,
            account: record.account,
            rule: record.rule,
            service: record.service,
            rhost: record.rhost,
            reference: record.reference,
            granted_at: Timestamp::from_millis(record.granted_at_ms),
            max_session: Duration::from_millis(record.max_session_ms),
            access_expires: record.access_expires_ms.map(Timestamp::from_millis),
            refresh: record.refresh_token.map(RefreshToken::new),
        }
    }
}

impl From<(&Process, &Login)> for LoginRecord {
    fn from((process, login): (&Process, &Login)) -> Self {
        let pending = match login.stage {
            Stage::Granted { until } => Some(millis(until)),
            // It is late from the beginning.
            Stage::Refused { .. } => Some(0),
            _ => None,
        };
        Self {
            process: *process,
            user: login.user.clone(),
            pending_until_ms: pending,
            opened_ms: login.opened.filter(|_| login.counts()).map(millis),
            closed: matches!(login.stage, Stage::Behind { .. }),
            seat: login.seat.clone().filter(|_| login.counts()),
        }
    }
}

impl LoginRecord {
    /// One that is being ended is ended from the beginning, since the end of its grant is written down.
    fn restore(self, grant: Process) -> (Process, Login) {
        let pending = self.pending_until_ms.unwrap_or_default();
        let mut login = Login::new(self.process, &self.user, Duration::from_millis(pending));
        login.grant = grant;
        let opened = Duration::from_millis(self.opened_ms.unwrap_or_default());
        if let Some(seat) = self.seat {
            login.open(seat, opened);
        }
        if self.closed {
            login.leave(Duration::ZERO);
        }
        (self.process, login)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! The logins that are watched, as an administrator sees them.

use std::time::Duration;

use countersign_client::printable;
use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::table::{Held, Login, Stage, Table, Why};
use crate::{Process, Reference};

/// How far a login has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Signed in, and no session is open yet.
    Pending,
    /// Signed in, and refused a session.
    Refused,
    /// All is well.
    Open,
    /// Nobody can say at the moment whether it may go on.
    Unconfirmed,
    /// Access was withdrawn, and its person is only warned.
    Withdrawn,
    /// Its person is warned of the end.
    Warned,
    /// It is being ended.
    Ending,
    /// Something of it does not end.
    Stuck,
    /// Its session is closed, and processes of it go on.
    LeftBehind,
}

impl Condition {
    fn of(held: &Held, login: &Login) -> Self {
        let end = held.end.as_ref();
        match login.stage {
            Stage::Refused { .. } => Self::Refused,
            Stage::Ending { stuck: true, .. } => Self::Stuck,
            Stage::Ending { .. } => Self::Ending,
            _ if end.is_some_and(|end| end.at.is_some()) => Self::Warned,
            _ if end.is_some_and(|end| matches!(end.why, Why::Withdrawn(_))) => Self::Withdrawn,
            _ if held.told.silence => Self::Unconfirmed,
            Stage::Granted { .. } => Self::Pending,
            Stage::Behind { .. } => Self::LeftBehind,
            Stage::Open => Self::Open,
        }
    }

    /// The words for people.
    fn words(self) -> &'static str {
        match self {
            Self::Pending => "logging in",
            Self::Refused => "refused",
            Self::Open => "open",
            Self::Unconfirmed => "unconfirmed",
            Self::Withdrawn => "withdrawn",
            Self::Warned => "warned",
            Self::Ending => "ending",
            Self::Stuck => "STUCK",
            Self::LeftBehind => "left behind",
        }
    }
}

/// A login that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The reference that its person was shown.
    pub reference: Reference,
    /// The account.
    pub account: String,
    /// What the person is called.
    pub name: String,
    /// The issuer of the identity.
    pub issuer: String,
    /// The identity there.
    pub subject: String,
    /// The service.
    pub service: String,
    /// Where the person comes from; empty for a local one.
    pub rhost: String,
    /// The process that stays until the end.
    pub process: Process,
    /// Whether it was let in on the strength of another login of the same person.
    pub covered: bool,
    /// For how long its session has been open, in seconds.
    pub open_seconds: Option<u64>,
    /// How long ago the server last said that it goes on.
    pub confirmed_seconds: u64,
    /// In how many seconds it ends, whatever is renewed.
    pub ends_in_seconds: u64,
    /// How far it has come.
    pub condition: Condition,
}

/// Lists the table, the oldest first.
pub(super) fn of(table: &Table, now: Moment) -> Vec<Listed> {
    let mut listed: Vec<Listed> = table
        .logins
        .iter()
        .filter_map(|(process, login)| {
            let held = table.held.get(&login.grant)?;
            Some(row(*process, held, login, now.boot))
        })
        .collect();
    listed.sort_by_key(|row| (std::cmp::Reverse(row.open_seconds), row.process));
    listed
}

fn row(process: Process, held: &Held, login: &Login, now: Duration) -> Listed {
    let seat = login.seat.as_ref();
    let end = held.end.as_ref().and_then(|end| end.at);
    let ends = end.unwrap_or_else(|| held.limit());
    Listed {
        reference: held.grant.reference.clone(),
        account: login.user.clone(),
        name: held.grant.name.clone(),
        issuer: held.grant.issuer.clone(),
        subject: held.grant.subject.clone(),
        service: seat.map_or_else(|| held.grant.service.clone(), |seat| seat.service.clone()),
        rhost: seat.map_or_else(|| held.grant.rhost.clone(), |seat| seat.rhost.clone()),
        process,
        covered: login.grant != process,
        open_seconds: login.opened.map(|at| now.saturating_sub(at).as_secs()),
        confirmed_seconds: now.saturating_sub(held.confirmed).as_secs(),
        ends_in_seconds: ends.saturating_sub(now).as_secs(),
        condition: Condition::of(held, login),
    }
}

/// The columns and their widths; with what is between them, 79 characters.
const COLUMNS: [(&str, usize); 7] = [
    ("REF", 6),
    ("ACCOUNT", 12),
    ("PERSON", 16),
    ("FROM", 15),
    ("OPEN", 6),
    ("ENDS", 6),
    ("STATE", 12),
];

/// The table that people read, 80 columns wide at most.
pub fn as_table(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "No sessions are watched.\n".to_owned();
    }
    let mut text = line(COLUMNS.map(|(name, _)| name.to_owned()));
    for row in listed {
        text.push_str(&line([
            row.reference.to_string(),
            row.account.clone(),
            row.name.clone(),
            if row.rhost.is_empty() {
                row.service.clone()
            } else {
                row.rhost.clone()
            },
            row.open_seconds.map_or_else(|| "-".to_owned(), short),
            short(row.ends_in_seconds),
            row.condition.words().to_owned(),
        ]));
    }
    text
}

fn line(cells: [String; COLUMNS.len()]) -> String {
    let mut text = String::new();
    for ((_, width), cell) in COLUMNS.iter().zip(cells) {
        let cell = printable(&cell);
        let count = cell.chars().count();
        if count > *width {
            text.extend(cell.chars().take(width - 1));
            text.push('…');
        } else {
            text.push_str(&cell);
            text.extend(std::iter::repeat_n(' ', width - count));
        }
        text.push(' ');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// At most six characters: `45s`, `12m`, `3h20m`, `4d`.
fn short(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

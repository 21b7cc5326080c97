//! The table under a clock that moves when it is told to.

mod logins;
mod renewals;
mod settings;
mod tokens;

use super::*;
use crate::RefreshToken;
use crate::session::kin::Scope;
use crate::session::record;
use crate::session::settings::{Elsewhere, OnRevoke};
use countersign_client::{Secret, Timestamp};

const HOUR: u64 = 3600;
/// When the tests begin, since the machine started and since 1970.
const BOOT: u64 = 1000;
const WALL: i64 = 1_790_000_000;
/// The life of the tokens, and when they are renewed at the latest.
const LIFE: u64 = 600;
const RENEWAL: u64 = 400;

/// A table, its clock, and what it has wanted.
struct Desk {
    table: Table,
    now: Moment,
    acts: Vec<Act>,
}

impl Desk {
    fn new(settings: Settings) -> Self {
        Self {
            table: Table::new(settings),
            now: Moment {
                boot: Duration::from_secs(BOOT),
                wall: Timestamp::from_secs(WALL),
            },
            acts: Vec::new(),
        }
    }

    fn plain() -> Self {
        Self::new(Settings::default())
    }

    /// Writes down what is to be written, and keeps the rest to be looked at.
    fn settle(&mut self) {
        loop {
            let acts = self.table.take_acts();
            if acts.is_empty() {
                return;
            }
            for act in acts {
                if let Act::Save(id) = act {
                    self.table.saved(id, true, self.now);
                }
                self.acts.push(act);
            }
        }
    }

    /// Lets time pass, stopping wherever something is due.
    fn pass(&mut self, seconds: u64) {
        let end = self.now.boot + Duration::from_secs(seconds);
        loop {
            self.table.tick(self.now);
            self.settle();
            let next = self.table.next().filter(|next| *next <= end);
            let Some(next) = next.filter(|next| *next > self.now.boot) else {
                assert!(next.is_none(), "nothing comes of waking up at {next:?}");
                break;
            };
            self.move_to(next);
        }
        self.move_to(end);
        self.table.tick(self.now);
        self.settle();
    }

    /// Both clocks show later; nothing is told.
    fn move_to(&mut self, boot: Duration) {
        self.now.wall = self.now.wall + boot.saturating_sub(self.now.boot);
        self.now.boot = boot;
    }

    /// The machine sleeps, and wakes up.
    fn sleep(&mut self, seconds: u64) {
        self.move_to(self.now.boot + Duration::from_secs(seconds));
        self.table.tick(self.now);
        self.settle();
    }

    /// Somebody sets the time of day.
    fn set(&mut self, seconds: i64) {
        self.now.wall = Timestamp::from_secs(self.now.wall.as_secs() + seconds);
        self.table.tick(self.now);
        self.settle();
    }

    fn grant(&mut self, pid: u32, account: &str) -> Process {
        let login = process(pid);
        let grant = grant(account, self.now.wall);
        self.table.granted(login, grant, self.now);
        self.settle();
        login
    }

    /// Signs somebody in and opens a session.
    fn session(&mut self, pid: u32, account: &str) -> Process {
        let login = self.grant(pid, account);
        assert_eq!(self.account(login, account), Admission::May(login));
        assert_eq!(self.open(login, account), Admission::May(login));
        login
    }

    fn account(&mut self, login: Process, account: &str) -> Admission {
        let admission = self.table.account(login, account, "sshd", self.now);
        self.table.tick(self.now);
        self.settle();
        admission
    }

    fn open(&mut self, login: Process, account: &str) -> Admission {
        let admission = self.table.open(login, account, seat(), self.now);
        self.settle();
        admission
    }

    fn answer(&mut self, id: Process, renewed: Renewed) {
        let held = self.table.held.get(&id).map(|held| held.grant.clone());
        let asked = held.unwrap_or_else(|| grant("ada", self.now.wall));
        self.table.answered(id, asked, renewed, self.now);
        self.settle();
    }

    fn still(&mut self, id: Process) {
        let mut grant = self.table.held[&id].grant.clone();
        grant.access_expires = Some(self.now.wall + Duration::from_secs(LIFE));
        self.answer(id, Renewed::Still(Box::new(grant)));
    }

    fn leave(&mut self, login: Process) {
        self.table.leave(login, self.now);
        self.settle();
    }

    fn swept(&mut self, login: Process, monitor: bool, others: usize) {
        self.table.swept(login, Left { monitor, others }, self.now);
        self.settle();
    }

    /// What was asked, told and swept since this was last called, in short.
    fn heard(&mut self) -> Vec<String> {
        let acts = std::mem::take(&mut self.acts);
        let short = |act: Act| match act {
            Act::Ask(id) => Some(format!("renew {id}")),
            Act::Tell { login, text } => Some(format!("tell {login} {}", first_line(&text))),
            Act::Sweep { login, force } => Some(format!("{force:?} {login}").to_lowercase()),
            Act::Forget(id) => Some(format!("forget {id}")),
            Act::Save(_) | Act::Watch(_) | Act::Unwatch(_) | Act::GiveBack(_) | Act::Note(_) => {
                None
            }
        };
        let mut heard: Vec<String> = acts.into_iter().filter_map(short).collect();
        heard.dedup();
        heard
    }

    fn notes(&mut self) -> Vec<String> {
        let acts = std::mem::take(&mut self.acts);
        let note = |act| match act {
            Act::Note(event) => Some(event.message),
            _ => None,
        };
        acts.into_iter().filter_map(note).collect()
    }

    /// Throws the table away and makes another one from what was written down.
    fn restart(&mut self) {
        let before = std::mem::take(&mut self.table);
        self.table = Table::new(before.settings.clone());
        for (id, held) in &before.held {
            let logins = before.logins.iter().filter(|(_, l)| l.grant == *id);
            let bytes = record::write("boot", record::Tokens::Keep, *id, held, logins).unwrap();
            let restored = record::read("boot", &bytes).unwrap().unwrap();
            self.table.restore(restored, self.now);
        }
        self.settle();
    }
}

fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("countersign: ").unwrap_or(line)
}

fn process(pid: u32) -> Process {
    Process { pid, start_time: 7 }
}

fn seat() -> Seat {
    Seat {
        tty: "ssh".to_owned(),
        rhost: "192.0.2.7".to_owned(),
        service: "sshd".to_owned(),
        audit_session: Some(5),
        scope: None::<Scope>,
    }
}

fn grant(account: &str, now: Timestamp) -> Grant {
    Grant {
        issuer: "https://id.example".to_owned(),
        subject: format!("subject of {account}"),
        name: "Ada Lovelace".to_owned(),
        sign_in: crate::SignIn::default(),
        account: account.to_owned(),
        rule: "staff".to_owned(),
        service: "sshd".to_owned(),
        rhost: "192.0.2.7".to_owned(),
        reference: "KMPRTX".parse().unwrap(),
        granted_at: now,
        max_session: Duration::from_secs(12 * HOUR),
        access_expires: Some(now + Duration::from_secs(LIFE)),
        refresh: Some(RefreshToken::new(Secret::new("refresh-token"))),
    }
}

fn withdrawn() -> Renewed {
    Renewed::Withdrawn {
        why: "the account was disabled".to_owned(),
        refresh: None,
    }
}

fn unreachable() -> Renewed {
    Renewed::Unreachable {
        why: "timed out".to_owned(),
        refresh: None,
    }
}

/// What was heard, without what begins with `but`.
fn last_of(heard: &[String], but: &str) -> Vec<String> {
    let others = heard.iter().filter(|line| !line.starts_with(but));
    others.cloned().collect()
}

fn needs_grant() -> Settings {
    Settings {
        elsewhere: Elsewhere::NeedsGrant {
            except: vec!["emergency".to_owned()],
        },
        ..Settings::default()
    }
}

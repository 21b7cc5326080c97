//! The processes of logins: counted, told, and ended.
//!
//! A number is never enough to send a signal to: the process is held by a descriptor first, and only
//! then looked at once more. Who ended meanwhile cannot be mistaken for who has its number now.
//!
//! Not responsible for when, nor for how hard.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::kin::{self, Member};
use super::settings::Kill;
use super::table::{Force, Left, Seat};
use super::terminal;
use crate::Process;

/// How often what has just forked is looked for again within one sweep, and how long.
const PASSES: usize = 40;
const SWEEP_TIME: Duration = Duration::from_millis(150);

/// How often nobody has to be met before nobody is there: one walk can miss who runs away by forking.
const EMPTY: usize = 5;

/// What is done to one login.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) login: Process,
    pub(crate) seat: Seat,
    pub(crate) force: Force,
}

/// Who belongs to which login.
#[derive(Debug, Default)]
struct Census {
    groups: Vec<Vec<Member>>,
    /// Whether everybody could be looked at. Where not, some may be missing.
    is_sure: bool,
}

/// The processes of this machine, as far as the watch needs them.
pub(crate) trait Processes: Send + Sync {
    /// Takes hold of a process.
    fn hold(&self, process: Process) -> io::Result<OwnedFd>;

    /// By what the processes of a login are known.
    fn find_kin(&self, seat: &mut Seat, login: Process, xdg_session: &str, kill: Kill);

    /// Does to each login what is wanted, and says what is left.
    fn sweep(&self, targets: &[Target]) -> Vec<Left>;

    /// Writes on every terminal of each login.
    fn tell(&self, messages: &[(Process, Seat, String)]);
}

/// The processes that there are.
#[derive(Debug, Default)]
pub(crate) struct RealProcesses {
    /// Of logins that have neither audit session nor scope: the descendants seen so far, who would not be
    /// found any more once a parent among them is gone.
    families: Mutex<BTreeMap<Process, BTreeSet<Process>>>,
}

impl Processes for RealProcesses {
    fn hold(&self, process: Process) -> io::Result<OwnedFd> {
        let is_there = || {
            let found = Member::find(process.pid)?;
            let is_it = found.is_some_and(|member| member.process == process);
            is_it
                .then_some(())
                .ok_or(io::Error::from(io::ErrorKind::NotFound))
        };
        // Its number may be that of a thread by now, which cannot be held.
        is_there()?;
        let held = open(process.pid)?;
        is_there()?;
        Ok(held)
    }

    fn find_kin(&self, seat: &mut Seat, login: Process, xdg_session: &str, kill: Kill) {
        seat.find_kin(login, xdg_session, kill);
    }

    fn sweep(&self, targets: &[Target]) -> Vec<Left> {
        let begin = Instant::now();
        let mut census = Census::default();
        let mut last_met = 0;
        for pass in 0..PASSES {
            census = self.census(targets.iter().map(|t| (t.login, &t.seat)), |at, member| {
                if let Some(target) = targets.get(at) {
                    strike(target, member);
                }
            });
            let mut others_left = targets.iter().any(|t| t.force >= Force::Kill) && pass < EMPTY;
            for (target, members) in targets.iter().zip(&census.groups) {
                let others = members.iter().filter(|m| m.process != target.login);
                let is_killed = target.force >= Force::Kill;
                if is_killed && others.clone().next().is_some() {
                    others_left = true;
                    last_met = pass;
                }
                finish(target, others.count(), pass > 0);
            }
            // Who forks faster than one pass takes is met by one of the next.
            others_left |= last_met > 0 && pass < last_met + EMPTY;
            if !others_left || begin.elapsed() > SWEEP_TIME {
                break;
            }
        }
        let left = targets.iter().zip(&census.groups);
        left.map(|(target, members)| remaining(target, members, census.is_sure))
            .collect()
    }

    fn tell(&self, messages: &[(Process, Seat, String)]) {
        let logins = messages.iter().map(|(login, seat, _)| (*login, seat));
        let census = self.census(logins, |_, _| {});
        for ((_, _, text), members) in messages.iter().zip(&census.groups) {
            let terminals = members.iter().map(|member| member.terminal);
            let terminals = terminals.filter(|device| *device != 0).collect();
            terminal::write(&terminals, text);
        }
    }
}

impl RealProcesses {
    /// One walk over all processes: which belong to which login. `each` hears of every one at once,
    /// before it can do much more.
    fn census<'a>(
        &self,
        logins: impl Iterator<Item = (Process, &'a Seat)>,
        mut each: impl FnMut(usize, Member),
    ) -> Census {
        let mut is_sure = true;
        let logins: Vec<(Process, &Seat)> = logins.collect();
        let mut groups = vec![Vec::new(); logins.len()];
        let mut by_audit = BTreeMap::new();
        let mut families = Vec::new();
        let own = std::process::id();
        let mut take = |at: usize, member: Member, groups: &mut Vec<Vec<Member>>| {
            let group: Option<&mut Vec<Member>> = groups.get_mut(at);
            let Some(group) = group.filter(|_| member.lives) else {
                return;
            };
            let is_ours = member.process.pid == own || member.process.pid == 1;
            if !is_ours && group.iter().all(|known| known.process != member.process) {
                group.push(member);
                each(at, member);
            }
        };
        for (at, (login, seat)) in logins.iter().enumerate() {
            let audit = seat.usable_audit_session();
            if let Some(id) = audit {
                by_audit.entry(id).or_insert_with(Vec::new).push(at);
            }
            if let Some(scope) = &seat.scope {
                for member in scope.pids().into_iter().filter_map(Member::of) {
                    take(at, member, &mut groups);
                }
            }
            if audit.is_none() && seat.scope.is_none() {
                families.push((at, *login));
            }
            if let Some(member) = Member::of(login.pid).filter(|m| m.process == *login) {
                take(at, member, &mut groups);
            }
        }
        let everybody = if by_audit.is_empty() && families.is_empty() {
            Vec::new()
        } else {
            kin::pids().unwrap_or_else(|_| {
                is_sure = false;
                Vec::new()
            })
        };
        let mut sure = |found: io::Result<Option<_>>| {
            is_sure &= found.is_ok();
            found.ok().flatten()
        };
        for pid in everybody.iter().filter(|_| !by_audit.is_empty()) {
            let id = match kin::find_audit_session(*pid) {
                Ok(id) => id,
                Err(error) => sure(Err(error)).and(None),
            };
            let Some(places) = id.and_then(|id| by_audit.get(&id)) else {
                continue;
            };
            if let Some(member) = sure(Member::find(*pid)) {
                for at in places {
                    take(*at, member, &mut groups);
                }
            }
        }
        if !families.is_empty() {
            let found = everybody.iter().map(|pid| sure(Member::find(*pid)));
            let everybody: Vec<Member> = found.flatten().collect();
            for (at, login) in families {
                for member in self.family(login, &everybody) {
                    take(at, member, &mut groups);
                }
            }
        }
        Census { groups, is_sure }
    }

    /// The monitor's children and theirs, and those of them that were seen before.
    fn family(&self, login: Process, everybody: &[Member]) -> Vec<Member> {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let known = families.entry(login).or_default();
        known.insert(login);
        known.retain(|process| everybody.iter().any(|m| m.process == *process));
        loop {
            let parents: BTreeSet<u32> = known.iter().map(|process| process.pid).collect();
            let children = everybody.iter().filter(|m| parents.contains(&m.parent));
            let before = known.len();
            known.extend(children.map(|m| m.process));
            if known.len() == before {
                break;
            }
        }
        let found = everybody.iter().filter(|m| known.contains(&m.process));
        let found = found.copied().collect();
        if known.is_empty() {
            families.remove(&login);
        }
        found
    }
}

/// Who of them is still there once all is done. Who cannot be looked at is.
fn remaining(target: &Target, members: &[Member], is_sure: bool) -> Left {
    let mut left = Left {
        monitor: false,
        others: usize::from(!is_sure),
    };
    for member in members {
        let is_there = match Member::find(member.process.pid) {
            Ok(now) => now.is_some_and(|now| now.process == member.process && now.lives),
            Err(_) => true,
        };
        if is_there {
            if member.process == target.login {
                left.monitor = true;
            } else {
                left.others += 1;
            }
        }
    }
    left
}

/// Sends one process of a login what is due to it.
fn strike(target: &Target, member: Member) {
    let is_monitor = member.process == target.login;
    let signals: &[Signal] = match target.force {
        Force::Leave | Force::Ask if is_monitor => &[Signal::TERM],
        Force::Look | Force::Leave => &[],
        Force::Kill | Force::KillAll if is_monitor => &[],
        // A shell passes over TERM and heeds HUP; who is stopped heeds neither before CONT.
        Force::Ask => &[Signal::TERM, Signal::HUP, Signal::CONT],
        Force::Kill | Force::KillAll => &[Signal::KILL],
    };
    if signals.is_empty() {
        return;
    }
    let Ok(held) = open(member.process.pid) else {
        return;
    };
    // From here on the number is its own, if it was still there to be held.
    let belongs = is_monitor || target.seat.owns(member.process.pid).unwrap_or(true);
    if belongs && member.process.is_alive() {
        for signal in signals {
            // It may have ended by now.
            let _ = pidfd_send_signal(&held, *signal);
        }
    }
}

/// What is done to a login as a whole, once its processes were met one by one. The monitor comes last.
fn finish(target: &Target, others: usize, is_again: bool) {
    if target.force < Force::Kill {
        return;
    }
    let is_gone = !target.login.is_alive();
    let comes_last = target.force == Force::KillAll && (others == 0 || is_again);
    if let Some(scope) = target.seat.scope.as_ref().filter(|_| is_gone || comes_last) {
        scope.kill();
    }
    if comes_last
        && let Ok(held) = open(target.login.pid)
        && target.login.is_alive()
    {
        let _ = pidfd_send_signal(&held, Signal::KILL);
    }
}

fn open(pid: u32) -> io::Result<OwnedFd> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(number, PidfdFlags::empty())?)
}

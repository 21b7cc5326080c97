//! Many child processes at once: started, released together, killed one by one, and heard in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::child::{Plan, WORD};
use crate::storm::Random;

/// How long all of them may take after they were released: more than any wait in the client.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of a process.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) pid: u32,
    pub(crate) tokens: Vec<String>,
    pub(crate) failures: Vec<String>,
    /// Whether all its threads ended with a token, of those that go on until they do.
    pub(crate) last: Option<bool>,
}

/// Those that can be killed: whoever kills one knows that its number is still its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crew(Arc<Mutex<Members>>);

#[derive(Debug, Default)]
struct Members {
    living: BTreeMap<u32, Child>,
    killed: BTreeSet<u32>,
    /// How many may be killed: some are to see how it ends.
    dispensable: usize,
}

impl Crew {
    /// Kills a process without warning, if it is one of ours and not all the others are dead.
    pub(crate) fn kill(&self, pid: u32) {
        let mut members = self.0.lock().unwrap();
        if members.killed.len() >= members.dispensable || members.killed.contains(&pid) {
            return;
        }
        if let Some(child) = members.living.get_mut(&pid)
            && matches!(child.try_wait(), Ok(None))
        {
            child.kill().unwrap();
            members.killed.insert(pid);
        }
    }

    pub(crate) fn kill_any(&self, random: &mut Random) {
        let pids: Vec<u32> = self.0.lock().unwrap().living.keys().copied().collect();
        let chosen = random.below(pids.len() as u64);
        if let Some(pid) = pids.get(usize::try_from(chosen).unwrap()) {
            self.kill(*pid);
        }
    }
}

pub(crate) struct Fleet {
    crew: Crew,
    stdins: Vec<ChildStdin>,
    stdouts: Vec<(u32, BufReader<ChildStdout>)>,
}

impl Fleet {
    /// Starts so many, and waits until all of them are ready.
    pub(crate) fn start(plan: &Plan, count: usize) -> Self {
        let mut fleet = Self {
            crew: Crew::default(),
            stdins: Vec::new(),
            stdouts: Vec::new(),
        };
        fleet.crew.0.lock().unwrap().dispensable = count / 2;
        for _ in 0..count {
            let mut child = plan
                .command()
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let pid = child.id();
            fleet.stdins.push(child.stdin.take().unwrap());
            let stdout = BufReader::new(child.stdout.take().unwrap());
            fleet.stdouts.push((pid, stdout));
            let mut members = fleet.crew.0.lock().unwrap();
            members.living.insert(pid, child);
        }
        for (pid, stdout) in &mut fleet.stdouts {
            let ready = stdout
                .lines()
                .any(|line| line.unwrap().ends_with("race: ready"));
            assert!(ready, "process {pid} ended before it was ready");
        }
        fleet
    }

    pub(crate) fn crew(&self) -> Crew {
        self.crew.clone()
    }

    /// Closes the standard input of all of them.
    pub(crate) fn release(&mut self) {
        self.stdins.clear();
    }

    pub(crate) fn killed(&self) -> BTreeSet<u32> {
        self.crew.0.lock().unwrap().killed.clone()
    }

    /// Waits for the end of all of them.
    pub(crate) fn finish(mut self) -> Vec<Report> {
        let end = Instant::now() + PATIENCE;
        let mut reports = Vec::new();
        for (pid, stdout) in self.stdouts.drain(..) {
            loop {
                let ended = {
                    let mut members = self.crew.0.lock().unwrap();
                    let child = members.living.get_mut(&pid).unwrap();
                    child.try_wait().unwrap()
                };
                if ended.is_some() {
                    break;
                }
                assert!(Instant::now() < end, "process {pid} does not end");
                std::thread::sleep(Duration::from_millis(5));
            }
            // What they say fits into a pipe, so none of them waited for us to listen.
            let mut report = Report {
                pid,
                ..Report::default()
            };
            for line in stdout.lines() {
                report.hear(&line.unwrap());
            }
            reports.push(report);
        }
        reports
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let mut members = self.crew.0.lock().unwrap();
        for child in members.living.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Report {
    fn hear(&mut self, line: &str) {
        let Some((_, said)) = line.split_once(WORD) else {
            return;
        };
        if let Some(token) = said.strip_prefix("token ") {
            self.tokens.push(token.to_owned());
        } else if let Some(last) = said.strip_prefix("last ") {
            self.last = Some(last == "true");
        } else {
            self.failures.push(said.to_owned());
        }
    }
}

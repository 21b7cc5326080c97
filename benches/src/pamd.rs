//! What the daemon of SSH hosts holds and spends: with nothing to do, while people are waited for, and
//! while they are logged in. And how long somebody waits for the prompt, beside one question to the
//! provider.
//!
//! The provider is scripted, and runs here; only the daemon's two processes are counted.

use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{fs, thread};

use countersign_pam_wire::{
    Incoming, Line, Login, Opened, Process, Text, ToDaemon, ToModule, Typed, Verdict,
};
use countersign_testkit::{Endpoint, Program, Provider, Running};
use tempfile::TempDir;

use crate::load::Connection;
use crate::process::memory_kib;
use crate::report::{self, Row, Target, median};

/// People at a time who are waited for.
const WAITING: usize = 64;
/// Sign-ins at a time on the way to sessions.
const BATCH: usize = 50;
/// What no answer takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts the real daemon and plays the module.
pub(crate) fn measure(binaries: &Path, rounds: usize, time: Duration) -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    // Installed, as every other program that is measured.
    let program = directory.path().join("countersign-pamd");
    fs::copy(binaries.join("countersign-pamd"), &program)?;
    let idle = idle(&program)?;
    let (prompt, trip) = prompt(&program, rounds)?;
    let share = waiting(&program, time)?;
    let session = sessions(&program, rounds.div_ceil(20).max(2))?;

    report::title("the daemon of SSH hosts, beside a scripted provider on loopback");
    let mebibytes = |name, kibibytes| Row::mebibytes(name, kibibytes, Target::AtMost(6.0));
    report::targets(&[
        mebibytes("idle memory, the worker has gone", idle.alone),
        mebibytes("memory of the network worker before", idle.worker),
        Row::millis(
            "to the prompt, beyond one question to the provider",
            prompt.saturating_sub(trip),
            Target::AtMost(15.0),
        ),
        Row::percent(
            "of a core for 64 people who are waited for",
            share * 100.0,
            Target::AtMost(2.0),
        ),
        Row::bytes(
            "memory of a session that is watched",
            session,
            Target::AtMost(50.0 * 1024.0),
        ),
    ]);
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Idle {
    alone: u64,
    worker: u64,
}

/// A daemon that has just started, and the same when its worker has gone.
fn idle(program: &Path) -> io::Result<Idle> {
    let daemon = Daemon::start(program, &["--worker-idle", "2"])?;
    daemon.provider_is_known()?;
    let worker = memory_kib(daemon.worker()?, "VmRSS")?;
    let begun = Instant::now();
    while !daemon.children()?.is_empty() {
        in_time(begun)?;
    }
    let alone = memory_kib(daemon.running.id(), "VmRSS")?;
    Ok(Idle { alone, worker })
}

/// The medians of the time to the prompt, and of one question like the daemon's to the provider.
fn prompt(program: &Path, rounds: usize) -> io::Result<(Duration, Duration)> {
    let daemon = Daemon::start(program, &[])?;
    daemon.provider_is_known()?;
    let address = (Ipv4Addr::LOCALHOST, daemon.provider.server().port());
    let mut asking = Connection::open(address.into())?;
    let (mut prompts, mut trips) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let monitor = Monitor::start()?;
        let login = daemon.login(monitor.0.id(), round)?;
        let mut module = Module::connect(&daemon)?;
        let begun = Instant::now();
        module.say(&ToDaemon::Begin(login))?;
        module.prompt()?;
        let prompt = begun.elapsed();
        let begun = Instant::now();
        let form = "client_id=ssh&scope=openid%20profile%20email%20offline_access";
        let path = Endpoint::DeviceAuthorization.path();
        let answer = asking.post(path, form)?;
        if answer.status != 200 {
            return Err(io::Error::other("the provider begins no sign-in"));
        }
        // The first opens what the others find open.
        if round > 0 {
            prompts.push(prompt.as_secs_f64());
            trips.push(begun.elapsed().as_secs_f64());
        }
    }
    let middle = |figures| Duration::from_secs_f64(median(figures));
    Ok((middle(prompts), middle(trips)))
}

/// The share of a core while nobody of many has answered.
fn waiting(program: &Path, time: Duration) -> io::Result<f64> {
    let daemon = Daemon::start(program, &[])?;
    daemon.provider.pending_polls(usize::MAX);
    // As RFC 8628 has it where the provider says nothing.
    daemon.provider.edit(Endpoint::DeviceAuthorization, |body| {
        if let Some(members) = body.as_object_mut() {
            members.insert("interval".to_owned(), 5.into());
        }
    });
    daemon.provider_is_known()?;
    let monitors = (0..WAITING)
        .map(|_| Monitor::start())
        .collect::<io::Result<Vec<_>>>()?;
    let mut modules = daemon.begin(&monitors)?;
    for module in &mut modules {
        module.prompt()?;
    }
    let worker = daemon.worker()?;
    let spent = || -> io::Result<f64> { Ok(seconds(daemon.running.id())? + seconds(worker)?) };
    // Whole rounds of polling, so that no more and no fewer polls are in it than their share.
    let time = Duration::from_secs(time.as_secs().next_multiple_of(5).max(5));
    thread::sleep(Duration::from_secs(1));
    let (before, begun) = (spent()?, Instant::now());
    thread::sleep(time);
    Ok((spent()? - before) / begun.elapsed().as_secs_f64())
}

/// What the daemon's processes hold more with a session, in bytes.
fn sessions(program: &Path, batches: usize) -> io::Result<f64> {
    let daemon = Daemon::start(program, &[])?;
    daemon.provider_is_known()?;
    // What as many sign-ins at a time leave behind, is there before.
    for monitor in daemon.sign_in(BATCH)? {
        Module::connect(&daemon)?.ends_well(&ToDaemon::Close {
            monitor: process(monitor.0.id())?,
        })?;
    }
    let held = || -> io::Result<u64> {
        let daemon_itself = memory_kib(daemon.running.id(), "VmRSS")?;
        Ok(daemon_itself + memory_kib(daemon.worker()?, "VmRSS")?)
    };
    let before = held()?;
    let people = (0..batches)
        .map(|_| daemon.sign_in(BATCH))
        .collect::<io::Result<Vec<_>>>()?;
    let more = held()?.saturating_sub(before) * 1024;
    #[expect(clippy::cast_precision_loss, reason = "memory sizes fit")]
    let each = more as f64 / (people.len() * BATCH) as f64;
    Ok(each)
}

/// A daemon and its provider. Both end when dropped.
struct Daemon {
    running: Running,
    provider: Provider,
    directory: TempDir,
    account: String,
}

impl Daemon {
    fn start(program: &Path, options: &[&str]) -> io::Result<Self> {
        let provider = Provider::start();
        let directory = tempfile::tempdir()?;
        let account = Program::new("id").arg("-un").run().expect_code(0);
        let account = account.stdout.trim().to_owned();
        let at = |name: &str| directory.path().join(name);
        let config = format!(
            "issuer = {:?}\nclient_id = \"ssh\"\nworker_user = \"nobody\"\nmin_uid = 0\n\
             allow_root = true\n[[rule]]\naccounts = [{account:?}]\nsub = \"ada\"\n\
             [limits]\ntotal = 256\nper_rhost = 256\nper_minute = 1000\n",
            provider.issuer()
        );
        fs::write(at("pam.toml"), config)?;
        let running = Program::new(program)
            .args(["run", "--log-stderr", "--config"])
            .arg(at("pam.toml"))
            .arg("--socket")
            .arg(at("pam.sock"))
            .arg("--control")
            .arg(at("control.sock"))
            .arg("--state")
            .arg(at("sessions"))
            .args(options)
            .limit(Duration::from_secs(300))
            .start();
        let begun = Instant::now();
        while UnixStream::connect(at("pam.sock")).is_err() {
            in_time(begun)?;
        }
        Ok(Self {
            running,
            provider,
            directory,
            account,
        })
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("pam.sock")
    }

    /// Waits until the worker has asked the provider about itself, and is done with the answer.
    fn provider_is_known(&self) -> io::Result<()> {
        let begun = Instant::now();
        while self.provider.requests(Endpoint::Jwks).is_empty() {
            in_time(begun)?;
        }
        thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    /// Processes that its threads have started.
    fn children(&self) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.running.id()))? {
            // A thread may have ended since.
            let text = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            found.extend(
                text.split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        Ok(found)
    }

    fn worker(&self) -> io::Result<u32> {
        let children = self.children()?;
        let worker = children.first().copied();
        worker.ok_or_else(|| io::Error::other("there is no network worker"))
    }

    /// A login of a process, from an address of its own.
    fn login(&self, monitor: u32, number: usize) -> io::Result<Login> {
        let address = format!("10.0.{}.{}", number / 250, number % 250 + 1);
        Ok(Login {
            service: Line::clean("sshd"),
            user: Line::clean(&self.account),
            ruser: Line::default(),
            rhost: Line::clean(&address),
            tty: Line::clean("ssh"),
            ssh_connection: Line::clean(&format!("{address} 50000 192.0.2.1 22")),
            auth_info: Text::default(),
            monitor: process(monitor)?,
        })
    }

    /// A sign-in begins for each.
    fn begin(&self, monitors: &[Monitor]) -> io::Result<Vec<Module>> {
        let begin = |(number, monitor): (usize, &Monitor)| {
            let mut module = Module::connect(self)?;
            let login = self.login(monitor.0.id(), number)?;
            module.say(&ToDaemon::Begin(login))?;
            Ok(module)
        };
        monitors.iter().enumerate().map(begin).collect()
    }

    /// People sign in at the same time, and their sessions open.
    fn sign_in(&self, count: usize) -> io::Result<Vec<Monitor>> {
        let monitors = (0..count)
            .map(|_| Monitor::start())
            .collect::<io::Result<Vec<_>>>()?;
        let mut modules = self.begin(&monitors)?;
        for module in &mut modules {
            module.prompt()?;
            module.say(&ToDaemon::Answer(Typed::clean("")))?;
        }
        for module in &mut modules {
            module.end()?;
        }
        for (number, monitor) in monitors.iter().enumerate() {
            Module::connect(self)?.ends_well(&ToDaemon::Open(Opened {
                login: self.login(monitor.0.id(), number)?,
                audit_session: None,
                xdg_session: Line::default(),
            }))?;
        }
        Ok(monitors)
    }
}

/// A process that does nothing: sshd's monitor of a connection.
struct Monitor(Child);

impl Monitor {
    fn start() -> io::Result<Self> {
        Command::new("sleep").arg("300").spawn().map(Self)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plays the module on one connection.
struct Module {
    stream: UnixStream,
    incoming: Incoming<ToModule>,
}

impl Module {
    fn connect(daemon: &Daemon) -> io::Result<Self> {
        let stream = UnixStream::connect(daemon.socket())?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self {
            stream,
            incoming: Incoming::default(),
        })
    }

    fn say(&mut self, message: &ToDaemon) -> io::Result<()> {
        let encoded = message.encode().map_err(io::Error::other)?;
        self.stream.write_all(encoded.expose())
    }

    fn next(&mut self) -> io::Result<ToModule> {
        let next = self.incoming.receive_from(&mut self.stream);
        let next = next.map_err(io::Error::other)?;
        next.ok_or_else(|| io::Error::other("the daemon has hung up"))
    }

    fn prompt(&mut self) -> io::Result<()> {
        match self.next()? {
            ToModule::Prompt { .. } => Ok(()),
            other => Err(io::Error::other(format!("no prompt but {other:?}"))),
        }
    }

    /// Presses Enter at every prompt that still comes, until somebody is in.
    fn end(&mut self) -> io::Result<()> {
        loop {
            match self.next()? {
                ToModule::Prompt { .. } => self.say(&ToDaemon::Answer(Typed::clean("")))?,
                ToModule::Done {
                    verdict: Verdict::Success,
                    ..
                } => return Ok(()),
                ToModule::Working | ToModule::Info { .. } => {}
                other => return Err(io::Error::other(format!("not in: {other:?}"))),
            }
        }
    }

    /// A hook that asks nothing.
    fn ends_well(&mut self, message: &ToDaemon) -> io::Result<()> {
        self.say(message)?;
        self.end()
    }
}

fn process(pid: u32) -> io::Result<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    Process::from_stat(&stat).map_err(io::Error::other)
}

/// The processor time that a process has spent, all its threads together.
fn seconds(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses, and may have anything in it.
    let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
    // Fields 14 and 15 of proc(5), the third of which is the first here.
    let ticks = rest.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    // Linux has counted in hundredths for as long as programs have looked.
    Ok(f64::from(ticks) / 100.0)
}

/// A pause between two looks, unless it has been too many.
fn in_time(begun: Instant) -> io::Result<()> {
    if begun.elapsed() > LIMIT {
        return Err(io::Error::other("what was awaited did not come"));
    }
    thread::sleep(Duration::from_millis(5));
    Ok(())
}

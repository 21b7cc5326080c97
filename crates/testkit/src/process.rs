//! Running a real program so that a test cannot hang: a time limit, captured output, and nothing
//! left behind.
//!
//! Not responsible for: terminals ([`Program::at_terminal`] leads there). Both streams are pipes, as for
//! a script.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Home, Terminal};

const DEFAULT_LIMIT: Duration = Duration::from_secs(60);
/// How often a running program is asked whether it has ended.
const GLANCE: Duration = Duration::from_millis(2);

/// A program about to be run.
///
/// It starts from an empty environment (`PATH` and the C.UTF-8 locale apart), so that a test does
/// not depend on the machine it runs on.
#[derive(Debug)]
pub struct Program {
    name: OsString,
    command: Command,
    stdin: Stdin,
    limit: Duration,
}

#[derive(Debug)]
enum Stdin {
    /// Nothing to read.
    Empty,
    /// These bytes and no more.
    Given(Vec<u8>),
    /// What `Running::tell` says, as long as it runs.
    Open,
}

impl Program {
    /// A program by its path, or by its name on the `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let name = program.as_ref().to_owned();
        // Whoever runs the tests in the background has everything they start ignore Ctrl-C.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=HUP,INT,QUIT").arg(&name);
        command.env_clear().env("LC_ALL", "C.UTF-8");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        Self {
            name,
            command,
            stdin: Stdin::Empty,
            limit: DEFAULT_LIMIT,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Leads the program to a throw-away home.
    #[must_use]
    pub fn home(mut self, home: &Home) -> Self {
        self.command.envs(home.environment());
        self
    }

    /// The working directory.
    #[must_use]
    pub fn dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// What the program reads; without it, standard input is empty.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Given(bytes.into());
        self
    }

    /// Leaves standard input open, for `Running::tell`.
    #[must_use]
    pub fn listening(mut self) -> Self {
        self.stdin = Stdin::Open;
        self
    }

    /// How long the program may run in all; 60 seconds unless said otherwise.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it does not start, or is not done within the limit (it is killed then, and what it
    /// printed is in the panic).
    pub fn run(self) -> Finished {
        self.start().finish()
    }

    /// Starts the program at a terminal of its own, where a person sits. What was said of its standard
    /// input does not count.
    ///
    /// # Panics
    /// When it does not start.
    pub fn at_terminal(self) -> Terminal {
        Terminal::start(self.name, self.command, self.limit)
    }

    /// Starts the program and returns at once.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(mut self) -> Running {
        let name = self.name;
        self.command
            .stdin(match self.stdin {
                Stdin::Empty => Stdio::null(),
                Stdin::Given(_) | Stdin::Open => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group, so that whatever it starts can be ended with it.
            .process_group(0);
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{} does not start: {error}", name.display()),
        };
        let mut stdin = child.stdin.take();
        if let Stdin::Given(bytes) = self.stdin {
            let mut pipe = stdin.take().expect("stdin was asked for");
            thread::spawn(move || {
                // A program may end without having read everything.
                let _ = pipe.write_all(&bytes);
            });
        }
        let stdout = Capture::of(child.stdout.take().expect("stdout was asked for"));
        let stderr = Capture::of(child.stderr.take().expect("stderr was asked for"));
        Running {
            name,
            child,
            stdin,
            stdout,
            stderr,
            started: Instant::now(),
            limit: self.limit,
        }
    }
}

/// A program that runs. It is killed, with everything it started, when the value is dropped.
#[derive(Debug)]
pub struct Running {
    name: OsString,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Capture,
    stderr: Capture,
    started: Instant,
    limit: Duration,
}

impl Running {
    /// What it has printed on standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The program's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input, which must have been left open (`Program::listening`).
    ///
    /// # Panics
    /// When it does not listen.
    pub fn tell(&self, line: &str) {
        let Some(mut pipe) = self.stdin.as_ref() else {
            panic!("{} was not started listening", self.name.display());
        };
        if let Err(error) = pipe.write_all(format!("{line}\n").as_bytes()) {
            panic!("does not listen any more: {error}\n{}", self.report());
        }
    }

    /// Waits for something to appear on standard output: `find` looks at everything printed so far.
    ///
    /// # Panics
    /// When the program ends, or its time is over, before `find` returns something.
    pub fn wait_for_stdout<T>(&self, find: impl FnMut(&str) -> Option<T>) -> T {
        self.wait_for(&self.stdout, "stdout", find)
    }

    /// As `wait_for_stdout`, for standard error.
    ///
    /// # Panics
    /// When the program ends, or its time is over, before `find` returns something.
    pub fn wait_for_stderr<T>(&self, find: impl FnMut(&str) -> Option<T>) -> T {
        self.wait_for(&self.stderr, "stderr", find)
    }

    fn wait_for<T>(&self, stream: &Capture, label: &str, find: impl FnMut(&str) -> Option<T>) -> T {
        let left = self.limit.saturating_sub(self.started.elapsed());
        match stream.wait_for(left, find) {
            Some(found) => found,
            None => panic!(
                "what was awaited on {label} did not come\n{}",
                self.report()
            ),
        }
    }

    /// Sends a signal to the program alone, as a terminal's Ctrl-C would to the foreground.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) {
        if matches!(self.child.try_wait(), Ok(None)) {
            rustix::process::kill_process(self.pid(), signal).expect("the program is ours");
        }
    }

    /// Interrupts the program (SIGINT).
    pub fn interrupt(&mut self) {
        self.signal(Signal::INT);
    }

    /// Ends the program without warning (SIGKILL), with everything it started.
    pub fn kill(&mut self) {
        // Only while it has not been waited for: afterwards the number may be someone else's.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// When its time is over first; it is killed then.
    pub fn finish(mut self) -> Finished {
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.started.elapsed() < self.limit => thread::sleep(GLANCE),
                Ok(None) => {
                    self.kill();
                    panic!("not done after {:?}\n{}", self.limit, self.report());
                }
                Err(error) => panic!("cannot wait for {}: {error}", self.name.display()),
            }
        };
        let elapsed = self.started.elapsed();
        // What the program started may hold its streams open for ever.
        let patience = Duration::from_secs(2);
        Finished {
            status,
            stdout: self.stdout.finish(patience),
            stderr: self.stderr.finish(patience),
            elapsed,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn report(&self) -> String {
        format!(
            "program: {}\n--- stdout\n{}\n--- stderr\n{}",
            self.name.display(),
            self.stdout(),
            self.stderr()
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program that has ended, and what it left.
#[derive(Debug)]
pub struct Finished {
    status: ExitStatus,
    /// Everything it printed on standard output.
    pub stdout: String,
    /// Everything it printed on standard error.
    pub stderr: String,
    /// From its start to its end.
    pub elapsed: Duration,
}

impl Finished {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Returns itself when the exit code is this one.
    ///
    /// # Panics
    /// When it is another, with both streams in the message.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "the check alone is a use")]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(
            self.code() == Some(code),
            "expected exit code {code}, got {:?} (signal {:?})\n--- stdout\n{}\n--- stderr\n{}",
            self.code(),
            self.signal(),
            self.stdout,
            self.stderr
        );
        self
    }
}

/// One output stream, read by its own thread so that the program never blocks on a full pipe.
#[derive(Debug)]
struct Capture {
    state: Arc<(Mutex<Captured>, Condvar)>,
    reader: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Captured {
    bytes: Vec<u8>,
    ended: bool,
}

impl Capture {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let state = Arc::new((Mutex::new(Captured::default()), Condvar::new()));
        let reader = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let mut buffer = [0_u8; 8192];
                loop {
                    let count = pipe.read(&mut buffer).unwrap_or(0);
                    let mut captured = state.0.lock().unwrap_or_else(PoisonError::into_inner);
                    captured.bytes.extend(buffer.iter().take(count));
                    captured.ended = count == 0;
                    state.1.notify_all();
                    if count == 0 {
                        return;
                    }
                }
            }
        });
        Self { state, reader }
    }

    fn lock(&self) -> MutexGuard<'_, Captured> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    fn wait_for<T>(&self, limit: Duration, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + limit;
        let mut captured = self.lock();
        loop {
            if let Some(found) = find(&String::from_utf8_lossy(&captured.bytes)) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if captured.ended || left.is_zero() {
                return None;
            }
            captured = self
                .state
                .1
                .wait_timeout(captured, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn finish(&self, patience: Duration) -> String {
        if !self.reader.is_finished() {
            let (guard, _) = self
                .state
                .1
                .wait_timeout_while(self.lock(), patience, |captured| !captured.ended)
                .unwrap_or_else(PoisonError::into_inner);
            drop(guard);
        }
        self.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn both_streams_and_the_exit_code_are_kept() {
        let done = shell("cat; echo bad >&2; exit 3")
            .stdin("good\n")
            .run()
            .expect_code(3);
        assert_eq!(
            (done.stdout.as_str(), done.stderr.as_str()),
            ("good\n", "bad\n")
        );
    }

    #[test]
    #[should_panic(expected = "not done after")]
    fn a_program_that_does_not_end_is_killed_at_its_limit() {
        shell("exec sleep 3600")
            .limit(Duration::from_millis(50))
            .run();
    }

    #[test]
    fn a_running_program_can_be_watched_and_interrupted() {
        let mut running = shell("trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done")
            .limit(Duration::from_secs(20))
            .start();
        running.wait_for_stdout(|text| text.contains("ready").then_some(()));
        running.interrupt();
        running.finish().expect_code(9);
    }

    #[test]
    fn what_a_program_started_is_killed_with_it() {
        let mut running = shell("sleep 3600 & echo $!; wait").start();
        let line = running.wait_for_stdout(|text| text.lines().next().map(str::to_owned));
        running.kill();
        // The stream ends only when the last one who holds it is gone.
        running.stdout.finish(Duration::from_secs(10));
        assert!(
            running.stdout.lock().ended,
            "process {line} still holds the stream"
        );
    }

    #[test]
    fn a_listening_program_is_told_line_by_line() {
        let running = shell("read a; echo got $a; read b; echo got $b")
            .listening()
            .start();
        running.tell("one");
        running.wait_for_stdout(|text| text.contains("got one").then_some(()));
        running.tell("two");
        assert_eq!(running.finish().expect_code(0).stdout, "got one\ngot two\n");
    }

    #[test]
    fn the_environment_of_the_test_does_not_reach_the_program() {
        let done = shell("echo ${CARGO_MANIFEST_DIR:-nothing}").run();
        assert_eq!(done.stdout, "nothing\n");
    }

    #[test]
    fn a_home_leads_to_its_own_directories_and_goes_away() {
        let home = Home::new();
        let done = shell("mkdir \"$COUNTERSIGN_STATE_DIR\" && echo $HOME")
            .home(&home)
            .run();
        assert_eq!(done.stdout.trim_end(), home.path().to_str().unwrap());
        assert!(home.state_dir().is_dir());
        let path = home.path().to_owned();
        drop(home);
        assert!(!path.exists());
    }
}

//! Two processes over one file, killed and started anew.
//!
//! The processes are this same program: they take a line for each password, present it as often as the
//! line says and all at once, and say how often it was right.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use countersign_oauth::Secret;
use countersign_resource::Clock as _;
use countersign_resource::otp::{Method, OtpService, Typed};
use tokio::task::JoinSet;

use crate::scene::{ADA, Bag, Hands, PARALLEL, now, over_file, says, trials};

/// The file, for a child; absent in the test run itself.
const FILE: &str = "COUNTERSIGN_OTP_TEST_FILE";

/// Not a test of its own: the body of the child processes.
#[test]
fn child() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let clock = Hands::at(now());
    let service = over_file(Path::new(&path), &clock);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nready").unwrap();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let [method, otp, nonce, count, time] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        clock.set(time.parse().unwrap());
        let typed = Typed::new(Method::from_wire(method).unwrap(), Secret::new(otp));
        let count = count.parse().unwrap();
        let right = runtime.block_on(present(&service, &clock, &typed, nonce, count));
        writeln!(out, "right {right}").unwrap();
    }
}

async fn present(
    service: &OtpService,
    clock: &Hands,
    typed: &Typed,
    nonce: &str,
    count: usize,
) -> usize {
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (service, clock, typed) = (service.clone(), clock.clone(), typed.clone());
        let nonce = format!("{nonce}{number}");
        tasks.spawn(async move { says(&service, &clock, &typed, &nonce).await });
    }
    let said = tasks.join_all().await;
    said.into_iter().filter(|said| *said == "right").count()
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--nocapture"])
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(output.any(|line| line.unwrap() == "ready"));
        Self {
            input: child.stdin.take().unwrap(),
            child,
            output,
        }
    }

    /// Says what to present. The answer comes by [`right`](Self::right).
    fn tell(&mut self, typed: &(Method, String), nonce: &str, count: usize, clock: &Hands) {
        let (method, otp) = typed;
        let time = clock.now().as_millis();
        writeln!(self.input, "{method} {otp} {nonce} {count} {time}").unwrap();
    }

    fn right(&mut self) -> usize {
        let line = self.output.next().unwrap().unwrap();
        line.strip_prefix("right ").unwrap().parse().unwrap()
    }

    /// Presents something once.
    fn takes(&mut self, typed: &(Method, String), nonce: &str, clock: &Hands) -> bool {
        self.tell(typed, nonce, 1, clock);
        self.right() == 1
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends as a program does that is told to.
    fn end(self) {
        let Self {
            mut child, input, ..
        } = self;
        drop(input);
        assert!(child.wait().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_over_one_file_accept_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otp.sqlite");
    let clock = Hands::at(now());
    let service = over_file(&path, &clock);
    let mut bag = Bag::packed(&service).await;
    let mut processes = [Process::start(&path), Process::start(&path)];
    for trial in 0..trials(5) {
        clock.advance(Duration::from_secs(90));
        for typed in [bag.touch_in_words(), bag.code_in_words(&clock)] {
            for (number, process) in processes.iter_mut().enumerate() {
                let nonce = format!("{}-{trial}-{number}-", typed.0);
                process.tell(&typed, &nonce, PARALLEL / 2, &clock);
            }
            let right: usize = processes.iter_mut().map(Process::right).sum();
            assert_eq!(right, 1, "trial {trial}, {}", typed.0);
            service.unlock(ADA).await.unwrap();
        }
    }
    for process in processes {
        process.end();
    }
}

/// A password that was accepted is refused by whoever comes after: after an orderly end, and after
/// kill -9 right behind the answer or in the middle of the next ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_after_a_restart_or_kill_9_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otp.sqlite");
    let clock = Hands::at(now());
    let service = over_file(&path, &clock);
    let mut bag = Bag::packed(&service).await;
    for trial in 0..trials(4) {
        clock.advance(Duration::from_secs(90));
        let used = [bag.touch_in_words(), bag.code_in_words(&clock)];
        let nonce = |what| format!("{what}{trial}-");
        let mut process = Process::start(&path);
        for typed in &used {
            assert!(
                process.takes(typed, &nonce(typed.0.as_str()), &clock),
                "trial {trial}"
            );
        }
        if trial % 2 == 0 {
            // In the midst of something.
            process.tell(&bag.touch_in_words(), &nonce("busy"), 32, &clock);
            process.kill();
        } else {
            process.end();
        }
        let mut process = Process::start(&path);
        for typed in &used {
            assert!(
                !process.takes(typed, &nonce("again"), &clock),
                "trial {trial}, {}",
                typed.0
            );
        }
        // A challenge stays used up as well; the password that comes with it is new.
        let fresh = bag.touch_in_words();
        assert!(
            !process.takes(&fresh, &nonce("yubikey"), &clock),
            "trial {trial}"
        );
        assert!(
            process.takes(&fresh, &nonce("new"), &clock),
            "trial {trial}"
        );
        process.end();
        service.unlock(ADA).await.unwrap();
    }
}

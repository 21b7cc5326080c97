//! The program in C, built and run.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use countersign_testkit::{Program, pam_module, pam_module_under_sanitizer};

use crate::daemon::Daemon;

/// All hooks in the order of a login.
pub(crate) const LOGIN: &[&str] = &[
    "authenticate",
    "acct_mgmt",
    "setcred",
    "open_session",
    "close_session",
];

/// The built program. It stays below the target directory, for the next run.
pub(crate) fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| compile("driver", &[])).clone()
}

/// The program with the library of the sanitizer, which watches what the module does with memory.
fn sanitized(library: &Path) -> PathBuf {
    let whole = format!(
        "-Wl,--whole-archive,{},--no-whole-archive",
        library.display()
    );
    let words = [
        &whole,
        "-Wl,--export-dynamic",
        "-lpthread",
        "-ldl",
        "-lrt",
        "-lm",
        "-lstdc++",
    ];
    compile("driver-sanitized", &words)
}

fn compile(name: &str, words: &[&str]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = directory.join(name);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/driver.c");
    // Under a name of its own first, so that a run beside this one never meets half of it.
    let unfinished = directory.join(format!("{name}-{}", std::process::id()));
    let built = Program::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-g", "-o"])
        .arg(&unfinished)
        .arg(source)
        .args(words)
        .arg("-l:libpam.so.0")
        .run();
    assert!(built.code() == Some(0), "{built:?}");
    fs::rename(&unfinished, &program).unwrap();
    program
}

/// A run of the program.
#[derive(Debug)]
pub(crate) struct Driver {
    program: PathBuf,
    module: PathBuf,
    arguments: String,
    user: &'static str,
    times: usize,
    manner: &'static str,
    answer: &'static str,
    under: Vec<OsString>,
}

/// What it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Driver {
    /// Calls the module that is shipped, with the socket of this daemon.
    pub(crate) fn new(daemon: &Daemon) -> Self {
        Self::at(&daemon.socket())
    }

    pub(crate) fn at(socket: &Path) -> Self {
        Self {
            program: program(),
            module: pam_module(),
            arguments: format!("socket={}", socket.display()),
            user: "ada",
            times: 1,
            manner: "plain",
            answer: "hunter2",
            under: Vec::new(),
        }
    }

    /// Calls the module that has the sanitizer in it.
    pub(crate) fn sanitized(mut self) -> Self {
        let (module, library) = pam_module_under_sanitizer();
        self.module = module;
        self.program = sanitized(&library);
        self
    }

    pub(crate) fn module(mut self, module: PathBuf) -> Self {
        self.module = module;
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        let _ = write!(self.arguments, " {argument}");
        self
    }

    pub(crate) fn user(mut self, user: &'static str) -> Self {
        self.user = user;
        self
    }

    pub(crate) fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    pub(crate) fn manner(mut self, manner: &'static str) -> Self {
        self.manner = manner;
        self
    }

    pub(crate) fn answer(mut self, answer: &'static str) -> Self {
        self.answer = answer;
        self
    }

    /// Uses copies in this directory, which a user without rights can reach.
    pub(crate) fn copied_to(mut self, directory: &Path) -> Self {
        let module = directory.join("pam_countersign.so");
        fs::copy(&self.module, &module).unwrap();
        fs::copy(program(), directory.join("driver")).unwrap();
        self.module = module;
        self.program = directory.join("driver");
        self
    }

    /// Runs it under another program.
    pub(crate) fn under<S: Into<OsString>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.under = words.into_iter().map(Into::into).collect();
        self
    }

    /// Calls these hooks. The process has to live to its end, whatever they return.
    pub(crate) fn call(self, hooks: &[&str]) -> Said {
        let services = service_directory(&self.module, &self.arguments);
        let mut words = self.under;
        words.push(self.program.into());
        words.push(services.path().into());
        words.push("probe".into());
        words.extend([self.user.into(), self.times.to_string().into()]);
        words.extend([self.manner.into(), self.answer.into()]);
        words.extend(hooks.iter().map(OsString::from));
        let (first, rest) = words.split_first().unwrap();
        let finished = Program::new(first)
            .args(rest)
            .limit(Duration::from_secs(300))
            .run();
        let said = Said {
            stdout: finished.stdout.clone(),
            stderr: finished.stderr.clone(),
        };
        assert!(finished.code() == Some(0), "{finished:?}");
        assert!(said.stdout.contains("\nalive "), "{said:?}");
        said
    }
}

impl Said {
    /// What each hook returned, in order.
    pub(crate) fn codes(&self) -> Vec<i32> {
        self.stdout
            .lines()
            .filter(|line| {
                !["shown", "copies", "early", "late", "alive"]
                    .iter()
                    .any(|it| line.starts_with(it))
            })
            .map(|line| line.split(' ').nth(1).unwrap().parse().unwrap())
            .collect()
    }

    /// What was shown, with its style.
    pub(crate) fn shown(&self) -> Vec<&str> {
        let lines = self.stdout.lines();
        lines
            .filter_map(|line| line.strip_prefix("shown "))
            .collect()
    }

    /// Memory in KiB and open files, after a quarter of the logins and after all.
    pub(crate) fn growth(&self) -> [(u64, u64); 2] {
        ["early ", "late "].map(|when| {
            let mut lines = self.stdout.lines();
            let line = lines.find_map(|line| line.strip_prefix(when)).unwrap();
            let (memory, files) = line.split_once(' ').unwrap();
            (memory.parse().unwrap(), files.parse().unwrap())
        })
    }
}

/// A directory of services, with one that asks this module alone.
pub(crate) fn service_directory(module: &Path, arguments: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let module = module.display();
    let mut stack = String::new();
    for phase in ["auth", "account", "session", "password"] {
        let _ = writeln!(stack, "{phase} required {module} {arguments}");
    }
    fs::write(directory.path().join("probe"), stack).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

//! What a child process does: signs in, renews once, asks for a token once, or asks again and again.
//!
//! It tells what became of it on standard output, a line each, behind a word that nobody else prints.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use countersign_client::{
    AuthorizationPrompt, Browser, Context, DevicePrompt, Directories, Environment, Error,
    HttpOptions, KeyringProgram, Login, Prompt, SessionName, SignIn, TokenSource, VaultKind,
    VaultOptions,
};
use countersign_testkit::bin;

pub(crate) const THREADS: usize = 8;
/// Stands before everything that the parent is to hear.
pub(crate) const WORD: &str = "race: ";

const ROLE: &str = "RACE_ROLE";
const HOME: &str = "RACE_HOME";
const ISSUER: &str = "RACE_ISSUER";
const VAULT: &str = "RACE_VAULT";
const LIMIT: &str = "RACE_LIMIT_MS";
const KEYRING: &str = "RACE_KEYRING";
const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Login,
    Refresh,
    /// Each thread asks for a token, all at the same moment.
    Once,
    /// Each thread asks again and again until standard input ends, and then until it has got one.
    Loop,
}

impl Role {
    const ALL: [Self; 4] = [Self::Login, Self::Refresh, Self::Once, Self::Loop];

    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::Once => "once",
            Self::Loop => "loop",
        }
    }
}

/// What a child process needs to know.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) role: Role,
    pub(crate) home: PathBuf,
    pub(crate) issuer: String,
    pub(crate) vault: VaultKind,
    /// Where the keyring is.
    pub(crate) bus: Option<String>,
    /// How long a request may take.
    pub(crate) limit: Duration,
}

impl Plan {
    /// A process that follows the plan.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--nocapture"])
            .env_clear()
            .env(ROLE, self.role.name())
            .env(HOME, &self.home)
            .env(ISSUER, &self.issuer)
            .env(VAULT, self.vault.as_str())
            .env(LIMIT, self.limit.as_millis().to_string());
        if let Some(bus) = &self.bus {
            command
                .env(BUS, bus)
                .env(KEYRING, bin("countersign-keyring"));
        }
        command
    }

    /// The plan of this process; `None` in the test run itself.
    pub(crate) fn of_environment() -> Option<Self> {
        let role = std::env::var(ROLE).ok()?;
        let text = |name: &str| std::env::var(name).unwrap();
        Some(Self {
            role: Role::ALL.into_iter().find(|it| it.name() == role).unwrap(),
            home: text(HOME).into(),
            issuer: text(ISSUER),
            vault: text(VAULT).parse().unwrap(),
            bus: std::env::var(BUS).ok(),
            limit: Duration::from_millis(text(LIMIT).parse().unwrap()),
        })
    }

    fn context(&self) -> Context {
        let mut http = HttpOptions::default();
        http.connect_limit = self.limit;
        http.overall_limit = self.limit;
        // By this the server knows whom it talks to.
        http.user_agent = std::process::id().to_string();
        let mut vaults = VaultOptions::new("race");
        vaults.preferred = vec![self.vault];
        if let Some(program) = std::env::var_os(KEYRING) {
            // On a busy machine even a healthy keyring may need a while.
            let limit = Duration::from_secs(20);
            vaults.keyring = KeyringProgram::at(program).limits(limit, limit);
        }
        let directories = Directories::new(self.home.join("state"), self.home.join("cache"));
        Context::new(directories, http).with_vaults(vaults)
    }

    pub(crate) fn play(&self) {
        let name = SessionName::new("default").unwrap();
        let context = self.context();
        if self.role == Role::Login {
            let login = Login::new(&self.issuer, "cli").unwrap();
            let login = login
                .session_name(name)
                .context(context)
                .environment(Environment::default())
                .browser(Browser::Never)
                .flow(SignIn::Device);
            say("ready");
            wait_for_release();
            return tell(login.run(&mut Unattended).map(|_| "signed in".to_owned()));
        }
        let tokens = TokenSource::open(&context, &name).unwrap();
        match self.role {
            Role::Once => {
                let start = Barrier::new(THREADS);
                // The parent's word releases all processes, and the barrier all threads of this one.
                let is_released = Mutex::new(false);
                say("ready");
                each_thread(|| {
                    let mut released = is_released.lock().unwrap();
                    if !std::mem::replace(&mut *released, true) {
                        wait_for_release();
                    }
                    drop(released);
                    start.wait();
                    tell(token(&tokens, Duration::from_secs(60)));
                });
            }
            Role::Loop => ask_until_released(&tokens),
            Role::Login | Role::Refresh => {
                say("ready");
                wait_for_release();
                let renewed = tokens.refresh();
                tell(renewed.map(|()| tokens.session().access_token().expose().to_owned()));
            }
        }
    }
}

fn token(tokens: &TokenSource, min_ttl: Duration) -> Result<String, Error> {
    Ok(tokens.access_token(min_ttl)?.expose().to_owned())
}

/// Asks for tokens that have some life left, which makes this process renew the session before their end.
fn ask_until_released(tokens: &TokenSource) {
    let is_over = AtomicBool::new(false);
    let got = Mutex::new(BTreeSet::new());
    let failures = Mutex::new(BTreeMap::<String, usize>::new());
    let ask = |thread: usize| {
        loop {
            let was_over = is_over.load(Ordering::SeqCst);
            match token(tokens, Duration::from_millis(200)) {
                Ok(token) => {
                    got.lock().unwrap().insert(token);
                    if was_over {
                        return true;
                    }
                }
                Err(error) => {
                    let text = shown(&error);
                    *failures.lock().unwrap().entry(text).or_default() += 1;
                    if error.code() == "login_required" {
                        return false;
                    }
                }
            }
            // Not all at once, and not all the time: there are five hundred of us.
            std::thread::sleep(Duration::from_millis(150 + 20 * thread as u64));
        }
    };
    say("ready");
    let all_got_one = std::thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || ask(n))).collect();
        wait_for_release();
        is_over.store(true, Ordering::SeqCst);
        let ends: Vec<bool> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        ends.into_iter().all(|it| it)
    });
    for token in got.into_inner().unwrap() {
        say(&format!("token {token}"));
    }
    for (failure, count) in failures.into_inner().unwrap() {
        say(&format!("failed {count} times: {failure}"));
    }
    say(&format!("last {all_got_one}"));
}

fn each_thread(body: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(&body);
        }
    });
}

/// Until the parent closes standard input.
fn wait_for_release() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn tell(outcome: Result<String, Error>) {
    match outcome {
        Ok(token) => say(&format!("token {token}")),
        Err(error) => say(&format!("failed once: {}", shown(&error))),
    }
}

fn shown(error: &Error) -> String {
    let mut text = format!("{}: {error}", error.code());
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

fn say(line: &str) {
    // In one piece, whatever other threads say.
    let line = format!("{WORD}{line}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The server approves by itself.
struct Unattended;

impl Prompt for Unattended {
    fn show_device(&mut self, _: &DevicePrompt) {}

    fn show_authorization(&mut self, _: &AuthorizationPrompt) {}
}

//! The programs that the demo builds and runs: the real ones, as a user would
//! get them, with directories of their own. None of them outlives the demo.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use url::Url;

use crate::failure::{Failure, because};
use crate::person::Person;

/// Where the built programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    countersign: PathBuf,
    issuer: PathBuf,
    pub(crate) opsctl: PathBuf,
    pub(crate) opsctl_api: PathBuf,
}

impl Programs {
    /// Builds them, those for people and those for servers apart: built
    /// together, the clients would get the features that only servers ask for,
    /// and nobody ships that. The examples want nothing that the others do not
    /// have built as well.
    pub(crate) async fn build() -> Result<Self, Failure> {
        let [countersign, opsctl] = build(["countersign", "opsctl"]).await?;
        let [issuer, opsctl_api] = build(["countersign-issuer", "opsctl-api"]).await?;
        Ok(Self {
            countersign,
            issuer,
            opsctl,
            opsctl_api,
        })
    }
}

async fn build(packages: [&str; 2]) -> Result<[PathBuf; 2], Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.args(["build", "--quiet"]);
    for (name, _) in env::vars_os() {
        // Cargo tells a program that it runs about its package in these. Build scripts that look at
        // them would be run again, and all above them built again, for nothing.
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    for package in packages {
        cargo.args(["--package", package, "--bin", package]);
    }
    let output = cargo
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(because("cargo cannot be run"))?;
    let [first, second] = packages;
    if !output.status.success() {
        return Err(Failure::new(format!("{first} and {second} do not build"))
            .with_detail(&String::from_utf8_lossy(&output.stderr)));
    }
    // Where the target directory is, is cargo's business; it may be anywhere.
    let messages = String::from_utf8_lossy(&output.stdout);
    let path = |package: &str| {
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
            .find(|artifact| artifact.target.name == package)
            .map(|artifact| artifact.executable)
            .ok_or_else(|| Failure::new(format!("cargo does not say where {package} is")))
    };
    Ok([path(first)?, path(second)?])
}

/// The one kind of cargo's messages, each a line of JSON, that names a program.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The issuer, serving on a port of its own choice.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// Its name, as tokens carry it.
    pub(crate) name: String,
    child: Child,
    /// Kept, so that the issuer never writes to a closed pipe.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Issuer {
    /// Makes Ada's account the way an administrator would.
    pub(crate) async fn add(
        programs: &Programs,
        home: &Path,
        person: &Person,
    ) -> Result<(), Failure> {
        let mut child = program(&programs.issuer, home)
            .args(["user", "add", &person.username, "--name", &person.name])
            .args(["--email", &person.email])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(because("countersign-issuer cannot be run"))?;
        if let Some(mut stdin) = child.stdin.take() {
            let line = format!("{}\n", person.password);
            // An issuer that ends before it has read says why.
            let _ = stdin.write_all(line.as_bytes()).await;
        }
        let output = child.wait_with_output().await;
        succeeded(
            "countersign-issuer user add",
            &output.map_err(because("no end"))?,
        )?;
        Ok(())
    }

    /// Registers an application of somebody's own, for one API.
    pub(crate) async fn register(
        programs: &Programs,
        home: &Path,
        client_id: &str,
        api: &str,
    ) -> Result<(), Failure> {
        let output = program(&programs.issuer, home)
            .args(["client", "add", client_id, "--audience", api])
            .args(["--redirect-uri", "http://127.0.0.1/callback"])
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(because("countersign-issuer cannot be run"))?;
        succeeded("countersign-issuer client add", &output)?;
        Ok(())
    }

    /// Starts it and waits until it listens.
    pub(crate) async fn start(programs: &Programs, home: &Path) -> Result<Self, Failure> {
        let log = File::create(log_file(home)).map_err(because("the log cannot be written"))?;
        let mut child = program(&programs.issuer, home)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C is for the demo, which then ends the issuer.
            .process_group(0)
            .spawn()
            .map_err(because("countersign-issuer cannot be run"))?;
        let stdout = child.stdout.take();
        let stdout = stdout.ok_or_else(|| Failure::new("the issuer has no standard output"))?;
        let mut lines = BufReader::new(stdout).lines();
        loop {
            let line = lines.next_line().await;
            let Some(line) = line.map_err(because("the issuer cannot be heard"))? else {
                return Err(Failure::new("the issuer ended before it listened"));
            };
            if let Some(name) = line.strip_prefix("issuer=") {
                return Ok(Self {
                    name: name.to_owned(),
                    child,
                    _stdout: lines,
                });
            }
        }
    }

    /// Ends it and waits until it is gone. Its state is thrown away, so there
    /// is nothing for it to finish.
    pub(crate) async fn stop(mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill().await;
    }
}

/// Where the issuer's messages go.
pub(crate) fn log_file(home: &Path) -> PathBuf {
    home.join("issuer.log")
}

/// The real `countersign`, for one person with a home of their own.
#[derive(Debug)]
pub(crate) struct Cli<'a> {
    programs: &'a Programs,
    home: &'a Path,
}

impl<'a> Cli<'a> {
    pub(crate) fn new(programs: &'a Programs, home: &'a Path) -> Self {
        Self { programs, home }
    }

    /// Runs it to its end, whatever that is, with nobody at the keyboard.
    pub(crate) async fn try_run(&self, arguments: &[&str]) -> Result<Output, Failure> {
        self.command(arguments)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(because("countersign cannot be run"))
    }

    /// Runs it and gives what it printed; anything but success is a failure.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Printed, Failure> {
        let command = format!("countersign {}", arguments.join(" "));
        succeeded(&command, &self.try_run(arguments).await?)
    }

    /// Runs it on the demo's own terminal, for the person who sits there.
    pub(crate) async fn run_at_terminal(&self, arguments: &[&str]) -> Result<(), Failure> {
        let mut child = self
            .command(arguments)
            .spawn()
            .map_err(because("countersign cannot be run"))?;
        let status = child.wait().await.map_err(because("no end"))?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new(format!(
                "countersign login ended with {status}"
            )))
        }
    }

    /// Signs in while `person` plays the person at the browser.
    pub(crate) async fn login_with(
        &self,
        arguments: &[&str],
        person: &Person,
    ) -> Result<(), Failure> {
        let command = self.command(arguments);
        sign_in(command, "countersign login", person).await?;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(&self.programs.countersign, self.home);
        command.args(arguments);
        command
    }
}

/// Runs a command that signs in, while `person` plays the person at the
/// browser; gives what it printed on standard output.
pub(crate) async fn sign_in(
    mut command: Command,
    name: &str,
    person: &Person,
) -> Result<String, Failure> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(because("the program cannot be run"))?;
    let stderr = child.stderr.take();
    let stderr = stderr.ok_or_else(|| Failure::new("the program has no standard error"))?;
    let mut lines = BufReader::new(stderr).lines();
    let mut seen = String::new();
    let mut approved = false;
    while let Some(line) = lines
        .next_line()
        .await
        .map_err(because("the program cannot be heard"))?
    {
        seen.push_str(&line);
        seen.push('\n');
        if !approved && let Some(page) = page_in(&line) {
            person.approve(&page).await?;
            approved = true;
        }
    }
    let output = child.wait_with_output().await.map_err(because("no end"))?;
    if output.status.success() && approved {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::new(format!("{name} ended with {}", output.status)).with_detail(&seen))
}

/// The address in a line, when it is one that brings along what is to be approved: a user code, or a
/// whole authorization request.
fn page_in(line: &str) -> Option<Url> {
    let url = Url::parse(line.trim()).ok()?;
    let mut names = url.query_pairs().map(|(name, _)| name);
    names
        .any(|name| name == "user_code" || name == "code_challenge")
        .then(|| url.clone())
}

/// One of our programs, in directories below `home` whatever the environment
/// of the demo says, and killed when nobody waits for it any more.
pub(crate) fn program(path: &Path, home: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in env::vars_os() {
        if is_ours(&name) || is_proxy(&name) {
            command.env_remove(name);
        }
    }
    command
        .env("COUNTERSIGN_CONFIG_DIR", home.join("config"))
        .env("COUNTERSIGN_STATE_DIR", home.join("state"))
        .env("COUNTERSIGN_CACHE_DIR", home.join("cache"))
        .env("COUNTERSIGN_ISSUER_STATE_DIR", home.join("issuer"))
        .env("XDG_STATE_HOME", home.join("others"))
        .env("XDG_CACHE_HOME", home.join("others-cache"))
        .kill_on_drop(true);
    command
}

/// A setting for the person's own sessions; whether a browser may open is also
/// a wish for this one.
fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"COUNTERSIGN_") && name != "COUNTERSIGN_NO_BROWSER"
}

/// Everything here is on this machine; no proxy knows the way.
fn is_proxy(name: &OsStr) -> bool {
    name.to_ascii_lowercase()
        .as_encoded_bytes()
        .ends_with(b"_proxy")
}

/// What a program that succeeded has printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn succeeded(command: &str, output: &Output) -> Result<Printed, Failure> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() {
        Ok(Printed { stdout, stderr })
    } else {
        Err(Failure::new(format!("{command} ended with {}", output.status)).with_detail(&stderr))
    }
}

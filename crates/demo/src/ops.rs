//! The example `opsctl`: its API as a process, its command line as a person uses
//! it, and a Yubikey that is simulated.
//!
//! Not responsible for what the example does; `examples/opsctl` shows that.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{IsTerminal as _, stdin};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use countersign_jose::crypto::aws_lc;
use countersign_otp::yubico::{PublicId, Secrets, sim::SimulatedKey};
use rustix::process::{Signal, getpid, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::children::{Issuer, Programs, program, sign_in, succeeded};
use crate::failure::{Failure, because};
use crate::person::Person;
use crate::terminal::Seated;
use crate::{Player, say};

const CLIENT_ID: &str = "opsctl";
const DELETE: [&str; 3] = ["delete", "resource", "foobar"];
const PROMPT: &str = "please enter yubikey OTP: ";
/// A public id as a company gives it to the keys that it programs itself.
const PUBLIC_ID: &str = "vvcccccccccb";

/// `opsctl` ends with these.
const TIMED_OUT: i32 = 6;
const STEP_UP: i32 = 8;
const INTERRUPTED: i32 = 130;

/// The example, and what belongs to it in this run.
pub(crate) struct Ops<'a> {
    player: Player,
    programs: &'a Programs,
    home: &'a Path,
    issuer: &'a str,
    api: Option<Api>,
    subject: String,
    key: Option<SimulatedKey>,
    /// The password that has deleted something.
    used: String,
}

/// The API of the example.
struct Api {
    name: String,
    child: Child,
    /// Kept, so that the API never writes to a closed pipe.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl<'a> Ops<'a> {
    pub(crate) fn new(
        player: Player,
        programs: &'a Programs,
        home: &'a Path,
        issuer: &'a str,
    ) -> Self {
        Self {
            player,
            programs,
            home,
            issuer,
            api: None,
            subject: String::new(),
            key: None,
            used: String::new(),
        }
    }

    /// Starts the API, and registers the command line with the issuer.
    pub(crate) async fn start(&mut self) -> Result<(), Failure> {
        let log = File::create(self.log()).map_err(because("the log cannot be written"))?;
        let mut child = self
            .api_program()
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C is for the demo, which then ends it.
            .process_group(0)
            .spawn()
            .map_err(because("opsctl-api cannot be run"))?;
        let stdout = child.stdout.take();
        let stdout = stdout.ok_or_else(|| Failure::new("opsctl-api has no standard output"))?;
        let mut lines = BufReader::new(stdout).lines();
        let line = lines.next_line().await;
        let line = line.map_err(because("opsctl-api cannot be heard"))?;
        let Some(name) = line else {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            return Err(Failure::new("opsctl-api ended before it listened").with_detail(&log));
        };
        Issuer::register(self.programs, self.home, CLIENT_ID, &name).await?;
        say::done(format_args!(
            "Started the API of opsctl, an example, at {name}"
        ));
        self.api = Some(Api {
            name,
            child,
            _stdout: lines,
        });
        Ok(())
    }

    /// It is a program of its own, with a login of its own.
    pub(crate) async fn ada_signs_in(&mut self, ada: &Person) -> Result<(), Failure> {
        let mut command = self.opsctl(&["login"]);
        let said = match self.player {
            Player::Person => {
                say::line(
                    "\nopsctl is a program of its own, and signs in by itself. You are signed in at",
                );
                say::line("the issuer by now: its page asks for a yes.");
                self.player.announce("opsctl login");
                let child = command.stdout(Stdio::piped()).spawn();
                let child = child.map_err(because("opsctl cannot be run"))?;
                let output = child.wait_with_output().await;
                let output = output.map_err(because("no end"))?;
                succeeded("opsctl login", &output)?.stdout
            }
            Player::Unattended => {
                command.env("COUNTERSIGN_NO_BROWSER", "1");
                sign_in(command, "opsctl login", ada).await?
            }
        };
        self.player.repeat(&said);
        let who = format!("signed in as {} <{}>\n  subject  ", ada.name, ada.email);
        let subject = said.trim_end().strip_prefix(&who);
        let subject =
            subject.ok_or_else(|| Failure::new("it does not say who").with_detail(&said))?;
        subject.clone_into(&mut self.subject);
        say::done("Signed in to opsctl, as its own application");
        Ok(())
    }

    /// Makes a key out of nothing, and has the API register it for Ada.
    pub(crate) async fn ada_gets_a_key(&mut self) -> Result<(), Failure> {
        let provider = aws_lc::provider();
        let (mut private_id, mut aes_key) = ([0; 6], [0; 16]);
        for bytes in [&mut private_id[..], &mut aes_key[..]] {
            let filled = provider.fill_random(bytes);
            filled.map_err(because("no key can be made"))?;
        }
        let public_id: PublicId = PUBLIC_ID
            .parse()
            .map_err(because("the key has no public id"))?;
        let line = format!("1,{PUBLIC_ID},{},{},,,\n", hex(&private_id), hex(&aes_key));
        let secrets = Secrets::new(private_id, aes_key);
        self.key = Some(SimulatedKey::new(public_id, secrets));

        let mut child = self
            .api_program()
            .args(["enrol", &self.subject, "yubikey"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(because("opsctl-api cannot be run"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends before it has read says why.
            let _ = stdin.write_all(line.as_bytes()).await;
        }
        let output = child.wait_with_output().await;
        succeeded("opsctl-api enrol", &output.map_err(because("no end"))?)?;
        say::done("Gave Ada a Yubikey: a simulated one, whose passwords the demo knows");
        Ok(())
    }

    /// The API answers 401 with a challenge, the person types a password, and
    /// the same request goes out once more.
    pub(crate) async fn ada_deletes(&mut self) -> Result<(), Failure> {
        if self.player == Player::Person && stdin().is_terminal() {
            self.person_deletes().await?;
        } else {
            let password = self.touch()?;
            let mut seated = self.seated(&DELETE)?;
            seated.see(PROMPT).await?;
            seated.types(&format!("{password}\n"))?;
            let (code, shown) = seated.end().await?;
            self.player.repeat(&shown);
            if code != Some(0) || !shown.contains("resource foobar deleted") {
                return Err(Failure::new(format!("exit code {code:?}")).with_detail(&shown));
            }
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let asked = "401 Unauthorized: the request needs a one-time password";
        if !log.contains(asked) || !log.contains("deleted \"foobar\"") {
            return Err(Failure::new("the API has not asked").with_detail(&log));
        }
        if self.player == Player::Person {
            say::line("\nWhat the API has noted of it:");
            for line in log.lines() {
                say::line(format_args!("  {line}"));
            }
            say::line("");
        }
        say::done("Deleted foobar: 401 and a challenge, a password, the same request again");
        Ok(())
    }

    /// With a few tries: 44 letters are many, and a minute is short.
    async fn person_deletes(&mut self) -> Result<(), Failure> {
        say::line("\nNow delete something. The API asks for a one-time password, which a");
        say::line("Yubikey would type at a touch. This one is simulated: copy what it types.");
        for _ in 0..3 {
            let password = self.touch()?;
            say::line(format_args!("\n    {password}"));
            self.player
                .announce(&format!("opsctl {}", DELETE.join(" ")));
            let child = self.opsctl(&DELETE).spawn();
            let mut child = child.map_err(because("opsctl cannot be run"))?;
            let status = child.wait().await.map_err(because("no end"))?;
            match status.code() {
                Some(0) => return Ok(()),
                Some(TIMED_OUT | STEP_UP) => {
                    say::line("\nOnce more, with what the key types next:");
                }
                Some(INTERRUPTED) => {
                    // The key went to opsctl alone, and was meant for all of it.
                    let told = kill_process(getpid(), Signal::INT);
                    told.map_err(because("the demo does not end"))?;
                    return std::future::pending().await;
                }
                _ => return Err(Failure::new(format!("opsctl ended with {status}"))),
            }
        }
        Err(Failure::new("nothing was deleted"))
    }

    /// The same password a second time, typed by the demo: whoever has seen one
    /// has nothing.
    pub(crate) async fn once_is_enough(&mut self) -> Result<(), Failure> {
        let delete = ["delete", "resource", "barfoo"];
        let command = format!("opsctl {}", delete.join(" "));
        self.player.announce(&format!(
            "{command}  # with the same password, typed by the demo"
        ));
        let mut seated = self.seated(&delete)?;
        seated.see(PROMPT).await?;
        seated.types(&format!("{}\n", self.used))?;
        seated.see("That one was used before.").await?;
        seated.see(PROMPT).await?;
        seated.types("\u{3}")?;
        let (code, shown) = seated.end().await?;
        self.player.repeat(&shown);
        let listed = self.opsctl(&["list"]).stdin(Stdio::null()).output().await;
        let listed = listed.map_err(because("opsctl cannot be run"))?;
        let listed = succeeded("opsctl list", &listed)?.stdout;
        if code != Some(INTERRUPTED) || listed != "barfoo\nquux\n" {
            let failure = Failure::new("the password counted twice");
            return Err(failure.with_detail(&shown).with_detail(&listed));
        }
        say::done("The same password once more is refused, and barfoo is still there");
        Ok(())
    }

    /// Ends the API and waits until it is gone.
    pub(crate) async fn stop(self) {
        if let Some(mut api) = self.api {
            // Fails only when it has ended already.
            let _ = api.child.kill().await;
        }
    }

    /// The next password of the key.
    fn touch(&mut self) -> Result<String, Failure> {
        let key = self.key.as_mut();
        let key = key.ok_or_else(|| Failure::new("there is no key"))?;
        let mut random = [0; 2];
        let filled = aws_lc::provider().fill_random(&mut random);
        filled.map_err(because("the key makes no password"))?;
        let password = key.press(u16::from_le_bytes(random));
        password.expose().clone_into(&mut self.used);
        Ok(self.used.clone())
    }

    fn opsctl(&self, arguments: &[&str]) -> Command {
        let mut command = program(&self.programs.opsctl, self.home);
        self.prepare(&mut command, arguments);
        command
    }

    /// The same at a terminal of its own.
    fn seated(&self, arguments: &[&str]) -> Result<Seated, Failure> {
        Seated::start(&self.programs.opsctl, self.home, |command| {
            self.prepare(command, arguments);
        })
    }

    fn prepare(&self, command: &mut Command, arguments: &[&str]) {
        let api = self.api.as_ref().map_or("", |api| &api.name);
        command
            .args(arguments)
            .env("OPSCTL_ISSUER", self.issuer)
            .env("OPSCTL_API", api);
    }

    fn api_program(&self) -> Command {
        let mut command = program(&self.programs.opsctl_api, self.home);
        command
            .env("OPSCTL_ISSUER", self.issuer)
            .env("OPSCTL_LISTEN", "127.0.0.1:0")
            .env("OPSCTL_STATE", self.home.join("opsctl"));
        command
    }

    fn log(&self) -> PathBuf {
        self.home.join("opsctl-api.log")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

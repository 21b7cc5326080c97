//! The demo itself, step by step.

use std::path::Path;
use std::time::Duration;

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::Player;
use crate::api::Api;
use crate::browser::Browser;
use crate::children::{Cli, Issuer, Programs};
use crate::failure::Failure;
use crate::ops::Ops;
use crate::person::Person;
use crate::say;

/// A first build on a slow machine; everything else is over in seconds.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// The code is good for ten minutes, and the login says so when they are over.
const LOGIN_LIMIT: Duration = Duration::from_secs(11 * 60);

/// `countersign` ends with this when there is no session.
const LOGIN_REQUIRED: i32 = 4;

/// Walks through the main job. The issuer is left in `issuer` to be stopped
/// afterwards, also when a step fails or the walk is cut short.
pub(crate) async fn walk(
    player: Player,
    home: &Path,
    issuer: &mut Option<Issuer>,
) -> Result<(), Failure> {
    say::line("Countersign: an issuer, a protected API and the command line, on this machine.");
    say::line("Nothing is installed, and all of it is deleted at the end.\n");

    say::line("Building the programs; the first time takes a few minutes …");
    let programs = within("the build", BUILD_LIMIT, Programs::build()).await?;
    say::done("Built countersign, countersign-issuer, and the example opsctl");

    let ada = Person::ada()?;
    within(
        "the account",
        STEP_LIMIT,
        Issuer::add(&programs, home, &ada),
    )
    .await?;
    say::done("Made an account for Ada, with a password for this run");

    let started = within("the issuer", STEP_LIMIT, Issuer::start(&programs, home)).await?;
    let issuer = issuer.insert(started);
    say::done(format_args!("Started an issuer at {}", issuer.name));

    let api = within("the API", STEP_LIMIT, Api::start(&issuer.name)).await?;
    say::done(format_args!("Started a protected API at {}", api.hello));

    let cli = Cli::new(&programs, home);
    let scene = Scene {
        player,
        issuer,
        api,
        cli,
        ada,
    };
    within(
        "the call of a stranger",
        STEP_LIMIT,
        scene.api_refuses_a_stranger(),
    )
    .await?;
    within("the login", LOGIN_LIMIT, scene.ada_signs_in()).await?;
    within("whoami", STEP_LIMIT, scene.cli_knows_ada()).await?;
    within("the call of Ada", STEP_LIMIT, scene.api_lets_ada_in()).await?;
    within("status", STEP_LIMIT, scene.session_is_there()).await?;
    let mut ops = Ops::new(player, &programs, home, &scene.issuer.name);
    within("the API of opsctl", STEP_LIMIT, ops.start()).await?;
    within("opsctl login", LOGIN_LIMIT, ops.ada_signs_in(&scene.ada)).await?;
    within("the key", STEP_LIMIT, ops.ada_gets_a_key()).await?;
    within("opsctl delete", LOGIN_LIMIT, ops.ada_deletes()).await?;
    within("the password again", STEP_LIMIT, ops.once_is_enough()).await?;
    ops.stop().await;
    within("logout", STEP_LIMIT, scene.ada_signs_out()).await?;
    within("the call after that", STEP_LIMIT, scene.nothing_is_left()).await?;
    within(
        "the login without a code",
        STEP_LIMIT,
        scene.browser_comes_back(),
    )
    .await?;

    say::line("\nThat was the main job. Against your own provider, type:\n");
    say::line("    cargo install --path crates/cli");
    say::line("    countersign setup\n");
    say::line("It lists the providers it knows, says what to create there, and checks it.");
    Ok(())
}

/// Sees to it that a step ends, and that its failure says which it was.
async fn within<T>(
    step: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(Failure::new(format!("no end after {} s", limit.as_secs()))))
        .map_err(|failure| failure.in_step(step))
}

/// Everything is up; each step looks at what happens and says so.
struct Scene<'a> {
    player: Player,
    issuer: &'a Issuer,
    api: Api,
    cli: Cli<'a>,
    ada: Person,
}

impl Scene<'_> {
    async fn api_refuses_a_stranger(&self) -> Result<(), Failure> {
        self.player.announce(&format!("curl {}", self.api.hello));
        let answer = Browser::new().open(&self.api.hello).await?;
        let challenge = answer.headers.get(header::WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok());
        match (answer.status, challenge) {
            // Where its metadata are stands in it too, and is longer than a line (RFC 9728).
            (StatusCode::UNAUTHORIZED, Some(challenge)) => {
                let scheme = challenge.split(' ').next().unwrap_or_default();
                say::done(format_args!(
                    "The API refuses a stranger: 401, WWW-Authenticate: {scheme} …"
                ));
                Ok(())
            }
            (status, _) => Err(Failure::new(format!("the API answers a stranger {status}"))),
        }
    }

    async fn ada_signs_in(&self) -> Result<(), Failure> {
        let (issuer, resource) = (&*self.issuer.name, &*self.api.audience);
        // By a code, wherever this runs: the person is to see it and compare it.
        let mut arguments = vec!["login", "--issuer", issuer, "--resource", resource];
        arguments.extend(["--flow", "device"]);
        match self.player {
            Player::Person => {
                say::line("\nNow sign in. The page will ask who you are; for this run you are\n");
                say::line(format_args!("    username  {}", self.ada.username));
                say::line(format_args!("    password  {}", self.ada.password));
                if !has_room_for_a_qr_code() {
                    arguments.extend(["--qr", "never"]);
                }
                // In two lines: it is the longest command of all.
                let shown = arguments.join(" ").replace(" --r", " \\\n    --r");
                self.player.announce(&format!("countersign {shown}"));
                self.cli.run_at_terminal(&arguments).await?;
            }
            Player::Unattended => {
                arguments.push("--no-browser");
                self.cli.login_with(&arguments, &self.ada).await?;
            }
        }
        say::done("Signed in as Ada, approved on the issuer's page");
        Ok(())
    }

    async fn cli_knows_ada(&self) -> Result<(), Failure> {
        self.player.announce("countersign whoami");
        let line = self.cli.run(&["whoami"]).await?.stdout;
        self.player.repeat(&line);
        if line.trim_end() != format!("{} <{}>", self.ada.name, self.ada.email) {
            return Err(Failure::new("it is somebody else").with_detail(&line));
        }
        say::done("The command line knows who signed in");
        Ok(())
    }

    async fn api_lets_ada_in(&self) -> Result<(), Failure> {
        let hello = &self.api.hello;
        self.player
            .announce(&format!("countersign curl {hello} -s"));
        let answer = if curl_is_installed().await {
            self.cli.run(&["curl", hello.as_str(), "-s"]).await?.stdout
        } else {
            // `countersign curl` is curl with a token. Where there is none, the
            // demo makes the request itself.
            let header = self.cli.run(&["token", "--output", "header"]).await?.stdout;
            let (_, credentials) = header.split_once(':').unwrap_or_default();
            let mut caller = Browser::with_credentials(credentials.trim());
            caller.open(hello).await?.body
        };
        self.player.repeat(&answer);
        let said: Value = serde_json::from_str(&answer).unwrap_or_default();
        if said != json!({ "message": "Welcome, Ada" }) {
            return Err(Failure::new("the API does not say \"Welcome, Ada\"").with_detail(&answer));
        }
        say::done("The API lets Ada in: \"Welcome, Ada\"");
        Ok(())
    }

    async fn session_is_there(&self) -> Result<(), Failure> {
        self.player.announce("countersign status");
        let status = self.cli.run(&["status"]).await?;
        self.player.repeat(&status.stdout);
        say::done("The session is there, with its time left");
        Ok(())
    }

    async fn ada_signs_out(&self) -> Result<(), Failure> {
        self.player.announce("countersign logout");
        let told = self.cli.run(&["logout"]).await?;
        self.player.repeat(&told.stderr);
        say::done("Signed out: tokens revoked at the issuer, deleted here");
        Ok(())
    }

    async fn nothing_is_left(&self) -> Result<(), Failure> {
        let hello = &self.api.hello;
        self.player
            .announce(&format!("countersign curl {hello} -s"));
        let output = self.cli.try_run(&["curl", hello.as_str(), "-s"]).await?;
        let told = String::from_utf8_lossy(&output.stderr);
        self.player.repeat(&told);
        if output.status.code() != Some(LOGIN_REQUIRED) || !output.stdout.is_empty() {
            return Err(Failure::new(output.status.to_string()).with_detail(&told));
        }
        say::done("Without a session there is no token: a login is asked for (exit code 4)");
        Ok(())
    }

    /// The other way in: no code, and a browser that comes back to the terminal by itself. A person has
    /// done enough by now, and may have no browser on this machine.
    async fn browser_comes_back(&self) -> Result<(), Failure> {
        if self.player == Player::Person {
            return Ok(());
        }
        let (issuer, resource) = (&*self.issuer.name, &*self.api.audience);
        let arguments = ["login", "--issuer", issuer, "--resource", resource];
        let browser = ["--flow", "browser", "--no-browser"];
        let arguments = [&arguments[..], &browser[..]].concat();
        self.cli.login_with(&arguments, &self.ada).await?;
        self.cli.run(&["logout"]).await?;
        say::done("Signed in without a code: the browser came back by itself (PKCE)");
        Ok(())
    }
}

/// Whether a QR code would leave the password on the screen.
fn has_room_for_a_qr_code() -> bool {
    const ROWS: u16 = 44;
    rustix::termios::tcgetwinsize(std::io::stdout()).is_ok_and(|size| size.ws_row >= ROWS)
}

async fn curl_is_installed() -> bool {
    let version = Command::new("curl").arg("--version").output().await;
    version.is_ok_and(|output| output.status.success())
}

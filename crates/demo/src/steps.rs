//! The demo itself, step by step.

use std::{path::Path, time::Duration};

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    Player,
    api::Api,
    browser::Browser,
    children::{Cli, Issuer, Programs},
    failure::Failure,
    person::Person,
    say,
};

/// A first build on a slow machine; everything else is over in seconds.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// The code is good for ten minutes, and the login says so when they are over.
const LOGIN_LIMIT: Duration = Duration::from_secs(11 * 60);

/// `countersign` ends with this when there is no session.
const LOGIN_REQUIRED: i32 = 4;

/// Walks through the main job. What must be ended afterwards is left in
/// `issuer`, also when a step fails or the walk is cut short.
pub(crate) async fn walk(
    player: Player,
    home: &Path,
    issuer: &mut Option<Issuer>,
) -> Result<(), Failure> {
    say::line("Countersign: an issuer, a protected API and the command line, on this machine.");
    say::line("Nothing is installed, and all of it is deleted at the end.\n");

    say::line("Building both programs; the first time takes a few minutes …");
    let programs = step(BUILD_LIMIT, Programs::build(), |_| {
        "Built countersign and countersign-issuer".to_owned()
    })
    .await?;

    let ada = Person::ada()?;
    step(STEP_LIMIT, Issuer::add(&programs, home, &ada), |()| {
        "Made an account for Ada, with a password for this run".to_owned()
    })
    .await?;

    let serving = step(STEP_LIMIT, Issuer::start(&programs, home), |issuer| {
        format!("Started an issuer at {}", issuer.name)
    })
    .await?;
    let issuer_name = serving.name.clone();
    *issuer = Some(serving);

    let api = step(STEP_LIMIT, Api::start(&issuer_name), |api| {
        format!("Started a protected API at {}", api.hello)
    })
    .await?;
    let cli = Cli::new(&programs, home);

    heading(player, &format!("curl {}", api.hello));
    step(STEP_LIMIT, call_as_a_stranger(&api), |challenge| {
        format!("The API refuses a stranger: 401, WWW-Authenticate: {challenge}")
    })
    .await?;

    sign_in(player, &cli, &issuer_name, &api, &ada).await?;

    heading(player, "countersign whoami");
    step(STEP_LIMIT, cli_knows(player, &cli, &ada), |()| {
        "The command line knows who signed in".to_owned()
    })
    .await?;

    heading(player, &format!("countersign curl {} -s", api.hello));
    step(STEP_LIMIT, call_as_ada(player, &cli, &api), |()| {
        "The API lets Ada in: \"Welcome, Ada\"".to_owned()
    })
    .await?;

    heading(player, "countersign status");
    step(STEP_LIMIT, show(player, &cli, &["status"]), |()| {
        "The session is there, with its time left".to_owned()
    })
    .await?;

    heading(player, "countersign logout");
    step(STEP_LIMIT, show(player, &cli, &["logout"]), |()| {
        "Signed out: tokens revoked at the issuer, deleted here".to_owned()
    })
    .await?;
    heading(player, &format!("countersign curl {} -s", api.hello));
    step(STEP_LIMIT, nothing_is_left(player, &cli, &api), |()| {
        "Without a session there is no token: a login is asked for (exit code 4)".to_owned()
    })
    .await?;

    say::line("\nThat was the main job. Against your own provider, type:\n");
    say::line("    cargo install --path crates/cli");
    say::line("    countersign login --issuer https://ID.EXAMPLE.COM --client-id CLIENT\n");
    say::line("The client must be a public (native) one with the device grant switched on.");
    Ok(())
}

/// Runs one step within its limit and says what it achieved.
async fn step<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
    achieved: impl FnOnce(&T) -> String,
) -> Result<T, Failure> {
    let outcome = tokio::time::timeout(limit, work).await;
    let outcome =
        outcome.map_err(|_| Failure::new(format!("no end after {} s", limit.as_secs())))??;
    say::done(achieved(&outcome));
    Ok(outcome)
}

/// Shows the person the command that comes next; nobody reads it unattended.
fn heading(player: Player, command: &str) {
    if player == Player::Person {
        say::line(format_args!("\n$ {command}"));
    }
}

async fn sign_in(
    player: Player,
    cli: &Cli<'_>,
    issuer: &str,
    api: &Api,
    ada: &Person,
) -> Result<(), Failure> {
    let mut arguments = vec!["login", "--issuer", issuer, "--resource", &api.audience];
    let achieved = |(): &()| "Signed in as Ada, approved in the browser".to_owned();
    match player {
        Player::Person => {
            say::line("\nNow sign in. The page will ask who you are; for this run you are\n");
            say::line(format_args!("    username  {}", ada.username));
            say::line(format_args!("    password  {}", ada.password));
            if !has_room_for_a_qr_code() {
                arguments.extend(["--qr", "never"]);
            }
            // The two long options on a line each.
            heading(
                player,
                &format!(
                    "countersign {}",
                    arguments.join(" ").replace(" --r", " \\\n    --r")
                ),
            );
            step(LOGIN_LIMIT, cli.run_at_terminal(&arguments), achieved).await
        }
        Player::Unattended => {
            arguments.push("--no-browser");
            step(STEP_LIMIT, cli.login_with(&arguments, ada), achieved).await
        }
    }
}

/// Whether a QR code would leave the password on the screen.
fn has_room_for_a_qr_code() -> bool {
    const ROWS: u16 = 44;
    rustix::termios::tcgetwinsize(std::io::stdout()).is_ok_and(|size| size.ws_row >= ROWS)
}

async fn call_as_a_stranger(api: &Api) -> Result<String, Failure> {
    let answer = Browser::new().open(&api.hello).await?;
    let challenge = answer.headers.get(header::WWW_AUTHENTICATE);
    let challenge = challenge.and_then(|value| value.to_str().ok());
    match (answer.status, challenge) {
        (StatusCode::UNAUTHORIZED, Some(challenge)) => Ok(challenge.to_owned()),
        (status, challenge) => Err(Failure::new(format!(
            "the API answers a stranger {status} and {challenge:?}"
        ))),
    }
}

async fn cli_knows(player: Player, cli: &Cli<'_>, ada: &Person) -> Result<(), Failure> {
    let line = cli.run(&["whoami"]).await?.stdout;
    repeat(player, &line);
    if line.trim_end() == format!("{} <{}>", ada.name, ada.email) {
        Ok(())
    } else {
        Err(Failure::new("countersign whoami tells of somebody else").with_detail(&line))
    }
}

async fn call_as_ada(player: Player, cli: &Cli<'_>, api: &Api) -> Result<(), Failure> {
    let answer = if curl_is_installed().await {
        cli.run(&["curl", api.hello.as_str(), "-s"]).await?.stdout
    } else {
        let header = cli.run(&["token", "--output", "header"]).await?.stdout;
        let (_, credentials) = header.split_once(':').unwrap_or_default();
        let answer = Browser::with_credentials(credentials.trim())
            .open(&api.hello)
            .await?;
        answer.body
    };
    repeat(player, &answer);
    let said: Value = serde_json::from_str(&answer)
        .map_err(|_| Failure::new("the API does not answer in JSON").with_detail(&answer))?;
    if said == json!({ "message": "Welcome, Ada" }) {
        Ok(())
    } else {
        Err(Failure::new("the API says something else").with_detail(&answer))
    }
}

/// `countersign curl` is curl with a token. Where there is none, the demo makes
/// the request itself, with the token of `countersign token`.
async fn curl_is_installed() -> bool {
    let version = Command::new("curl").arg("--version").output().await;
    version.is_ok_and(|output| output.status.success())
}

async fn show(player: Player, cli: &Cli<'_>, arguments: &[&str]) -> Result<(), Failure> {
    let printed = cli.run(arguments).await?;
    repeat(player, &printed.stderr);
    repeat(player, &printed.stdout);
    Ok(())
}

async fn nothing_is_left(player: Player, cli: &Cli<'_>, api: &Api) -> Result<(), Failure> {
    let output = cli.try_run(&["curl", api.hello.as_str(), "-s"]).await?;
    repeat(player, &String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(LOGIN_REQUIRED) && output.stdout.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("after the logout: {}", output.status))
            .with_detail(&String::from_utf8_lossy(&output.stderr)))
    }
}

/// What a program printed, for the person.
fn repeat(player: Player, text: &str) {
    if player == Player::Person && !text.trim().is_empty() {
        say::line(text.trim_end());
    }
}

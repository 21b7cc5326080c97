//! `countersign exec`: another program, with what it needs and nothing else.
//!
//! The program takes the place of this one, so that signals, the terminal and the exit code are its own.
//! A proxy that it is to have is a process beside it, which ends when the program has: it waits for the
//! end of a pipe whose other end the program holds without knowing.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, PipeReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use countersign_client::{ExitCategory, Secret, printable};
use rustix::io::{FdFlags, fcntl_setfd};

use super::credential::{Kind, bearer_for};
use super::proxy;
use crate::app::App;
use crate::args::ExecArgs;
use crate::error::CliError;
use crate::settings::Origin;

/// An address with its secret is a short line.
const MAX_LINE: u64 = 1024;

pub(crate) fn run(app: &mut App, args: &ExecArgs) -> Result<(), CliError> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CliError::usage("there is no command to run"));
    };
    if args.env.is_empty() && args.proxy.is_empty() {
        return Err(
            CliError::usage("nothing was said of what the command is to get")
                .hint("countersign exec --env API_TOKEN -- …")
                .hint("or countersign exec --proxy API_URL=https://api.example.com -- …"),
        );
    }
    // The terminal is for the command.
    app.no_input = true;
    for (_, url) in &args.proxy {
        proxy::server(url)?;
    }
    let mut command = Command::new(program);
    // What was meant for us is not handed on in passing.
    command.args(arguments).env_remove("COUNTERSIGN_TOKEN");
    if !args.env.is_empty() {
        let bearer = bearer_for(app, Kind::access_if(!args.id_token), &args.target)?;
        for name in &args.env {
            command.env(name, bearer.token.expose());
        }
    }
    // Held open by the command, and closed by the system when it ends, however it does.
    let (ends, held) = io::pipe().map_err(|error| not_run(&error))?;
    for (name, url) in &args.proxy {
        let address = start(app, args, url, &ends)?;
        command.env(name, address.expose());
    }
    drop(ends);
    if !args.proxy.is_empty() {
        fcntl_setfd(&held, FdFlags::empty()).map_err(|error| not_run(&error.into()))?;
    }
    let error = command.exec();
    let what = format!("{} could not be run", printable(&program.to_string_lossy()));
    Err(CliError::new(ExitCategory::Failure, "command_not_run", what).why(error.to_string()))
}

/// Starts a proxy and answers where it is.
fn start(app: &App, args: &ExecArgs, url: &str, ends: &PipeReader) -> Result<Secret, CliError> {
    let this = std::env::current_exe().map_err(|error| not_run(&error))?;
    let stdin = ends.try_clone().map_err(|error| not_run(&error))?;
    let mut child = Command::new(this)
        .args(ours(app))
        .args(["--quiet", "proxy", "--until-stdin-ends"])
        .args(args.target.again())
        .arg("--")
        .arg(url)
        .stdin(stdin)
        .stdout(Stdio::piped())
        // Ctrl-C is for the command, which may have use for the proxy while it tidies up.
        .process_group(0)
        .spawn()
        .map_err(|error| not_run(&error))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let read = BufReader::new(stdout.take(MAX_LINE)).read_line(&mut line);
        read.map_err(|error| not_run(&error))?;
    }
    if let Some(address) = line.strip_suffix('\n') {
        return Ok(Secret::new(address));
    }
    // It has said why.
    let status = child.wait().map_err(|error| not_run(&error))?;
    let of = |category: &ExitCategory| Some(i32::from(category.exit_code())) == status.code();
    let exit = CATEGORIES.into_iter().find(of);
    Err(CliError::silent(exit.unwrap_or(ExitCategory::Failure)))
}

/// What a proxy can end with before it has begun.
const CATEGORIES: [ExitCategory; 6] = [
    ExitCategory::Usage,
    ExitCategory::Unreachable,
    ExitCategory::LoginRequired,
    ExitCategory::Denied,
    ExitCategory::Configuration,
    ExitCategory::Storage,
];

/// The flags that lead to the same session. The environment goes along by itself.
fn ours(app: &App) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut put = |flag: &str, value: OsString| arguments.extend([flag.into(), value]);
    // What the directory says has been heard, and what it only wants has been told.
    let said = |origin: &Origin| !matches!(origin, Origin::Default | Origin::Defaults(_));
    let settings = &app.settings;
    if let Some(profile) = settings.profile.as_ref().filter(|it| said(&it.origin)) {
        put("--profile", profile.value.clone().into());
    }
    if let Some(account) = &settings.account {
        put("--account", account.value.clone().into());
    }
    let flags = &app.given.flags;
    if let Some(issuer) = &flags.issuer {
        put("--issuer", issuer.into());
    }
    if let Some(client_id) = &flags.client_id {
        put("--client-id", client_id.into());
    }
    if let Some(timeout) = &flags.timeout {
        put("--timeout", timeout.as_secs().to_string().into());
    }
    for file in flags.ca_cert.iter().flatten() {
        put("--ca-cert", file.into());
    }
    arguments.push("--no-directory".into());
    arguments
}

fn not_run(error: &io::Error) -> CliError {
    CliError::new(
        ExitCategory::Failure,
        "proxy_not_started",
        "the proxy could not be started",
    )
    .why(error.to_string())
}

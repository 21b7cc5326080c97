//! `countersign`: single sign-on for everything people do in a terminal.
//!
//! Where to start reading: `args` is the whole command line, `commands` has one file for each
//! command, `settings` says which value wins. This file only joins them and leaves with a code.
//!
//! Not responsible for the protocol, the session files or the network: those are
//! `countersign-client`'s, and this program uses its public API like any other would.

mod account;
mod app;
mod applet;
mod args;
mod authorization;
mod aws;
mod commands;
mod config;
mod config_edit;
mod core_dump;
mod curl_args;
mod curl_heads;
mod curl_request;
mod curl_run;
mod directory;
mod dirs;
mod duration;
mod error;
mod given;
mod hosts;
mod ini_sections;
mod json_members;
mod jwt;
mod keyboard;
mod layer;
mod layers;
mod limits;
mod line;
mod origins;
mod other_api;
mod otp;
mod output;
mod passphrase;
mod prompt;
mod proxy;
mod question;
mod redact;
#[cfg(test)]
mod reference;
mod rows;
mod server;
mod settings;
mod sheet;
mod sign_in;
mod step_up;
mod storage;
mod sts;
mod term;
mod time;
mod ways;
mod wire;
mod wrap;

use std::process::ExitCode;

use countersign_client::printable;

use crate::app::App;
use crate::args::Command;
use crate::commands::{
    completion, config as config_command, credential, curl, doctor, exec, inspect, login, logout,
    profile, proxy as proxy_command, setup, status, stepup, store, switch, token, trust, version,
    whoami,
};
use crate::config::Config;
use crate::error::CliError;
use crate::given::{Globals, Overrides};
use crate::line::Line;
use crate::output::Voice;
use crate::rows::Rows;
use crate::settings::Settings;

fn main() -> ExitCode {
    core_dump::forbid();
    let line = Line::read(&applet::arguments(std::env::args_os()));
    let Line {
        command,
        globals,
        given,
    } = line.unwrap_or_else(|error| error.exit());
    let voice = Voice::new(globals.quiet, globals.verbose, globals.color);
    match run(&command, &globals, given, voice) {
        Ok(code) => code,
        Err(error) => {
            output::message(&error.render(voice.paint()));
            ExitCode::from(error.exit().exit_code())
        }
    }
}

fn run(
    command: &Command,
    globals: &Globals,
    given: Overrides,
    voice: Voice,
) -> Result<ExitCode, CliError> {
    match command {
        Command::Doctor(_)
        | Command::Setup(_)
        | Command::Trust(_)
        | Command::Config(args::Config::Path(_))
        | Command::Version
        | Command::Completion(_) => without_configuration(command, globals, given, voice),
        _ => with_configuration(command, globals, given, voice),
    }
}

/// What needs no configuration, and must work when it is broken.
#[inline(never)]
fn without_configuration(
    command: &Command,
    globals: &Globals,
    given: Overrides,
    voice: Voice,
) -> Result<ExitCode, CliError> {
    match command {
        Command::Doctor(args) => return doctor::run(&args.own, globals, given, voice),
        Command::Setup(args) => setup::run(&args.own, globals, given, voice)?,
        Command::Completion(args) => completion::run(args)?,
        Command::Trust(args) => trust::run(&args.own, voice)?,
        Command::Config(_) => config_command::path()?,
        _ => version::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn with_configuration(
    command: &Command,
    globals: &Globals,
    mut given: Overrides,
    voice: Voice,
) -> Result<ExitCode, CliError> {
    let config = Config::load()?;
    directory::look(&mut given, globals, voice);
    let settings = Settings::resolve(&config, &given)?;
    if voice.tells(2) {
        for row in Rows::of(&settings).0 {
            let said = row.said.in_words();
            voice.detail(2, || {
                format!("{} = {} ({said})", row.name, printable(&row.text))
            });
        }
    }
    // Never dropped: taking all of this apart again takes time, and the end is near.
    let app = Box::leak(Box::new(App {
        voice,
        config,
        given,
        settings,
        no_input: globals.no_input,
    }));
    match command {
        Command::Token(args) => token::run(app, &args.own)?,
        Command::Credential(args) => credential::run(app, args)?,
        _ => return unhurried(command, app),
    }
    Ok(ExitCode::SUCCESS)
}

/// The commands that people type. Kept apart from the two that programs run all day long, because
/// what all of these need on the stack would have to be mapped for those as well.
#[inline(never)]
fn unhurried(command: &Command, app: &mut App) -> Result<ExitCode, CliError> {
    match command {
        Command::Login(_) => login::run(app)?,
        Command::Status(args) => status::run(app, &args.own)?,
        Command::Whoami(args) => whoami::run(app, &args.own)?,
        Command::StepUp(args) => stepup::run(app, &args.own)?,
        Command::Switch(args) => switch::run(app, &args.own)?,
        Command::Logout(args) => logout::run(app, &args.own)?,
        Command::Curl(args) => return curl::run(app, &args.own),
        Command::Exec(args) => exec::run(app, &args.own)?,
        Command::Proxy(args) => proxy_command::run(app, &args.own)?,
        Command::Inspect(args) => return inspect::run(app, &args.own),
        Command::Profile(args) => profile::run(app, args)?,
        Command::Config(args) => config_command::run(app, args)?,
        Command::Store(args) => store::run(app, args)?,
        Command::Token(_)
        | Command::Credential(_)
        | Command::Doctor(_)
        | Command::Setup(_)
        | Command::Trust(_)
        | Command::Version
        | Command::Completion(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

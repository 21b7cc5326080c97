//! `countersign`: single sign-on for everything people do in a terminal.
//!
//! Where to start reading: `args` is the whole command line, `commands` has one file for each
//! command, `settings` says which value wins. This file only joins them and leaves with a code.
//!
//! Not responsible for the protocol, the session files or the network: those are
//! `countersign-client`'s, and this program uses its public API like any other would.

mod app;
mod applet;
mod args;
mod authorization;
mod aws;
mod commands;
mod config;
mod config_edit;
mod curl_args;
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
mod output;
mod passphrase;
mod prompt;
mod proxy;
mod qr;
mod question;
mod redact;
mod rows;
mod server;
mod settings;
mod sheet;
mod sign_in;
mod storage;
mod sts;
mod term;
mod time;
mod ways;
mod wire;
mod wrap;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use countersign_client::printable;

use crate::app::App;
use crate::args::{Cli, Command};
use crate::commands::{
    completion, credential, curl, doctor, exec, inspect, login, logout, profile,
    proxy as proxy_command, setup, status, store, token, version, whoami,
};
use crate::config::Config;
use crate::error::CliError;
use crate::given::{Globals, Overrides};
use crate::output::Voice;
use crate::rows::Rows;
use crate::settings::Settings;

fn main() -> ExitCode {
    // Never dropped: taking the tree of commands apart again takes time, and the end is near.
    let command = Box::leak(Box::new(Cli::command()));
    let mut matches = command
        .try_get_matches_from_mut(applet::arguments(std::env::args_os()))
        .unwrap_or_else(|error| error.exit());
    let (globals, given) = (Globals::look(&matches), Overrides::look(&matches));
    let cli = Cli::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit());
    let voice = Voice::new(globals.quiet, globals.verbose, globals.color);
    match run(&cli.command, &globals, given, voice) {
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
    // These need no configuration, and must work when it is broken.
    match command {
        Command::Doctor(args) => return doctor::run(&args.own, globals, given, voice),
        Command::Setup(args) => {
            return setup::run(&args.own, globals, given, voice).map(|()| ExitCode::SUCCESS);
        }
        Command::Version => return version::run().map(|()| ExitCode::SUCCESS),
        Command::Completion(args) => return completion::run(args).map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    let config = Config::load()?;
    let settings = Settings::resolve(&config, &given)?;
    if voice.tells(2) {
        for (name, value, origin) in Rows::of(&settings).0 {
            voice.detail(2, || format!("{name} = {} ({origin})", printable(&value)));
        }
    }
    let mut app = App {
        voice,
        config,
        given,
        settings,
        no_input: globals.no_input,
    };
    let done = match command {
        Command::Login(_) => login::run(&mut app),
        Command::Token(args) => token::run(&app, &args.own),
        Command::Status(args) => status::run(&app, &args.own),
        Command::Whoami(args) => whoami::run(&app, &args.own),
        Command::Logout(args) => logout::run(&app, &args.own),
        Command::Curl(args) => return curl::run(&app, &args.own),
        Command::Credential(args) => credential::run(&mut app, args),
        Command::Exec(args) => exec::run(&mut app, &args.own),
        Command::Proxy(args) => proxy_command::run(&mut app, &args.own),
        Command::Inspect(args) => return inspect::run(&app, &args.own),
        Command::Profile(args) => profile::run(&app, args),
        Command::Store(args) => store::run(&app, args),
        Command::Doctor(_) | Command::Setup(_) | Command::Version | Command::Completion(_) => {
            Ok(())
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

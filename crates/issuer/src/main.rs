//! `countersign-issuer`: serves an issuer, and keeps its users and clients.

mod commands;
mod config;
mod proxy;
mod server;
mod state;
mod tls;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use countersign_console::Problem;

/// The embedded OpenID provider of Countersign, for demo, development and CI.
#[derive(Debug, Parser)]
#[command(name = "countersign-issuer", version)]
struct Arguments {
    /// Where users, clients, logins and keys rest
    /// [default: $XDG_STATE_HOME/countersign-issuer]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "COUNTERSIGN_ISSUER_STATE_DIR"
    )]
    state_dir: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the issuer until interrupted
    Serve(commands::serve::Arguments),
    /// Add, list and change the people who can sign in
    #[command(subcommand)]
    User(commands::user::Command),
    /// List and revoke what people have granted to applications
    #[command(subcommand)]
    Grant(commands::grant::Command),
    /// Import, list and remove the Yubikeys that people can sign in with
    #[command(subcommand)]
    Yubikey(commands::yubikey::Command),
    /// Add, list and remove the applications that may ask for tokens
    #[command(subcommand)]
    Client(commands::client::Command),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Where even stderr is gone there is nobody left to tell.
            let _ = write!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Problem> {
    // Found before the runtime has threads: the environment is read once.
    let directory = state::directory(arguments.state_dir);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::no_runtime(&error))?;
    runtime.block_on(async {
        match arguments.command {
            Command::Serve(serve) => commands::serve::run(serve, directory).await,
            Command::User(command) => commands::user::run(command, directory?).await,
            Command::Grant(command) => commands::grant::run(command, &directory?).await,
            Command::Yubikey(command) => commands::yubikey::run(command, &directory?).await,
            Command::Client(command) => commands::client::run(command, directory?).await,
        }
    })
}

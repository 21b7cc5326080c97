//! `countersign-gateway`: single sign-on in front of any service.

mod commands;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Single sign-on in front of any service: reverse proxy and forward-auth.
#[derive(Debug, Parser)]
#[command(name = "countersign-gateway", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests until interrupted
    Run {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say what a configuration admits, in words, and what may not be meant
    Check {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Fail when there is a warning
        #[arg(long)]
        strict: bool,
    },
    /// Say which rule decides about a request, and why
    ///
    /// Reads the token from stdin: countersign token | countersign-gateway explain FILE GET /stock
    Explain {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The method of the request
        #[arg(value_name = "METHOD")]
        method: String,
        /// Its path
        #[arg(value_name = "PATH")]
        target: String,
        /// Explain a request without a token
        #[arg(long)]
        no_token: bool,
    },
    /// Take a token, a session or a subject no more, at every replica
    ///
    /// Needs a shared state. End the grant at the authorization server first, which would go on
    /// issuing tokens.
    Revoke {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        what: commands::revoke::What,
        /// Whose token, when the configuration has several issuers
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// For how long; longer than access tokens live
        #[arg(long = "for", value_name = "HOURS", default_value_t = 24)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=8760))]
        hours: u32,
    },
    /// Look after devices for one-time passwords
    #[command(subcommand)]
    Otp(commands::otp::Otp),
    /// Print the version
    Version,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { file } => commands::run::run(&file),
        Command::Check { file, strict } => commands::check::check(&file, strict),
        Command::Explain {
            file,
            method,
            target,
            no_token,
        } => commands::explain::explain(&file, &method, &target, no_token),
        Command::Revoke {
            file,
            what,
            issuer,
            hours,
        } => commands::revoke::revoke(&file, issuer.as_deref(), &what, hours),
        Command::Otp(command) => commands::otp::otp(&command),
        Command::Version => {
            commands::print(concat!(
                "countersign-gateway ",
                env!("CARGO_PKG_VERSION"),
                "\n"
            ));
            Ok(ExitCode::SUCCESS)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(problem) => {
            // Where even stderr is gone there is nobody left to tell.
            let _ = write!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

//! `countersign-pamd`: signs people in to this host by their single sign-on.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use countersign_pamd::session::{Which, as_table, control};
use countersign_pamd::{
    Config, Options, Problem, Trial, USUAL_CONTROL, USUAL_FILE, USUAL_SOCKET, USUAL_STATE, explain,
};

/// Sign people in to this host by their single sign-on.
#[derive(Debug, Parser)]
#[command(name = "countersign-pamd", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer the module, until there is nothing to do
    Run {
        #[command(flatten)]
        file: File,
        /// The socket of the module, unless the service manager hands one over
        #[arg(long, value_name = "PATH", default_value = USUAL_SOCKET)]
        socket: PathBuf,
        /// Where sessions are written down, so that they survive a restart
        #[arg(long, value_name = "DIRECTORY", default_value = USUAL_STATE)]
        state: PathBuf,
        #[command(flatten)]
        control: ControlSocket,
        /// How long a daemon that was started by its socket stays without anything to do
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
        idle: u64,
        /// How long the network worker stays without anything to do
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
        worker_idle: u64,
        /// Write events to standard error and not to the journal
        #[arg(long)]
        log_stderr: bool,
    },
    /// Say what a configuration does, in words, and what may not be meant
    Check {
        #[command(flatten)]
        file: File,
        /// Fail when there is a warning
        #[arg(long)]
        strict: bool,
    },
    /// Try the rules
    #[command(subcommand)]
    Policy(Policy),
    /// Look whether everything is in place for people to sign in
    Doctor {
        #[command(flatten)]
        file: File,
        /// The socket of the module
        #[arg(long, value_name = "PATH", default_value = USUAL_SOCKET)]
        socket: PathBuf,
    },
    /// List the logins that are watched
    Sessions {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        control: ControlSocket,
    },
    /// End logins at once, with every process that they started
    Kill {
        /// An account, or the reference of a login
        #[arg(value_name = "USER|REFERENCE", required_unless_present = "all")]
        which: Option<String>,
        /// Every login that is watched
        #[arg(long, conflicts_with = "which")]
        all: bool,
        #[command(flatten)]
        control: ControlSocket,
    },
    /// Have the daemon read its configuration again, and say what is wrong with it
    Reload {
        #[command(flatten)]
        control: ControlSocket,
    },
    /// Speak with the authorization server; the daemon starts this
    #[command(hide = true)]
    Worker,
}

#[derive(Debug, Subcommand)]
enum Policy {
    /// Say which rule decides about a person with these claims, and why
    Test {
        /// The account
        #[arg(value_name = "USER")]
        user: String,
        /// The claims of an ID token, as JSON; - reads standard input
        #[arg(value_name = "CLAIMS.json")]
        claims: PathBuf,
        /// Where the person comes from
        #[arg(long, value_name = "ADDRESS")]
        from: Option<std::net::IpAddr>,
        /// The service of PAM that asks, as it is called in /etc/pam.d
        #[arg(long, value_name = "NAME", default_value = "sshd")]
        service: String,
        #[command(flatten)]
        file: File,
    },
}

#[derive(Debug, clap::Args)]
struct File {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = USUAL_FILE)]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct ControlSocket {
    /// The socket of administrators
    #[arg(long, value_name = "PATH", default_value = USUAL_CONTROL)]
    control: PathBuf,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(problem) => {
            // Where even stderr is gone there is nobody left to tell.
            let _ = write!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Problem> {
    match command {
        Command::Run {
            file,
            socket,
            state,
            control,
            idle,
            worker_idle,
            log_stderr,
        } => countersign_pamd::run(&Options {
            config: file.config,
            socket,
            state,
            control: control.control,
            idle: Duration::from_secs(idle),
            rest: Duration::from_secs(worker_idle),
            log_stderr,
        })?,
        Command::Worker => countersign_pamd::worker::run()?,
        Command::Check { file, strict } => {
            let config = Config::read(&file.config)?;
            print(&explain(&config));
            for warning in config.warnings() {
                print(&format!("warning: {warning}\n"));
            }
            if strict && !config.warnings().is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Policy(Policy::Test {
            user,
            claims,
            from,
            service,
            file,
        }) => {
            let config = Config::read(&file.config)?;
            let trial = Trial {
                user: &user,
                service: &service,
                from,
            };
            let tried = countersign_pamd::try_policy(&config, trial, &claims)?;
            print(&tried.text);
            if !tried.allowed {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Doctor { file, socket } => {
            let found = countersign_pamd::examine(&file.config, &socket);
            print(&found.text);
            if !found.healthy {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Sessions { json, control } => {
            let listed = control::sessions(&control.control).map_err(not_asked)?;
            print(&if json {
                let text = serde_json::to_string_pretty(&listed);
                let text = text.map_err(|error| Problem::new("no JSON").because(error))?;
                format!("{text}\n")
            } else {
                as_table(&listed)
            });
        }
        Command::Reload { control } => {
            let read = control::reload(&control.control).map_err(not_asked)?;
            read.map_err(|why| {
                Problem::new("what was in force before stays so")
                    .why(why)
                    .hint("countersign-pamd check")
            })?;
        }
        // Without a word there is `--all`.
        Command::Kill { which, control, .. } => {
            let whom = which.as_deref().map_or(Which::All, control::which);
            return kill(&whom, which.as_deref().unwrap_or("anybody"), &control);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn kill(which: &Which, named: &str, socket: &ControlSocket) -> Result<ExitCode, Problem> {
    let killed = control::kill(&socket.control, which).map_err(not_asked)?;
    if killed.references.is_empty() {
        return Err(Problem::new(format!("no login of {named} is watched"))
            .hint("countersign-pamd sessions"));
    }
    for reference in &killed.references {
        print(&format!("ended {reference}\n"));
    }
    if killed.left.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    print(&as_table(&killed.left));
    Err(Problem::new("not every process has ended yet"))
}

fn not_asked(error: control::ControlError) -> Problem {
    let hint = error.hint();
    Problem::new("the daemon cannot be asked")
        .because(error)
        .hint(hint)
}

fn print(text: &str) {
    // A reader that has gone is no reason to fail.
    let _ = write!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn whom_to_end_is_said() {
        for (words, is_said) in [
            (&["kill"][..], false),
            (&["kill", "ada"], true),
            (&["kill", "--all"], true),
            (&["kill", "ada", "--all"], false),
        ] {
            let words = [&["countersign-pamd"], words].concat();
            assert_eq!(
                Arguments::try_parse_from(&words).is_ok(),
                is_said,
                "{words:?}"
            );
        }
    }
}

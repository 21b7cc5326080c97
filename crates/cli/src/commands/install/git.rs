//! git's configuration, through git itself: nothing else knows all of its syntax, its files and the
//! variables that lead to them.

use std::process::{Command, Stdio};

use super::{Direction, Naming, Plan, foreign, meant, word};
use crate::app::App;
use crate::args::InstallGit;
use crate::error::CliError;
use crate::hosts::Host;
use crate::output::shell_word;

pub(super) fn run(app: &App, to: Direction, args: &InstallGit) -> Result<(), CliError> {
    let hosts = meant(app, &args.hosts, "git", |layer| layer.git.as_ref())?;
    let ours = format!("!{} credential git", shell_word(&word()?));
    let mut plan = Plan::default();
    let mut keys = Vec::new();
    for host in &hosts {
        let key = key(host);
        let there = helpers(&key)?;
        // The empty one keeps what is set for all hosts away from this one.
        let is_ours = there == ["", ours.as_str()];
        match to {
            Direction::Install if is_ours => continue,
            Direction::Install if there.is_empty() => {}
            Direction::Uninstall if is_ours => {}
            Direction::Uninstall if there.is_empty() => continue,
            _ => {
                return Err(foreign(format!("git has another helper for {host}"))
                    .why(format!("{key} = {}", there.join(", ")))
                    .hint(format!("git config --global --unset-all {key}")));
            }
        }
        match to {
            Direction::Install => plan.add(format!("git config --global {key}: + '' and {ours}")),
            Direction::Uninstall => plan.add(format!("git config --global {key}: - '' and {ours}")),
        }
        keys.push(key);
    }
    let naming = Naming::plan(
        app,
        to,
        "git",
        |layer| layer.git.as_ref(),
        &args.hosts,
        &mut plan,
    )?;
    if !plan.tell(app, args.print)? {
        return Ok(());
    }
    // First what lets the token go there, or no longer.
    naming.apply(app)?;
    for key in keys {
        match to {
            Direction::Install => {
                git(&["--add", &key, ""])?;
                git(&["--add", &key, &ours])?;
            }
            Direction::Uninstall => git(&["--unset-all", &key])?,
        }
    }
    Ok(())
}

fn key(host: &Host) -> String {
    format!("credential.https://{host}.helper")
}

/// The helpers that there are for a key, in their order.
fn helpers(key: &str) -> Result<Vec<String>, CliError> {
    let output = command(&["--null", "--get-all", key])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_run(&error))?;
    match output.status.code() {
        Some(0) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let values = text.strip_suffix('\0').unwrap_or(&text).split('\0');
            Ok(values.map(str::to_owned).collect())
        }
        // There is none.
        Some(1) => Ok(Vec::new()),
        _ => Err(failed(&output.stderr)),
    }
}

fn git(arguments: &[&str]) -> Result<(), CliError> {
    let output = command(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_run(&error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(&output.stderr))
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(["config", "--global"]).args(arguments);
    command
}

fn failed(stderr: &[u8]) -> CliError {
    let said = countersign_client::printable(&String::from_utf8_lossy(stderr));
    CliError::configuration("git could not change its configuration").why(said)
}

fn not_run(error: &std::io::Error) -> CliError {
    CliError::configuration("git could not be run").why(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_host_as_git_writes_it() {
        let host = Host::parse("[::1]:8443").unwrap();
        assert_eq!(key(&host), "credential.https://[::1]:8443.helper");
    }
}

//! git's configuration, through git itself: nothing else knows all of its syntax, its files and the
//! variables that lead to them.

use std::process::{Command, Stdio};

use super::{Direction, Naming, Plan, account, foreign, meant, word};
use crate::app::App;
use crate::args::InstallGit;
use crate::error::CliError;
use crate::hosts::Host;
use crate::output::shell_word;

pub(super) fn run(app: &App, to: Direction, args: &InstallGit) -> Result<(), CliError> {
    let hosts = meant(app, &args.hosts, "git", |layer| layer.git.as_ref())?;
    let program = word()?;
    let start = format!("!{} ", shell_word(&program));
    let account = account(app)?.map_or_else(String::new, |name| format!("--account {name} "));
    let ours = format!("{start}{account}credential git");
    let mut plan = Plan::default();
    let mut keys = Vec::new();
    for host in &hosts {
        let key = key(host);
        let there = helpers(&key)?;
        // The empty one keeps what is set for all hosts away from this one.
        let is_ours = match to {
            Direction::Install => there == ["", ours.as_str()],
            Direction::Uninstall => is_installed(&there, &start),
        };
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
            Direction::Uninstall => {
                let there = there.last().map_or(ours.as_str(), String::as_str);
                plan.add(format!("git config --global {key}: - '' and {there}"));
            }
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

/// Whether `install` has written this, for whichever account.
fn is_installed(there: &[String], start: &str) -> bool {
    let [empty, helper] = there else {
        return false;
    };
    let rest = helper.strip_prefix(start);
    let rest = rest.and_then(|rest| rest.strip_suffix("credential git"));
    let named = |rest: &str| rest.starts_with("--account ") && rest.split(' ').count() == 3;
    empty.is_empty() && rest.is_some_and(|rest| rest.is_empty() || named(rest))
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
    command
        .args(["config", "--global"])
        .args(arguments)
        .env_remove("COUNTERSIGN_TOKEN");
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
    fn only_what_install_writes_is_ours() {
        let is = |helper: &str| is_installed(&[String::new(), helper.to_owned()], "!countersign ");
        assert!(is("!countersign credential git"));
        assert!(is("!countersign --account ada@example.com credential git"));
        for helper in [
            "!countersign credential git && x",
            "!countersign --account a b credential git",
            "!countersign -p work credential git",
            "!other credential git",
            "store",
        ] {
            assert!(!is(helper), "{helper}");
        }
        assert!(!is_installed(
            &["store".to_owned(), "!countersign credential git".to_owned()],
            "!countersign "
        ));
    }

    #[test]
    fn a_key_has_the_host_as_git_writes_it() {
        let host = Host::parse("[::1]:8443").unwrap();
        assert_eq!(key(&host), "credential.https://[::1]:8443.helper");
    }
}

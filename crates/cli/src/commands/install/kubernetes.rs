//! A user in the kubeconfig, through kubectl: a kubeconfig can be several files of YAML, and kubectl
//! knows which of them to write and keeps what it does not know.

use std::io;
use std::process::{Command, Output, Stdio};

use countersign_client::printable;
use serde::Deserialize;

use super::{Direction, Plan, account, foreign, profile, word};
use crate::app::App;
use crate::args::InstallKubernetes;
use crate::error::CliError;
use crate::output::shell_word;

/// What `kubectl config view -o json` says, secrets left out, as far as it matters.
#[derive(Deserialize)]
struct View {
    #[serde(default)]
    users: Option<Vec<User>>,
}

#[derive(Deserialize)]
struct User {
    name: String,
    #[serde(default)]
    user: serde_json::Map<String, serde_json::Value>,
}

/// How the plugin is started, as far as it is ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exec {
    api_version: String,
    command: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    interactive_mode: Option<String>,
}

pub(super) fn run(app: &App, to: Direction, args: &InstallKubernetes) -> Result<(), CliError> {
    let name = args.user.as_str();
    let there = look(name)?;
    let mut plan = Plan::default();
    let arguments = match to {
        Direction::Uninstall => {
            match there {
                None => {}
                Some(user) if exec_of(&user).is_some_and(|exec| is_ours(&exec)) => {
                    plan.add(format!("kubectl config delete-user {name}"));
                }
                Some(_) => return Err(taken(name)),
            }
            vec!["delete-user".to_owned(), name.to_owned()]
        }
        Direction::Install => {
            let program = word()?;
            let wanted = wanted(app, args)?;
            let arguments = set(name, &program, &wanted);
            match there {
                None => plan.add(command_line(&arguments)),
                Some(user) => match exec_of(&user) {
                    Some(exec) if is_the_same(&exec, &program, &wanted) => {}
                    Some(exec) if is_ours(&exec) => plan.add(command_line(&arguments)),
                    _ => return Err(taken(name)),
                },
            }
            arguments
        }
    };
    if !plan.tell(app, args.print)? {
        return Ok(());
    }
    let output = kubectl(&arguments)?;
    if !output.status.success() {
        return Err(failed(&output));
    }
    if to == Direction::Install {
        app.voice.say(&format!(
            "To use it: kubectl config set-context --current --user={name}"
        ));
    }
    Ok(())
}

/// The arguments that kubectl is to start this program with.
fn wanted(app: &App, args: &InstallKubernetes) -> Result<Vec<String>, CliError> {
    let mut wanted = vec!["-p", profile(app)?];
    if let Some(account) = account(app)? {
        wanted.extend(["--account", account]);
    }
    wanted.extend(["credential", "kubernetes"]);
    if args.access_token {
        wanted.push("--access-token");
    }
    Ok(wanted.into_iter().map(str::to_owned).collect())
}

fn set(name: &str, program: &str, wanted: &[String]) -> Vec<String> {
    let mut arguments = vec![
        "set-credentials".to_owned(),
        name.to_owned(),
        "--exec-api-version=client.authentication.k8s.io/v1".to_owned(),
        "--exec-interactive-mode=Never".to_owned(),
        format!("--exec-command={program}"),
    ];
    arguments.extend(wanted.iter().map(|word| format!("--exec-arg={word}")));
    arguments
}

fn command_line(arguments: &[String]) -> String {
    let words = arguments.iter().map(|word| shell_word(word));
    let words: Vec<_> = words.collect();
    format!("kubectl config {}", words.join(" "))
}

/// The user of this name, if there is one.
fn look(name: &str) -> Result<Option<User>, CliError> {
    let output = kubectl(&["view", "-o", "json"].map(str::to_owned))?;
    if !output.status.success() {
        return Err(failed(&output));
    }
    let view: View = serde_json::from_slice(&output.stdout).map_err(|error| {
        foreign("what kubectl says of the kubeconfig is not understood").why(error.to_string())
    })?;
    let mut users = view.users.unwrap_or_default().into_iter();
    Ok(users.find(|user| user.name == name))
}

/// The plugin of a user that has nothing else.
fn exec_of(user: &User) -> Option<Exec> {
    let alone = user.user.keys().all(|key| key == "exec");
    let exec = user.user.get("exec").filter(|_| alone)?;
    serde_json::from_value(exec.clone()).ok()
}

/// Whether `install` may have written it, for whichever profile.
fn is_ours(exec: &Exec) -> bool {
    let command = exec.command.rsplit('/').next();
    let words = exec.args.as_deref().unwrap_or_default();
    let asks = words
        .windows(2)
        .any(|two| two == ["credential", "kubernetes"]);
    command == Some("countersign") && asks
}

fn is_the_same(exec: &Exec, program: &str, wanted: &[String]) -> bool {
    exec.command == program
        && exec.args.as_deref() == Some(wanted)
        && exec.api_version == "client.authentication.k8s.io/v1"
        && exec.interactive_mode.as_deref() == Some("Never")
}

fn taken(name: &str) -> CliError {
    foreign(format!("the kubeconfig has another user {name}")).hint("give another name with --user")
}

fn kubectl(arguments: &[String]) -> Result<Output, CliError> {
    let mut command = Command::new("kubectl");
    command
        .arg("config")
        .args(arguments)
        .env_remove("COUNTERSIGN_TOKEN")
        .stdin(Stdio::null());
    command.output().map_err(|error| {
        let what = CliError::configuration("kubectl could not be run").why(error.to_string());
        match error.kind() {
            io::ErrorKind::NotFound => what.hint("install kubectl, which edits the kubeconfig"),
            _ => what,
        }
    })
}

fn failed(output: &Output) -> CliError {
    let said = printable(&String::from_utf8_lossy(&output.stderr));
    CliError::configuration("kubectl could not do it").why(said)
}

//! `countersign-issuer user …`.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_console::Problem;
use countersign_issuer::core::{AccountChange, AccountRejected, Core, FactorKind, NewAccount};
use countersign_oauth::Secret;
use countersign_oauth::text::printable;
use dialoguer::Password;

use super::{administration, date, factor_administration, now, print, tell};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add someone; the password is asked for, or read from standard input
    Add(Add),
    /// List everyone: user name, state, name, e-mail address, groups
    List,
    /// Change someone's name, e-mail address or groups; logins go on, and say it
    /// from their next renewal on
    Set(Set),
    /// Let someone sign in no more, and end all logins at once
    Disable { username: String },
    /// Let someone sign in again
    Enable { username: String },
    /// Remove someone with all logins
    Remove { username: String },
    /// Give someone another password, and end all logins
    Password { username: String },
    /// List and reset someone's second factors
    #[command(subcommand)]
    Factors(Factors),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Factors {
    /// List them: kind, public id, since when, last use; then the recovery codes left
    List { username: String },
    /// Take all of them, and the recovery codes, from someone who has lost them,
    /// and end all logins
    Reset { username: String },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The name to sign in with
    username: String,
    /// The name for people
    #[arg(long)]
    name: Option<String>,
    /// The e-mail address
    #[arg(long)]
    email: Option<String>,
    /// A group; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Change {
    /// The name for people; an empty one takes it away
    #[arg(long)]
    name: Option<String>,
    /// The e-mail address; an empty one takes it away
    #[arg(long)]
    email: Option<String>,
    /// A group to join; may be given several times
    #[arg(long = "add-group", value_name = "GROUP")]
    join: Vec<String>,
    /// A group to leave; may be given several times
    #[arg(long = "remove-group", value_name = "GROUP")]
    leave: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    username: String,
    #[command(flatten)]
    change: Change,
}

pub(crate) async fn run(command: Command, directory: PathBuf) -> Result<(), Problem> {
    if let Command::Factors(command) = command {
        return factors(command, &factor_administration(&directory)?).await;
    }
    let core = administration(&directory)?;
    match command {
        Command::Add(add) => {
            let password = new_password()?;
            let account = NewAccount {
                username: add.username,
                name: add.name,
                email: add.email,
                password,
            };
            let account = core
                .add_account(account, add.groups, now())
                .await?
                .map_err(rejected)?;
            tell(format!("{} can sign in", account.username));
        }
        Command::List => {
            for account in core.accounts()? {
                let state = if account.disabled {
                    "disabled"
                } else {
                    "enabled"
                };
                let fields = [
                    account.username,
                    state.to_owned(),
                    account.name.unwrap_or_default(),
                    account.email.unwrap_or_default(),
                    account.groups.join(","),
                ];
                print(fields.map(|field| printable(&field)).join("\t"))?;
            }
        }
        Command::Set(Set { username, change }) => {
            let change = AccountChange {
                name: change.name,
                email: change.email,
                join: change.join,
                leave: change.leave,
            };
            let changed = core
                .change_account(&username, change)
                .await?
                .map_err(rejected)?;
            found(changed, &username)?;
            tell(format!(
                "{username} is changed; logins say so from their next renewal on"
            ));
        }
        Command::Disable { username } => {
            found(core.set_disabled(&username, true).await?, &username)?;
            tell(format!("{username} is disabled, all logins have ended"));
        }
        Command::Enable { username } => {
            found(core.set_disabled(&username, false).await?, &username)?;
            tell(format!("{username} can sign in"));
        }
        Command::Remove { username } => {
            found(core.remove_account(&username).await?, &username)?;
            tell(format!("{username} is removed"));
        }
        Command::Password { username } => {
            let password = new_password()?;
            let changed = core
                .set_password(&username, &password)
                .await?
                .map_err(rejected)?;
            found(changed, &username)?;
            tell(format!(
                "{username} has another password, all logins have ended"
            ));
        }
        // Above, with other keys.
        Command::Factors(_) => {}
    }
    Ok(())
}

async fn factors(command: Factors, core: &Core) -> Result<(), Problem> {
    match command {
        Factors::List { username } => {
            let name = username.to_lowercase();
            let accounts = core.accounts()?;
            let account = accounts.iter().find(|account| account.username == name);
            found(account.is_some(), &username)?;
            let id = account
                .map(|account| account.id.as_str())
                .unwrap_or_default();
            for factor in core.factors(id)? {
                let kind = match factor.kind {
                    FactorKind::Totp => "authenticator",
                    FactorKind::Yubikey { .. } => "yubikey",
                };
                let fields = [
                    kind.to_owned(),
                    factor.kind.public_id().unwrap_or("-").to_owned(),
                    date(factor.since),
                    factor.used_at.map_or_else(|| "-".to_owned(), date),
                ];
                print(fields.join("\t"))?;
            }
            print(format!("recovery codes\t{}", core.recovery_codes_left(id)?))?;
        }
        Factors::Reset { username } => {
            found(core.reset_factors(&username).await?, &username)?;
            tell(format!(
                "{username} has no second factor any more, all logins have ended"
            ));
        }
    }
    Ok(())
}

fn rejected(rejected: AccountRejected) -> Problem {
    Problem::new(rejected.to_string())
}

pub(super) fn found(found: bool, username: &str) -> Result<(), Problem> {
    if found {
        return Ok(());
    }
    Err(Problem::new(format!("there is no user {username}"))
        .hint("see who there is: countersign-issuer user list"))
}

/// Asks for a new password twice, or takes the first line of what is piped in.
/// Never from the command line, which other users of the machine can read.
fn new_password() -> Result<Secret, Problem> {
    let unread = |error| Problem::new("no password could be read").because(error);
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Password::new()
            .with_prompt("New password")
            .with_confirmation("The same again", "These were not the same.")
            .interact()
            .map(Secret::from)
            .map_err(|error| Problem::new("no password could be read").because(error));
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(unread)?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(Problem::new("there is no password on standard input").hint(
            "type it when asked, or pipe it in: pass show id | countersign-issuer user add NAME",
        ));
    }
    Ok(Secret::new(password))
}

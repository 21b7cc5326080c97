//! `countersign switch`: which account of the profile is used from now on.
//!
//! It is noted beside the sessions, not in a configuration file: it is a fact about this computer and
//! this moment, and is no part of what people share.

use std::fmt::Write as _;

use countersign_client::{Account, Accounts, ExitCategory, printable};

use crate::app::App;
use crate::args::SwitchArgs;
use crate::commands::whoami::session_line;
use crate::error::CliError;
use crate::output::{self, shell_word};
use crate::question;

pub(crate) fn run(app: &App, args: &SwitchArgs) -> Result<(), CliError> {
    app.settings.require_issuer(&app.config)?;
    let Some(accounts) = app.accounts()? else {
        return Err(CliError::usage("accounts belong to a profile")
            .why("this server and client belong to none")
            .hint("countersign profile list"));
    };
    let typed = app.settings.account.as_ref();
    let typed = typed.filter(|account| account.origin.is_typed());
    let word = args.to.as_ref().or(typed.map(|account| &account.value));
    let account = match word {
        Some(word) => app.find(&accounts, word)?,
        None => other(app, &accounts)?,
    };
    accounts.activate(&account.name)?;
    let profile = accounts.base();
    let now = format!(
        "Profile `{profile}` now uses the account {}.",
        line(&account)
    );
    app.voice.say(&output::fold(&now));
    warn_if_overruled(app, &account);
    Ok(())
}

/// The account to use where none was named.
fn other(app: &App, accounts: &Accounts) -> Result<Account, CliError> {
    let mut list = accounts.list()?;
    let active = list.iter().position(|account| account.active);
    match (list.len(), active) {
        (0, _) => {
            let what = "nobody is signed in";
            let error = CliError::new(ExitCategory::LoginRequired, "login_required", what);
            Err(error.hint(app.command_without_account("login")))
        }
        (1, Some(_)) => {
            let what = format!("there is no other account than `{}`", list.remove(0).label);
            let login = app.command_without_account("login --account NAME");
            Err(CliError::usage(what).hint(login))
        }
        (1, None) => Ok(list.remove(0)),
        (2, Some(active)) => Ok(list.remove(1 - active)),
        _ => choose(app, list),
    }
}

/// Lets the person say which.
fn choose(app: &App, mut list: Vec<Account>) -> Result<Account, CliError> {
    if !app.may_ask() {
        let mut text = String::new();
        for account in &list {
            let mark = if account.active { '*' } else { ' ' };
            let _ = writeln!(text, "{mark} {}", line(account));
        }
        output::artefact(&text)?;
        return Err(
            CliError::usage(format!("there are {} accounts to choose from", list.len()))
                .hint(app.command_without_account("switch ACCOUNT")),
        );
    }
    let mut text = String::new();
    for (number, account) in (1..).zip(&list) {
        let mark = if account.active { '*' } else { ' ' };
        let _ = writeln!(text, "{mark} {number}  {}", line(account));
    }
    output::message(&text);
    loop {
        let answer = question::ask("Account", None)?;
        let number = answer.parse::<usize>().ok();
        let chosen = number.and_then(|number| number.checked_sub(1));
        let by_name = || list.iter().position(|account| account.label == answer);
        if let Some(index) = chosen.filter(|index| *index < list.len()).or_else(by_name) {
            return Ok(list.swap_remove(index));
        }
    }
}

/// What a person knows an account by.
fn line(account: &Account) -> String {
    let label = printable(&account.label);
    let person = account.session.as_ref().and_then(session_line);
    match person.filter(|person| *person != label) {
        Some(person) => format!("`{label}`, {person}"),
        None => format!("`{label}`"),
    }
}

/// Says so where something else decides which account is used here.
fn warn_if_overruled(app: &App, account: &Account) {
    let named = app.settings.account.as_ref();
    let Some(named) = named.filter(|named| !named.origin.is_typed()) else {
        return;
    };
    if !named.value.eq_ignore_ascii_case(&account.label) {
        let value = shell_word(&named.value).into_owned();
        app.voice.warn(&format!(
            "{} says {}, which wins here",
            named.origin,
            printable(&value)
        ));
    }
}

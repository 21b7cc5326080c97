//! `countersign status`: whether someone is signed in, and for how long. Never starts a login.
//!
//! Exit codes: 0 signed in, 4 not signed in, 3 when `--verify` could not find out.

use std::fmt::Write as _;

use countersign_client::{
    Account, ExitCategory, Session, SessionName, SignIn, VaultKind, printable, userinfo,
};
use serde_json::{Value, json};

use crate::app::{App, ready_made_token};
use crate::args::StatusArgs;
use crate::commands::token::token_type;
use crate::commands::whoami::identity_json;
use crate::duration;
use crate::error::CliError;
use crate::output;
use crate::time;

/// What is known about the session.
enum State {
    /// The access token is good, or can be renewed without a person.
    SignedIn,
    /// There is a session, and it has run out.
    Expired,
    /// There is no session.
    SignedOut,
}

impl State {
    fn of(session: Option<&Session>) -> Self {
        let Some(session) = session else {
            return Self::SignedOut;
        };
        // Servers that do not say how long a token lives are asked by using it.
        let good = session
            .remaining(time::now())
            .is_none_or(|left| !left.is_zero());
        if good || is_renewable(session) {
            Self::SignedIn
        } else {
            Self::Expired
        }
    }

    fn in_words(&self) -> &'static str {
        match self {
            Self::SignedIn => "signed in",
            Self::Expired => "has ended",
            Self::SignedOut => "cannot be read",
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::Expired => "expired",
            Self::SignedOut => "signed-out",
        }
    }
}

pub(crate) fn run(app: &App, args: &StatusArgs) -> Result<(), CliError> {
    if ready_made_token()?.is_some() {
        return ready_made(args);
    }
    let session = match app.tokens() {
        Ok(tokens) => Some(tokens),
        Err(error) if error.exit() == ExitCategory::LoginRequired => None,
        Err(error) => return Err(error),
    };
    // The server is asked before anything is printed, because asking may renew the token.
    let verified = match &session {
        Some(tokens) if args.verify => Some(userinfo(tokens)),
        _ => None,
    };
    let name = session.as_ref().map(|tokens| tokens.name().clone());
    let session = session.map(|tokens| tokens.session());
    let accounts = accounts(app, name.as_ref())?;
    let state = match &verified {
        Some(Err(error)) if error.exit_category() == ExitCategory::LoginRequired => State::Expired,
        _ => State::of(session.as_ref()),
    };
    let confirmed = verified.as_ref().map(Result::is_ok);
    if args.json {
        output::json(&json(app, &state, session.as_ref(), confirmed, &accounts))?;
    } else {
        output::artefact(&text(app, &state, session.as_ref(), confirmed, &accounts))?;
    }
    match (verified, state) {
        // The server could not be asked, or not about this: neither yes nor no.
        (Some(Err(error)), State::SignedIn) => {
            Err(app.explain(error).leaving_with(ExitCategory::Unreachable))
        }
        (_, State::SignedIn) => Ok(()),
        (_, State::Expired | State::SignedOut) => {
            Err(CliError::silent(ExitCategory::LoginRequired))
        }
    }
}

/// The accounts of the profile, of which the one that is reported about counts as the one in use.
fn accounts(app: &App, session: Option<&SessionName>) -> Result<Vec<Account>, CliError> {
    let mut list = match app.accounts()? {
        Some(accounts) => accounts.list()?,
        None => Vec::new(),
    };
    for account in &mut list {
        account.active = session == Some(&account.name);
    }
    Ok(list)
}

fn text(
    app: &App,
    state: &State,
    session: Option<&Session>,
    confirmed: Option<bool>,
    accounts: &[Account],
) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &'static str, value: String| rows.push((name, value));
    if let Some(profile) = app.settings.profile_name() {
        row("Profile", profile.to_owned());
    }
    // Who has one account and is signed in to it need not be told.
    if accounts.len() > 1 || accounts.iter().any(|account| !account.active) {
        let names = std::iter::once("Accounts").chain(std::iter::repeat(""));
        for (name, account) in names.zip(accounts) {
            let mark = if account.active { '*' } else { ' ' };
            let label = printable(&account.label);
            let state = State::of(account.session.as_ref()).in_words();
            row(name, format!("{mark} {label} ({state})"));
        }
    }
    let Some(session) = session else {
        row(
            "Status",
            format!("not signed in; type `{}`", app.command("login")),
        );
        return table(&rows);
    };
    row(
        "Server",
        format!(
            "{} (client {})",
            printable(session.issuer()),
            printable(session.client_id())
        ),
    );
    if let Some(person) = session.identity().line() {
        row("Person", person);
    }
    if let Some(flow) = session.flow() {
        row("Flow", flow.to_string());
    }
    row(
        "Status",
        match state {
            State::SignedIn => "signed in".to_owned(),
            State::Expired | State::SignedOut => {
                format!("the session has ended; type `{}`", app.command("login"))
            }
        },
    );
    if confirmed != Some(false) || matches!(state, State::SignedIn) {
        row("Token", token_text(session));
    }
    if let (Some(kind), true) = (session.kept_in(), session.has_refresh_token()) {
        row("Kept", format!("the refresh token is {}", kind.place()));
    }
    if session.is_bound() {
        row("Bound", "to a key of this session (DPoP)".to_owned());
    }
    if !session.scopes().is_empty() {
        row("Scopes", printable(&session.scopes().join(" ")));
    }
    match confirmed {
        Some(true) => row("Checked", "the server accepts the token".to_owned()),
        Some(false) if matches!(state, State::SignedIn) => {
            row("Checked", "no, the server could not be asked".to_owned());
        }
        Some(false) | None => {}
    }
    table(&rows)
}

/// Whether another token can be had without a person: by the refresh token, or because a client that
/// signed in as itself can do so again.
fn is_renewable(session: &Session) -> bool {
    let as_itself = session.flow() == Some(SignIn::ClientCredentials) && !session.has_ended();
    session.has_refresh_token() || as_itself
}

/// How long the access token is good for, and what happens then.
fn token_text(session: &Session) -> String {
    let after = if is_renewable(session) {
        ", then renewed"
    } else {
        ""
    };
    match (session.remaining(time::now()), session.expires_at()) {
        (Some(left), Some(at)) if !left.is_zero() => {
            format!(
                "good for {} (until {}){after}",
                duration::text(left),
                time::text(at)
            )
        }
        (Some(_), _) if is_renewable(session) => "expired; renewed when next needed".to_owned(),
        (Some(_), _) => "expired".to_owned(),
        (None, _) => "the server does not say how long it is good".to_owned(),
    }
}

fn json(
    app: &App,
    state: &State,
    session: Option<&Session>,
    confirmed: Option<bool>,
    accounts: &[Account],
) -> Value {
    let active = accounts.iter().find(|account| account.active);
    let all: Vec<Value> = accounts.iter().map(account_json).collect();
    let mut object = json!({
        "status": state.word(),
        "profile": app.settings.profile_name(),
        "account": active.map(|account| &account.label),
        "accounts": all,
        "verified": confirmed,
    });
    if let (Some(session), Some(object)) = (session, object.as_object_mut()) {
        let left = session.remaining(time::now()).map(|left| left.as_secs());
        object.insert("issuer".to_owned(), json!(session.issuer()));
        object.insert("client_id".to_owned(), json!(session.client_id()));
        object.insert("identity".to_owned(), identity_json(session.identity()));
        object.insert("scopes".to_owned(), json!(session.scopes()));
        object.insert(
            "expires_at".to_owned(),
            json!(session.expires_at().map(time::rfc3339)),
        );
        object.insert("expires_in".to_owned(), json!(left));
        object.insert("renewable".to_owned(), json!(is_renewable(session)));
        let kept_in = session.kept_in().map(VaultKind::as_str);
        object.insert("kept_in".to_owned(), json!(kept_in));
        let flow = session.flow().map(SignIn::as_str);
        object.insert("flow".to_owned(), json!(flow));
        object.insert(
            "token_type".to_owned(),
            json!(token_type(session.is_bound())),
        );
    }
    object
}

fn account_json(account: &Account) -> Value {
    let session = account.session.as_ref();
    json!({
        "account": account.label,
        "in_use": account.active,
        "status": State::of(session).word(),
        "identity": session.map(|session| identity_json(session.identity())),
    })
}

/// What can be said about a token that the environment brings: that it is there.
fn ready_made(args: &StatusArgs) -> Result<(), CliError> {
    if args.json {
        return output::json(&json!({ "status": "token-from-environment" }));
    }
    output::artefact(&table(&[(
        "Status",
        "using the token in COUNTERSIGN_TOKEN, whatever it is worth".to_owned(),
    )]))
}

/// Names in one column, values in the next.
pub(crate) fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:width$}  {value}");
    }
    text
}

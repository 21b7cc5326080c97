//! `countersign login`: sign a person in, and remember where.

use countersign_client::{Error, ExitCategory, Obstacle, OtherPerson, Session, SignIn, printable};

use crate::app::{App, ready_made_token};
use crate::commands::whoami::client_line;
use crate::config_edit::ConfigEdit;
use crate::error::CliError;
use crate::layer::Layer;
use crate::output::shell_word;
use crate::prompt::Screen;
use crate::server::DEFAULT_CLIENT_ID;
use crate::settings::{self, DEFAULT_PROFILE, Origin, Setting, Settings};
use crate::term::Terminal;
use crate::{output, question};

pub(crate) fn run(app: &mut App) -> Result<(), CliError> {
    if ready_made_token()?.is_some() {
        let what = "the environment brings a token already";
        return Err(CliError::usage(what)
            .why("COUNTERSIGN_TOKEN wins over any session, so a login would change nothing")
            .hint("unset COUNTERSIGN_TOKEN"));
    }
    let nowhere = app.settings.server.issuer()?.is_none();
    if nowhere && app.config.profile_names().is_empty() && app.may_ask() {
        ask(app)?;
    }
    let keep_as = profile_to_write(app)?;
    let login = app.sign_in()?.command("countersign login");
    let mut screen = Screen::new(app.voice, Terminal::of_stderr(), app.settings.qr.value)
        .asking(app.may_ask())
        .taking_paste(app.takes_paste());
    let named = app.settings.account.as_ref();
    let done = match app.accounts()? {
        Some(accounts) => {
            let named = named.map(|account| account.value.as_str());
            accounts.sign_in(&login, named, &mut screen).map(|done| {
                let account = done.beside.then_some(done.label);
                (done.session, account)
            })
        }
        None => login.run(&mut screen).map(|session| (session, None)),
    };
    let (session, account) = done.map_err(|error| failed(app, error, &screen))?;
    let is_kept = keep_as.is_some() || app.settings.profile_exists;
    if let Some(name) = keep_as {
        write_profile(app, &name);
    }
    if let (Some(flow), true) = (session.flow(), screen.has_agreed() && is_kept) {
        keep_flow(app, flow);
    }
    app.voice.say(&welcome(&session));
    if let Some(account) = account {
        let account = printable(&account);
        app.voice.say(&format!(
            "Account `{account}` is in use; `countersign switch` changes that."
        ));
    }
    Ok(())
}

fn welcome(session: &Session) -> String {
    if session.flow() == Some(SignIn::ClientCredentials) {
        return format!("Signed in as {}.", client_line(session.client_id()));
    }
    let identity = session.identity();
    let name = identity.name.as_deref().map(printable);
    let name = name.filter(|name| !name.is_empty());
    match name.or_else(|| identity.line()) {
        Some(name) => format!("Welcome, {name}."),
        None => "Welcome.".to_owned(),
    }
}

/// An error of a login, with what to type for another way where there is one.
fn failed(app: &App, error: Error, screen: &Screen) -> CliError {
    match &error {
        Error::Cancelled if screen.was_deserted() => CliError::new(
            ExitCategory::LoginRequired,
            "no_input",
            "nobody pasted a code before standard input ended",
        )
        .hint(app.command("login")),
        Error::NoWayToSignIn { closed } => no_way(app, &error, closed),
        Error::AnotherWay(closed) => {
            let others = closed.others.clone();
            let hint = |error: CliError, way: &SignIn| {
                error.hint(app.command(&format!("login --flow {way}")))
            };
            others.iter().fold(app.explain(error), hint)
        }
        Error::OtherPerson(other) => {
            let account = shell_word(other.account()).into_owned();
            let again = format!("login --account {account} --prompt login");
            let known = match &**other {
                OtherPerson::KnownAs { known, .. } => Some(known.clone()),
                _ => None,
            };
            let error = app
                .explain(error)
                .why("nothing is kept of it, and all is as it was");
            let error = error.hint(app.command_without_account(&again));
            match known {
                Some(known) => {
                    let switch = format!("switch {}", shell_word(&known));
                    error.hint(app.command_without_account(&switch))
                }
                None => error.hint(app.command_without_account("login --account ANOTHER-NAME")),
            }
        }
        _ => app.explain(error),
    }
}

/// What keeps each way to sign in closed, one in a line.
fn no_way(app: &App, error: &Error, closed: &[(SignIn, Obstacle)]) -> CliError {
    let what = "there is no way to sign in here";
    let mut text = CliError::new(error.exit_category(), error.code(), what);
    for (way, obstacle) in closed {
        text = text.why(format!("{way}: {obstacle}"));
    }
    let keeps = |wanted: fn(&Obstacle) -> bool| closed.iter().any(|(_, found)| wanted(found));
    if let Some(allowed) = &app.settings.allowed_flows
        && keeps(|obstacle| matches!(obstacle, Obstacle::NotAllowed))
    {
        for file in allowed.files() {
            text = text.why(format!("what is allowed stands in {}", file.display()));
        }
    }
    if keeps(|obstacle| matches!(obstacle, Obstacle::NoCredentials)) {
        text = text.hint("add --client-secret-file FILE or --client-key-file FILE");
    }
    if keeps(|obstacle| matches!(obstacle, Obstacle::NobodyToPaste)) {
        let command = app.command("login --flow paste");
        text = text
            .hint(format!("in a terminal: {}", app.command("login")))
            .hint(format!("with the code on standard input: {command}"));
    }
    text
}

/// Asks a person where they sign in.
fn ask(app: &mut App) -> Result<(), CliError> {
    output::message(
        "Where do you sign in? Your administrator knows the issuer URL and client id.\n\
         With nothing at hand, `cargo demo` in Countersign's sources shows it all.\n\n",
    );
    let issuer = question::ask("Issuer URL", None)?;
    let client_id = question::ask("Client id", Some(DEFAULT_CLIENT_ID))?;
    output::message("\n");
    // As if it had been typed as flags.
    app.given.flags.issuer = Some(issuer);
    app.given.flags.client_id = Some(client_id);
    app.settings = Settings::resolve(&app.config, &app.given)?;
    Ok(())
}

/// The profile that this login makes, if it makes one: flags name a server, and there is no profile
/// of that name yet. What only the environment says is not written down.
///
/// # Errors
/// When flags name another server than the profile in use. Signing in there would replace the
/// profile's session by one that the profile does not describe.
fn profile_to_write(app: &mut App) -> Result<Option<String>, CliError> {
    let issuer = app.settings.server.issuer.as_ref();
    if !issuer.is_some_and(|issuer| issuer.origin.is_typed()) {
        return Ok(None);
    }
    let name = app
        .settings
        .profile_name()
        .unwrap_or(DEFAULT_PROFILE)
        .to_owned();
    if !app.config.has_profile(&name) {
        settings::session_name(&name)?;
        app.settings.profile.get_or_insert(Setting {
            value: name.clone(),
            origin: Origin::Default,
        });
        return Ok(Some(name));
    }
    if app.settings.leaves_profile {
        let issuer = app.settings.require_issuer(&app.config)?;
        let what = format!("profile `{name}` is for another server or client");
        return Err(CliError::usage(what)
            .hint(format!(
                "countersign -p NEW-NAME login --issuer {}",
                shell_word(issuer)
            ))
            .hint(format!("countersign profile show {name}")));
    }
    Ok(None)
}

/// Writes the profile down. The person is signed in by now, so that failing is worth a warning only.
fn write_profile(app: &App, name: &str) {
    let new = Layer {
        client_id: Some(app.settings.server.client_id.value.clone()),
        ..app.given.flags.lasting()
    };
    let written = ConfigEdit::open(&app.config).and_then(|mut edit| {
        edit.put_profile(name, &new)?;
        edit.keep_choice(&app.config, name);
        edit.save()
    });
    let file = app.config.user_path.display();
    match written {
        Ok(()) => app
            .voice
            .say(&format!("Saved as profile `{name}` in {file}")),
        Err(error) => {
            app.voice
                .warn(&format!("the profile `{name}` could not be saved"));
            output::message(&error.render(app.voice.paint()));
        }
    }
}

/// Keeps the way that worked where the first did not, so that the next login goes straight to it.
fn keep_flow(app: &App, flow: SignIn) {
    let Some(name) = app.settings.profile_name() else {
        // Nothing but the environment says where people sign in.
        return;
    };
    let written = ConfigEdit::open(&app.config).and_then(|mut edit| {
        edit.set_flow(name, flow)?;
        edit.save()
    });
    match written {
        Ok(()) => app.voice.say(&format!(
            "Profile `{name}` uses the flow `{flow}` from now on."
        )),
        Err(error) => {
            app.voice.warn("the flow that worked could not be saved");
            output::message(&error.render(app.voice.paint()));
        }
    }
}

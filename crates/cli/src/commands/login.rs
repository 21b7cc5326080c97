//! `countersign login`: sign a person in, and remember where.

use countersign_client::{Browser, printable};

use crate::app::{App, read_secret, ready_made_token};
use crate::commands::whoami::identity_line;
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
    if let Some(allowed) = &app.settings.allowed_flows {
        allowed.check(app.settings.flow.value)?;
    }
    let keep_as = profile_to_write(app)?;
    let mut login = app.login()?.command("countersign login");
    if let Some(file) = &app.settings.client_secret_file {
        login = login.client_secret(read_secret(&file.value)?);
    }
    if let Some(limit) = &app.settings.login_timeout {
        login = login.time_limit(limit.value);
    }
    if app.settings.no_browser.value || !app.may_ask() {
        login = login.browser(Browser::Never);
    }
    let mut screen = Screen::new(app.voice, Terminal::of_stderr(), app.settings.qr.value);
    let session = login.run(&mut screen).map_err(|error| app.explain(error))?;
    if let Some(name) = keep_as {
        write_profile(app, &name);
    }
    let name = session
        .identity()
        .name
        .as_deref()
        .map(printable)
        .filter(|name| !name.is_empty());
    match name.or_else(|| identity_line(session.identity())) {
        Some(name) => app.voice.say(&format!("Welcome, {name}.")),
        None => app.voice.say("Welcome."),
    }
    Ok(())
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

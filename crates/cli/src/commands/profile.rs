//! `countersign profile`: which server, as which client, under which name.
//!
//! What `profile show` shows is `config show`'s to know.

use std::fmt::Write as _;

use countersign_client::printable;
use serde_json::json;

use crate::app::App;
use crate::args::{Profile, ProfileAdd, ProfileList, ProfileName, ProfileShow};
use crate::commands::config::{self, Form};
use crate::config_edit::ConfigEdit;
use crate::error::CliError;
use crate::given::Overrides;
use crate::layer::Layer;
use crate::layers::Layers;
use crate::output::{self, shell_word};
use crate::server::Server;
use crate::settings::{self, Origin, Setting, Settings};

pub(crate) fn run(app: &App, args: &Profile) -> Result<(), CliError> {
    match args {
        Profile::Add(args) => add(app, &args.own),
        Profile::List(args) => list(app, &args.own),
        Profile::Show(args) => show(app, &args.own),
        Profile::Use(args) => make_default(app, &args.own),
        Profile::Rm(args) => remove(app, &args.own),
    }
}

fn add(app: &App, args: &ProfileAdd) -> Result<(), CliError> {
    let name = &args.name;
    settings::session_name(name)?;
    let command = format!("countersign profile add {}", shell_word(name));
    if app.config.has_profile(name) && !args.replace {
        return Err(
            CliError::usage(format!("there is a profile `{name}` already"))
                .hint(format!("countersign profile show {name}"))
                .hint(format!("{command} --replace …")),
        );
    }
    // What only the environment says is not written down, so it does not count.
    let given = Overrides {
        flags: app.given.flags.clone(),
        ..Overrides::default()
    };
    let server = Server::of(&Layers::all(&given, Layers::of_files(&app.config, None)));
    let Some(issuer) = server.issuer()? else {
        return Err(CliError::usage("a profile needs an issuer")
            .hint(format!("{command} --issuer URL --client-id ID"))
            .hint(format!("{command} --provider NAME --client-id ID")));
    };
    // Refuses here what a login would refuse later.
    let client_id = &server.client_id.value;
    countersign_client::Login::new(issuer, client_id).map_err(|error| app.explain(error))?;
    let new = Layer {
        client_id: Some(client_id.clone()),
        ..given.flags
    };
    app.settings.check_limits(&new)?;
    let mut edit = ConfigEdit::open(&app.config)?;
    edit.put_profile(name, &new)?;
    if args.make_default {
        edit.set_default(name);
    } else {
        edit.keep_choice(&app.config, name);
    }
    edit.save()?;
    let file = app.config.user_path.display();
    app.voice
        .say(&format!("Profile `{name}` is written to {file}"));
    Ok(())
}

fn list(app: &App, args: &ProfileList) -> Result<(), CliError> {
    let in_use = app.settings.profile_name();
    let mut rows = Vec::new();
    for name in app.config.profile_names() {
        let settings = of_profile(app, name)?;
        let issuer = settings.server.issuer.map(|setting| setting.value);
        rows.push((name, issuer, settings.server.client_id.value));
    }
    if args.json {
        let rows = rows.iter().map(|(name, issuer, client_id)| {
            json!({ "name": name, "issuer": issuer, "client_id": client_id, "in_use": in_use == Some(*name) })
        });
        return output::json(&rows.collect());
    }
    if rows.is_empty() {
        app.voice
            .say("There is no profile yet. `countersign login` makes one.");
        return Ok(());
    }
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, issuer, client_id) in &rows {
        let mark = if in_use == Some(*name) { '*' } else { ' ' };
        let issuer = printable(issuer.as_deref().unwrap_or("(no issuer)"));
        let client_id = printable(client_id);
        let _ = writeln!(text, "{mark} {name:width$}  {issuer} (client {client_id})");
    }
    output::artefact(&text)?;
    if in_use.is_none() {
        app.voice
            .say("None of them is chosen; `countersign profile use NAME` chooses one.");
    }
    Ok(())
}

fn show(app: &App, args: &ProfileShow) -> Result<(), CliError> {
    let named;
    let settings = match &args.name {
        Some(name) => {
            named = of_profile(app, name)?;
            &named
        }
        None => &app.settings,
    };
    let form = if args.json { Form::Json } else { Form::Origins };
    config::show(app, settings, form)
}

fn make_default(app: &App, args: &ProfileName) -> Result<(), CliError> {
    if !app.config.has_profile(&args.name) {
        return Err(settings::unknown_profile(&app.config, &args.name));
    }
    let mut edit = ConfigEdit::open(&app.config)?;
    edit.set_default(&args.name);
    edit.save()?;
    app.voice
        .say(&format!("Profile `{}` is used from now on.", args.name));
    Ok(())
}

fn remove(app: &App, args: &ProfileName) -> Result<(), CliError> {
    let name = &args.name;
    if !app.config.has_profile(name) {
        return Err(settings::unknown_profile(&app.config, name));
    }
    // Without its profile nobody would find the session again, and it would go on living.
    let accounts = app.context()?.accounts(&settings::session_name(name)?);
    let list = accounts.list().unwrap_or_default();
    if !list.is_empty() {
        let what = format!("someone is signed in with profile `{name}`");
        let logout = format!("countersign -p {} logout", shell_word(name));
        let error = CliError::usage(what);
        return Err(match list.as_slice() {
            [only] if only.active => error.hint(logout),
            several => several.iter().fold(error, |error, account| {
                error.hint(format!("{logout} --account {}", shell_word(&account.label)))
            }),
        });
    }
    let mut edit = ConfigEdit::open(&app.config)?;
    if !edit.remove_profile(name) {
        return Err(
            CliError::configuration(format!("profile `{name}` is not yours to remove"))
                .why("it comes from a file of the system, not from yours"),
        );
    }
    edit.save()?;
    app.voice.say(&format!("Profile `{name}` is removed."));
    Ok(())
}

/// What is in force for a profile, flags and environment left aside.
fn of_profile(app: &App, name: &str) -> Result<Settings, CliError> {
    let profile = Setting {
        value: name.to_owned(),
        origin: Origin::Flag("profile"),
    };
    let overrides = Overrides {
        profile: Some(profile),
        ..Overrides::default()
    };
    Settings::resolve(&app.config, &overrides)
}

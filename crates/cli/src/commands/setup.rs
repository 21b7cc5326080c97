//! `countersign setup`: what to create at a provider, step by step, and then the profile for it.
//!
//! On a terminal it asks for what only the person knows, checks it at the server, and writes the
//! profile. Elsewhere, and with `--print`, it prints the steps and nothing else happens.

mod guide;
mod guides;
#[cfg(test)]
mod pages;
mod questions;

use std::fmt::Write as _;

use countersign_client::preset::Preset;

use crate::app::App;
use crate::args::SetupArgs;
use crate::commands::doctor;
use crate::config::Config;
use crate::config_edit::ConfigEdit;
use crate::error::CliError;
use crate::given::{Globals, Overrides};
use crate::layer::Layer;
use crate::output::{self, Voice, shell_word};
use crate::settings::{Origin, Setting, Settings};
use crate::{question, term};

pub(crate) fn run(
    args: &SetupArgs,
    globals: &Globals,
    given: Overrides,
    voice: Voice,
) -> Result<(), CliError> {
    let Some(provider) = args.of.or(args.sign_in.provider) else {
        return list(voice);
    };
    let preset = provider.0;
    output::artefact(&guides::of(preset).text())?;
    // The steps are worth something where the configuration is broken, too.
    if args.print || globals.no_input || !term::is_interactive() {
        return Ok(());
    }
    let config = Config::load()?;
    let app = app(config, given, voice)?;
    output::message(
        "\nWhen this is done, answer these questions. Ctrl-C leaves; nothing is written.\n\n",
    );
    // Before anything is asked.
    app.settings.check_limits(&app.given.flags)?;
    let name = questions::name(&app, preset)?;
    let new = questions::profile(&app, preset, &app.given.flags)?;
    write(app, &name, &new)
}

fn list(voice: Voice) -> Result<(), CliError> {
    let width = Preset::ALL.iter().map(|preset| preset.name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for preset in Preset::ALL {
        let also = match preset.name {
            "oidc" => ", for any other provider",
            "oauth" => ", for servers without OpenID Connect",
            _ => "",
        };
        let _ = writeln!(text, "{:width$}  {}{also}", preset.name, preset.title);
    }
    output::artefact(&text)?;
    voice.say("Type `countersign setup NAME` for what to create there, step by step.");
    Ok(())
}

/// What is in force for a profile that does not exist yet: the flags, and what files set for all.
fn app(config: Config, given: Overrides, voice: Voice) -> Result<App, CliError> {
    let settings = Settings::resolve(&config, &given)?;
    Ok(App {
        voice,
        config,
        given,
        settings,
        no_input: false,
    })
}

/// Looks whether the profile works, and writes it.
fn write(app: App, name: &str, new: &Layer) -> Result<(), CliError> {
    app.settings.check_limits(new)?;
    let App { voice, config, .. } = app;
    let path = config.user_path.clone();
    let given = Overrides {
        profile: Some(Setting {
            value: name.to_owned(),
            origin: Origin::Flag("profile"),
        }),
        flags: new.clone(),
        ..app.given
    };
    let app = self::app(config, given, voice)?;
    output::message("\nAsking the server …\n");
    let report = doctor::of_profile(&app);
    for finding in report.remarkable() {
        output::message(&finding.text(voice.paint()));
    }
    output::message(&report.summary());
    if report.is_faulty() && !question::insist("Write the profile all the same?") {
        voice.say("Nothing is written.");
        return Err(CliError::silent(report.exit()));
    }
    let mut edit = ConfigEdit::open(&app.config)?;
    edit.put_profile(name, new)?;
    edit.keep_choice(&app.config, name);
    edit.save()?;
    let is_default = app.config.profile_names().is_empty();
    let profile = if is_default {
        String::new()
    } else {
        format!(" -p {}", shell_word(name))
    };
    voice.say(&format!(
        "Profile `{name}` is written to {}",
        path.display()
    ));
    voice.say(&format!("Sign in with: countersign{profile} login"));
    Ok(())
}

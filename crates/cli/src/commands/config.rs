//! `countersign config`: what is in force, and why.

use std::fmt::Write as _;

use countersign_client::printable;
use serde_json::{Value, json};

use crate::app::App;
use crate::args::Config;
use crate::dirs;
use crate::error::CliError;
use crate::origins::Texts;
use crate::output;
use crate::rows::Rows;
use crate::settings::{self, Settings};

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Values,
    Origins,
    Json,
}

pub(crate) fn run(app: &App, args: &Config) -> Result<(), CliError> {
    match args {
        Config::Show(args) => {
            let form = match (args.own.json, args.own.origin) {
                (true, _) => Form::Json,
                (false, true) => Form::Origins,
                (false, false) => Form::Values,
            };
            show(app, &app.settings, form)
        }
        Config::Path(_) => path(),
    }
}

/// Shows what is in force for a profile.
pub(crate) fn show(app: &App, settings: &Settings, form: Form) -> Result<(), CliError> {
    let profile = settings.profile_name();
    match profile {
        Some(name) if !app.config.has_profile(name) => {
            return Err(settings::unknown_profile(&app.config, name));
        }
        Some(_) => {}
        None => {
            settings.require_issuer(&app.config)?;
        }
    }
    let rows = Rows::of(settings).0;
    let mut texts = Texts::default();
    if form == Form::Json {
        let rows = rows.iter().map(|row| texts.json(row, profile));
        let rows: Vec<Value> = rows.collect();
        let files: Vec<_> = app.config.sources().map(|source| &source.path).collect();
        return output::json(&json!({ "profile": profile, "files": files, "settings": rows }));
    }
    let name_width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let text_width = rows.iter().map(|row| row.text.len()).max().unwrap_or(0);
    let text_width = text_width.min(40);
    let mut text = String::new();
    for row in &rows {
        let (name, value) = (&row.name, printable(&row.text));
        let _ = match form {
            Form::Origins => {
                let origin = printable(&texts.words(row, profile));
                writeln!(text, "{name:name_width$}  {value:text_width$}  # {origin}")
            }
            _ => writeln!(text, "{name:name_width$}  {value}"),
        };
    }
    output::artefact(&text)
}

/// Works whatever stands in the file: whoever asks is about to mend it.
pub(crate) fn path() -> Result<(), CliError> {
    let path = dirs::config()?.join("config.toml");
    output::artefact(&format!("{}\n", path.display()))
}

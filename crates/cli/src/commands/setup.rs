//! `countersign setup`: what to create at a provider, step by step, and then the profile for it.
//!
//! On a terminal it asks for what only the person knows, checks it at the server, and writes the
//! profile. Elsewhere, and with `--print`, it prints the steps and nothing else happens.

mod guide;
mod guides;
#[cfg(test)]
mod pages;

use std::fmt::Write as _;

use countersign_client::preset::Preset;

use crate::args::SetupArgs;
use crate::error::CliError;
use crate::output::{self, Voice};
use guide::Guide;

/// Prints the steps for a provider, or which providers there are.
pub(crate) fn print(args: &SetupArgs, voice: Voice) -> Result<(), CliError> {
    match &args.name {
        Some(name) => output::artefact(&guide(name)?.text()),
        None => list(voice),
    }
}

/// The guide for the provider of this name.
fn guide(name: &str) -> Result<&'static Guide, CliError> {
    let preset = Preset::by_name(name).and_then(|preset| guides::of(preset.name));
    preset.ok_or_else(|| {
        let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name).collect();
        CliError::usage(format!("there is no provider {}", output::shell_word(name)))
            .why(format!("there are: {}", names.join(", ")))
            .hint("countersign setup oidc, for any other that speaks OpenID Connect")
    })
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

//! What only the person knows: which tenant, which client, under which name.
//!
//! What flags have said already is not asked again.

use std::path::PathBuf;

use countersign_client::preset::{ApiChoice, MetadataSource, PartName, PartUse, Parts, PartsError};
use countersign_client::preset::{Preset, SecretUse};
use countersign_client::{EndpointOverrides, Login};
use url::Url;

use crate::app::App;
use crate::error::CliError;
use crate::layer::Layer;
use crate::server::Provider;
use crate::settings::{self, DEFAULT_PROFILE};
use crate::{output, question};

/// Asks for all that a profile for `preset` needs and `given` does not say.
pub(super) fn profile(
    app: &App,
    preset: &'static Preset,
    given: &Layer,
) -> Result<Layer, CliError> {
    let mut new = given.lasting();
    new.provider = Some(Provider(preset));
    where_it_is(preset, &mut new)?;
    if new.client_id.is_none() {
        new.client_id = Some(question::ask("Client id", None)?);
    }
    secret(app, preset, &mut new)?;
    api(preset, &mut new)?;
    Ok(new)
}

/// A name for the profile that is not taken.
pub(super) fn name(app: &App, preset: &Preset) -> Result<String, CliError> {
    if let Some(named) = &app.given.profile {
        let name = &named.value;
        settings::session_name(name)?;
        if app.config.has_profile(name) {
            return Err(
                CliError::usage(format!("there is a profile `{name}` already"))
                    .hint(format!("countersign profile show {name}"))
                    .hint("or choose another name: -p NAME"),
            );
        }
        return Ok(name.clone());
    }
    let usual = if app.config.profile_names().is_empty() {
        DEFAULT_PROFILE
    } else {
        preset.name
    };
    let free = |name: &String| !app.config.has_profile(name);
    let numbered = (2..).map(|number| format!("{usual}-{number}"));
    let proposed = std::iter::once(usual.to_owned()).chain(numbered).find(free);
    loop {
        let name = question::ask("Name of the profile", proposed.as_deref())?;
        match settings::session_name(&name) {
            Err(error) => say(app, &error),
            Ok(_) if app.config.has_profile(&name) => {
                let error = CliError::usage(format!("there is a profile `{name}` already"));
                say(app, &error);
            }
            Ok(_) => return Ok(name),
        }
    }
}

fn say(app: &App, error: &CliError) {
    output::message(&error.render(app.voice.paint()));
}

/// The issuer, or the parts that it is made of.
fn where_it_is(preset: &'static Preset, new: &mut Layer) -> Result<(), CliError> {
    if new.issuer.is_some() {
        return Ok(());
    }
    let given = parts(new);
    match preset.issuer(&given) {
        Ok(_) => return Ok(()),
        Err(PartsError::NoShortForm { .. }) => return issuer(preset, new),
        Err(error) if !given.is_empty() && !matches!(error, PartsError::Missing { .. }) => {
            return Err(
                CliError::usage("no issuer can be made of the flags").why(error.to_string())
            );
        }
        Err(_) => {}
    }
    loop {
        let mut asked = given.clone();
        for part in preset.parts {
            ask_part(part, &mut asked)?;
        }
        match preset.issuer(&asked) {
            Ok(issuer) => {
                output::message(&format!("The issuer is {issuer}\n"));
                (new.org, new.server, new.host) = (asked.org, asked.server, asked.host);
                return Ok(());
            }
            Err(error) => output::message(&format!("{error}\n")),
        }
    }
}

fn parts(layer: &Layer) -> Parts {
    Parts {
        org: layer.org.clone(),
        server: layer.server.clone(),
        host: layer.host.clone(),
    }
}

/// Asks for one part, unless it is known or another makes it needless.
fn ask_part(part: &PartUse, asked: &mut Parts) -> Result<(), CliError> {
    // A host of one's own is for whoever has no name there, or has given it as a flag.
    let needless = part.name == PartName::Host
        && part.otherwise.is_some()
        && asked.get(PartName::Org).is_some();
    if asked.get(part.name).is_some() || needless {
        return Ok(());
    }
    let called = capital(part.called);
    let answer = match part.otherwise {
        None => Some(question::ask(
            &format!("{called}, such as {}", part.example),
            None,
        )?),
        Some(otherwise) => question::ask_once(&format!(
            "{called}, such as {} (empty: {otherwise})",
            part.example
        ))?,
    };
    if let Some(answer) = answer {
        asked.set(part.name, answer);
    }
    Ok(())
}

fn issuer(preset: &Preset, new: &mut Layer) -> Result<(), CliError> {
    loop {
        let issuer = question::ask("Issuer, such as https://login.example.com", None)?;
        match Login::new(&issuer, "cli") {
            Ok(_) => {
                new.issuer = Some(issuer);
                break;
            }
            Err(error) => {
                let error = CliError::from_client(&error);
                output::message(&format!("{}\n", error.summary()));
            }
        }
    }
    if preset.quirks.metadata == MetadataSource::Configured {
        endpoints(new)?;
    }
    Ok(())
}

/// The endpoints of a server that may publish none.
fn endpoints(new: &mut Layer) -> Result<(), CliError> {
    let mut endpoints = new.endpoints.clone().unwrap_or_default();
    let ask = |what: &str| loop {
        let Some(answer) = question::ask_once(what)? else {
            return Ok::<Option<Url>, CliError>(None);
        };
        match Url::parse(&answer) {
            Ok(url) => return Ok(Some(url)),
            Err(error) => output::message(&format!("That is no address: {error}\n")),
        }
    };
    endpoints.authorization_endpoint =
        ask("Authorization endpoint (empty: the server publishes its metadata)")?;
    if endpoints.authorization_endpoint.is_some() {
        endpoints.token_endpoint = ask("Token endpoint")?;
        endpoints.device_authorization_endpoint =
            ask("Device authorization endpoint (empty: there is none)")?;
        endpoints.revocation_endpoint = ask("Revocation endpoint (empty: there is none)")?;
    }
    if endpoints != EndpointOverrides::default() {
        new.endpoints = Some(endpoints);
    }
    Ok(())
}

fn secret(app: &App, preset: &Preset, new: &mut Layer) -> Result<(), CliError> {
    if new.client_secret_file.is_some() || !preset.quirks.secret.always_issued() {
        return Ok(());
    }
    // Where the guide says to put it.
    let usual = app
        .config
        .user_path
        .with_file_name(format!("{}.secret", preset.name));
    let file = if preset.quirks.secret == SecretUse::OfInstalledApplication {
        let usual = usual.to_string_lossy().into_owned();
        Some(question::ask("File with the client secret", Some(&usual))?)
    } else if usual.exists() {
        Some(usual.to_string_lossy().into_owned())
    } else {
        question::ask_once(
            "File with the client secret (empty: no browser, only the device grant)",
        )?
    };
    new.client_secret_file = file.map(PathBuf::from);
    Ok(())
}

/// The API that the tokens are for, where that is part of what is asked for.
fn api(preset: &Preset, new: &mut Layer) -> Result<(), CliError> {
    match preset.quirks.api {
        ApiChoice::Audience if new.audience.is_none() => {
            new.audience = question::ask_once(
                "Audience, the identifier of the API (empty: the tokens are for no API)",
            )?;
        }
        ApiChoice::Scope if new.scope.is_none() => {
            let scope = question::ask_once("Scope of your API (empty: none)")?;
            new.scope = scope.map(|scope| {
                let usual = preset.scopes.iter().map(|usual| (*usual).to_owned());
                usual.chain([scope]).collect()
            });
        }
        _ => {}
    }
    Ok(())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

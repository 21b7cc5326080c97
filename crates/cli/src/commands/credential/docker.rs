//! `countersign credential docker`: a credential helper for docker and the programs that share its
//! configuration (`docker-credential-helpers`: get, list, store, erase).
//!
//! docker runs it as `docker-credential-countersign`, a link to this program (`applet`), for the
//! registries that a profile names. The registry, or its token service, gets the access token as the
//! password of a request over HTTPS.
//!
//! docker shows what a helper prints on standard output when it fails, so an error stands there too.

use countersign_client::{ExitCategory, Secret};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asked::{Of, choose, question, warn_if_useless};
use super::{Kind, bearer};
use crate::app::App;
use crate::args::{DockerArgs, DockerOperation};
use crate::error::CliError;
use crate::hosts::{self, Host};
use crate::output;

const DOCKER: Of = |layer| layer.docker.as_ref();
/// The words by which docker knows that there simply is none.
const NOT_FOUND: &str = "credentials not found in native keychain\n";

pub(super) fn run(app: &mut App, args: &DockerArgs) -> Result<(), CliError> {
    let done = match args.operation {
        DockerOperation::Get => get(app, question()?.trim()),
        DockerOperation::List => return list(app),
        DockerOperation::Store => store(app, &question()?),
        DockerOperation::Erase => erase(app, question()?.trim()),
    };
    if let Err(error) = &done {
        let (_, _, hints) = error.parts();
        let hint = hints
            .first()
            .map_or_else(String::new, |hint| format!("; {hint}"));
        let summary = error.summary();
        if !summary.is_empty() {
            output::artefact(&format!("{summary}{hint}\n"))?;
        }
    }
    done
}

fn get(app: &mut App, server: &str) -> Result<(), CliError> {
    let hosts = match registry(server) {
        Some(host) => choose(app, &host, DOCKER)?,
        None => None,
    };
    let Some(hosts) = hosts else {
        warn_if_useless(app, "docker", DOCKER);
        output::artefact(NOT_FOUND)?;
        return Err(CliError::silent(ExitCategory::Failure));
    };
    let bearer = bearer(app, Kind::Access)?;
    let credential = json!({
        "ServerURL": server,
        "Username": hosts.username(),
        "Secret": bearer.token.expose(),
    });
    output::artefact(&format!("{credential}\n"))
}

/// The registries there are credentials for. Nothing is read but the configuration.
fn list(app: &App) -> Result<(), CliError> {
    let mut all = Map::new();
    let profiles = app.config.profile_names();
    for profile in profiles.into_iter().map(Some).chain([None]) {
        let Some(named) = hosts::named(&app.config, profile, DOCKER) else {
            continue;
        };
        for host in &named.hosts {
            all.entry(host.to_string())
                .or_insert_with(|| json!(named.username()));
        }
    }
    output::artefact(&format!("{}\n", Value::Object(all)))
}

/// What docker wants kept.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    #[serde(rename = "ServerURL")]
    server_url: String,
    secret: Secret,
}

/// `docker login` brings back what it was given, and that is fine. Anything else would be lost.
fn store(app: &mut App, text: &str) -> Result<(), CliError> {
    let kept: Kept = serde_json::from_str(text).map_err(|error| {
        // What the parser says of it has no value in it, only a place.
        let place = format!("line {}, column {}", error.line(), error.column());
        CliError::new(
            ExitCategory::Failure,
            "question",
            "the question cannot be read",
        )
        .why(place)
    })?;
    let ours = match registry(&kept.server_url) {
        Some(host) => choose(app, &host, DOCKER)?.is_some(),
        None => false,
    };
    if ours && bearer(app, Kind::Access)?.token == kept.secret {
        return Ok(());
    }
    Err(CliError::new(
        ExitCategory::Failure,
        "not_stored",
        "countersign keeps no passwords",
    )
    .why("it gives out the token of a session, and this is another secret")
    .hint(
        "under credHelpers in ~/.docker/config.json, name countersign for its own registries only",
    ))
}

fn erase(app: &mut App, server: &str) -> Result<(), CliError> {
    let ours = match registry(server) {
        Some(host) => choose(app, &host, DOCKER)?.is_some(),
        None => false,
    };
    if !ours {
        return Ok(());
    }
    Err(CliError::new(
        ExitCategory::Failure,
        "not_erased",
        "the credential belongs to a session, which is not ended by this",
    )
    .hint(app.command("logout")))
}

/// The host of what docker calls a server: a host, or an address with a path that says nothing.
fn registry(server: &str) -> Option<Host> {
    let rest = match server.split_once("://") {
        Some(("https", rest)) => rest,
        Some(_) => return None,
        None => server,
    };
    let host = rest.split('/').next().unwrap_or_default();
    Host::parse(host).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_its_host() {
        let host = Host::parse("registry.example.com").ok();
        for server in [
            "registry.example.com",
            "https://registry.example.com",
            "https://registry.example.com/v1/",
            "registry.example.com/v2",
        ] {
            assert_eq!(registry(server), host, "{server}");
        }
        for server in ["http://registry.example.com", "", "https://", "https:///x"] {
            assert_eq!(registry(server), None, "{server}");
        }
    }
}

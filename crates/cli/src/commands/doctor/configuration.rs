//! The configuration: files, profile, issuer, and the files that it names.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use countersign_client::preset::{ApiChoice, Preset, SecretUse};
use countersign_client::{ExitCategory, Login, SignIn};

use url::Url;

use super::finding::Finding;
use super::report::Report;
use crate::app::{App, read_secret};
use crate::config::Config;
use crate::directory;
use crate::error::CliError;
use crate::given::{Globals, Overrides};
use crate::output::{Voice, shell_word};
use crate::settings::Settings;

/// Reads the configuration. Without it there is nothing to look at but the computer.
pub(crate) fn load(
    report: &mut Report,
    globals: &Globals,
    mut given: Overrides,
    voice: Voice,
) -> Option<App> {
    let config = match Config::load() {
        Ok(config) => config,
        Err(error) => {
            report.add(Finding::of_error("config_unusable", &error));
            return None;
        }
    };
    report.add(files(&config));
    directory::look(&mut given, globals, voice);
    let settings = match Settings::resolve(&config, &given) {
        Ok(settings) => settings,
        Err(error) => {
            report.add(Finding::of_error("profile_missing", &error));
            return None;
        }
    };
    Some(App {
        voice,
        config,
        given,
        settings,
        no_input: globals.no_input,
    })
}

fn files(config: &Config) -> Finding {
    let read: Vec<String> = config
        .sources()
        .map(|source| source.path.display().to_string())
        .collect();
    if read.is_empty() {
        let path = config.user_path.display();
        return Finding::note("config_files", "There is no configuration file.")
            .why(format!("yours would be {path}"));
    }
    Finding::ok("config_files", format!("Read {}.", read.join(" and ")))
}

/// Looks at what the settings say. Gives the login that they describe, if they describe one.
pub(crate) fn look(report: &mut Report, app: &App) -> Option<Login> {
    if std::env::var_os("COUNTERSIGN_TOKEN").is_some_and(|value| !value.is_empty()) {
        report.add(
            Finding::warning(
                "token_from_environment",
                "COUNTERSIGN_TOKEN brings a ready-made token, which wins over every session.",
            )
            .remedy("unset COUNTERSIGN_TOKEN"),
        );
    }
    if let Err(error) = app.login() {
        let finding = Finding::of_error("profile_unusable", &error);
        report.add(if app.config.profile_names().is_empty() {
            finding.remedy_first("countersign setup PROVIDER")
        } else {
            finding
        });
        return None;
    }
    report.add(profile(app));
    limits(report, app);
    secret(report, app);
    key(report, app);
    certificates(report, app);
    audience(report, app);
    match app.sign_in() {
        Ok(login) => Some(login),
        Err(error) => {
            // Most of what can be wrong was found already, and told better.
            if !report.is_faulty() {
                report.add(Finding::of_error("profile_unusable", &error));
            }
            None
        }
    }
}

/// What is known about the provider, if one was named.
pub(crate) fn preset(app: &App) -> Option<&'static Preset> {
    let provider = app.settings.server.provider.as_ref();
    provider.map(|setting| setting.value.0)
}

/// The address of the server.
pub(crate) fn issuer(app: &App) -> Option<Url> {
    let issuer = app.settings.server.issuer.as_ref()?;
    Url::parse(&issuer.value).ok()
}

fn profile(app: &App) -> Finding {
    let settings = &app.settings;
    let client = &settings.server.client_id.value;
    let issuer = settings.server.issuer.as_ref();
    let issuer = issuer.map_or("", |setting| setting.value.as_str());
    let named = match settings.profile_name() {
        Some(name) if settings.profile_exists => format!("Profile `{name}` is"),
        _ => "The flags are".to_owned(),
    };
    // The general ones are no provider's name.
    let provider = preset(app)
        .filter(|preset| !matches!(preset.name, "oidc" | "oauth"))
        .map_or_else(String::new, |preset| format!(" of {}", preset.title));
    Finding::ok(
        "profile",
        format!("{named} for client {client} at {issuer}{provider}."),
    )
}

fn limits(report: &mut Report, app: &App) {
    let Some(allowed) = &app.settings.allowed_flows else {
        return;
    };
    let flow = &app.settings.flow.value;
    match allowed.check(*flow) {
        Ok(()) => {
            let files: Vec<String> = allowed
                .files()
                .map(|file| file.display().to_string())
                .collect();
            report.add(
                Finding::note(
                    "allowed_flows",
                    format!(
                        "Only these ways to sign in are allowed: {}.",
                        allowed.words()
                    ),
                )
                .why(format!("{} says so", files.join(" and "))),
            );
        }
        Err(error) => report.add(Finding::of_error("flow_not_allowed", &error)),
    }
}

/// The secret, whether it is needed, and who can read it.
fn secret(report: &mut Report, app: &App) {
    const CODE: &str = "client_secret_file";
    let needed = preset(app).map(|preset| preset.quirks.secret);
    let Some(setting) = &app.settings.client_secret_file else {
        match needed {
            Some(SecretUse::OfInstalledApplication) => report.add(
                Finding::fault(
                    "client_secret_missing",
                    "The provider asks for a client secret of every client, and none is set.",
                )
                .remedy("save it in a file of yours and set `client_secret_file`")
                .leaving_with(ExitCategory::Configuration),
            ),
            Some(SecretUse::ForCodeOnly) => report.add(
                Finding::note(
                    "client_secret_missing",
                    "Without a client secret only the device grant can be used at this provider.",
                )
                .remedy("nothing, unless somebody wants to sign in with the browser"),
            ),
            _ => {}
        }
        return;
    };
    report.add(match read_secret(&setting.value) {
        Ok(_) => private(CODE, "client secret", &setting.value),
        Err(error) => Finding::of_error(CODE, &error),
    });
}

fn key(report: &mut Report, app: &App) {
    const CODE: &str = "client_key_file";
    let Some(setting) = &app.settings.client_key_file else {
        return;
    };
    report.add(match std::fs::File::open(&setting.value) {
        Ok(_) => private(CODE, "client's key", &setting.value),
        Err(error) => {
            let shown = setting.value.display();
            let what = format!("cannot read the client's key in {shown}");
            Finding::of_error(CODE, &CliError::configuration(what).why(error.to_string()))
        }
    });
}

/// The bits of a mode that are for others than the owner.
const OTHERS: u32 = 6;

/// Whether a file with something secret in it is its owner's alone.
fn private(code: &'static str, what: &str, path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.mode().trailing_zeros() >= OTHERS => Finding::ok(
            code,
            format!("The {what} in {shown} can be read, by you alone."),
        ),
        Ok(found) => {
            let mode = found.mode() & 0o777;
            let quoted = path.to_string_lossy();
            Finding::warning(
                code,
                format!("Others can read the {what} in {shown} (mode {mode:04o})."),
            )
            .remedy(format!("chmod 600 {}", shell_word(&quoted)))
        }
        Err(error) => Finding::fault(code, format!("The {what} in {shown} cannot be looked at."))
            .why(error.to_string()),
    }
}

fn certificates(report: &mut Report, app: &App) {
    const CODE: &str = "ca_cert";
    for path in app
        .settings
        .ca_cert
        .iter()
        .flat_map(|setting| &setting.value)
    {
        let shown = path.display();
        let unusable = |why: String| {
            Finding::fault(
                CODE,
                format!("The added certificates in {shown} cannot be used."),
            )
            .why(why)
            .remedy("give a PEM file with the certificate of the authority, as --ca-cert FILE")
            .leaving_with(ExitCategory::Configuration)
        };
        report.add(match std::fs::read_to_string(path) {
            Err(error) => unusable(error.to_string()),
            Ok(text) => match text.matches("-----BEGIN CERTIFICATE-----").count() {
                0 => unusable("the file holds no certificate in PEM".to_owned()),
                1 => Finding::ok(CODE, format!("One certificate is added from {shown}.")),
                many => Finding::ok(CODE, format!("{many} certificates are added from {shown}.")),
            },
        });
    }
}

/// Whether the API that the tokens are for was named, where it has to be.
fn audience(report: &mut Report, app: &App) {
    let Some(preset) = preset(app) else {
        return;
    };
    if app.settings.flow.value == SignIn::ClientCredentials || app.settings.audience.is_some() {
        return;
    }
    if preset.quirks.api == ApiChoice::Audience {
        let title = preset.title;
        report.add(
            Finding::warning(
                "audience_missing",
                format!("No audience is set, so {title}'s access tokens are for no API."),
            )
            .why("an access token without an audience is opaque, and no API can check it")
            .remedy("set `audience` in the profile to the identifier of the API"),
        );
    }
}

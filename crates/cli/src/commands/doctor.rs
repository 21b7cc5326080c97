//! `countersign doctor`: whether a profile works, and what to do where it does not.
//!
//! It signs nobody in and changes nothing here; a keyring is given a test, which is taken away again. What depends on something else is looked at after it,
//! so that the first fault is the one to mend first.
//!
//! Not responsible for looking (`countersign_client::probe`): here is what the findings mean.

mod configuration;
#[cfg(test)]
mod documented;
mod finding;
mod flows;
mod place;
mod report;
mod server;
mod session;
mod storage;
mod vault;

use std::process::ExitCode;
use std::time::Duration;

use countersign_client::Login;
use serde_json::json;

use crate::app::App;
use crate::args::DoctorArgs;
use crate::error::CliError;
use crate::given::{Globals, Overrides};
use crate::output::{self, Voice};
pub(crate) use report::Report;
use server::Way;

/// The longest that one thing is waited for, whatever the settings allow.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn run(
    args: &DoctorArgs,
    globals: &Globals,
    given: Overrides,
    voice: Voice,
) -> Result<ExitCode, CliError> {
    let mut report = Report::default();
    let app = configuration::load(&mut report, globals, given, voice);
    let login = app
        .as_ref()
        .and_then(|app| configuration::look(&mut report, app));
    place::look(&mut report);
    if let Some(app) = &app {
        storage::look(&mut report, app);
        vault::look(&mut report, app);
        if login.is_some() {
            place::ports(&mut report, app, configuration::preset(app));
        }
        if let (Some(login), false) = (&login, args.offline) {
            live(&mut report, app, login);
        }
        if login.is_some() {
            session::look(&mut report, app, configuration::preset(app));
        }
    }
    if args.json {
        let about = app.as_ref().map_or(json!({}), |app| about(app, args));
        output::json(&report.json(&about))?;
    } else {
        output::artefact(&report.text(voice))?;
    }
    Ok(report.exit_code())
}

/// Looks at a profile that is about to be written: at what it says, and at its server.
pub(crate) fn of_profile(app: &App) -> Report {
    let mut report = Report::default();
    if let Some(login) = configuration::look(&mut report, app) {
        live(&mut report, app, &login);
    }
    report
}

/// Asks the server: about itself, and what it lets this client do.
fn live(report: &mut Report, app: &App, login: &Login) {
    let limit = LIMIT.min(app.settings.timeout.value);
    let preset = configuration::preset(app);
    let Some(issuer) = configuration::issuer(app) else {
        return;
    };
    let way = Way {
        issuer: &issuer,
        preset,
        proxied: place::proxy(report, &issuer),
        limit,
    };
    let provider = server::look(report, app, login, &way);
    if let Some(provider) = provider {
        flows::look(report, app, login, &provider, preset, limit);
    }
}

/// What the report is about, for a program.
fn about(app: &App, args: &DoctorArgs) -> serde_json::Value {
    let server = &app.settings.server;
    json!({
        "profile": app.settings.profile_name(),
        "provider": configuration::preset(app).map(|preset| preset.name),
        "issuer": server.issuer.as_ref().map(|setting| &setting.value),
        "client_id": server.client_id.value,
        "store": app.settings.store.value.word(),
        "offline": args.offline,
    })
}

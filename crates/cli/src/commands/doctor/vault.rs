//! Where refresh tokens are kept: which place is in force, whether it works, and whether the one of
//! the session can be had.

use countersign_client::probe::{self, Kept};
use countersign_client::{Context, Error, ExitCategory, VaultKind};

use super::finding::{Finding, Level};
use super::report::Report;
use crate::app::App;

/// Looks at the place for new sessions, and at the refresh token of the one there is.
pub(crate) fn look(report: &mut Report, app: &App) {
    // What is wrong with the directories was told already.
    let Ok(context) = app.context() else { return };
    let context = context.with_vaults(app.vaults_of_doctor());
    let found = probe::vaults(&context);
    if let Some(program) = &found.program {
        report.add(keyring_program(app, program));
    }
    report.add(vault(app, &found));
    // A keyring that has just not answered is not waited for a second time.
    let hangs = found
        .passed_over
        .iter()
        .find(|(_, why)| why.code() == "keyring_timed_out");
    session(report, app, &context, &found, hangs.is_some());
}

/// Whether nothing but a keyring will do.
fn needs_keyring(app: &App) -> bool {
    app.vaults().preferred.iter().all(|kind| is_keyring(*kind))
}

fn is_keyring(kind: VaultKind) -> bool {
    matches!(kind, VaultKind::Keyring | VaultKind::KeyringKey)
}

fn keyring_program(app: &App, program: &probe::Program) -> Finding {
    const CODE: &str = "keyring_program";
    let path = program.path.display();
    let level = |finding: Finding| {
        finding.at_level(if needs_keyring(app) {
            Level::Fault
        } else {
            Level::Note
        })
    };
    match &program.version {
        Ok(version) if program.fits => {
            Finding::ok(CODE, format!("countersign-keyring {version} is installed."))
                .why(format!("it is {path}"))
        }
        Ok(version) => Finding::warning(
            CODE,
            format!("countersign-keyring is of another version, {version}."),
        )
        .why(format!("it is {path}"))
        .remedy("install countersign and countersign-keyring of the same release"),
        Err(error) if error.is_absent() => level(
            Finding::note(CODE, "The system's keyring cannot be used.")
                .why("countersign-keyring is not installed beside this program")
                .why(format!("it would be {path}")),
        )
        .remedy("install countersign-keyring into the directory of this program"),
        Err(error) => Finding::fault(CODE, "countersign-keyring cannot be run.")
            .why(error.to_string())
            .why(format!("it is {path}"))
            .remedy("install countersign and countersign-keyring of the same release"),
    }
}

/// Where a login would put the refresh token, and why there.
fn vault(app: &App, found: &probe::Vaults) -> Finding {
    const CODE: &str = "vault";
    let store = &app.settings.store;
    let said = format!("`store` is `{}` ({})", store.value.word(), store.origin);
    let mut finding = match &found.chosen {
        Ok(kind) => {
            let where_to = format!("New refresh tokens are kept {}.", kind.place());
            let tried = match kind {
                VaultKind::Keyring | VaultKind::KeyringKey => {
                    Some("the keyring has taken a test, given it back and removed it")
                }
                _ => None,
            };
            let level = if found.passed_over.iter().all(|(_, why)| why.is_absent()) {
                Level::Ok
            } else {
                // It is there, and does not do it: somebody will be surprised where the token went.
                Level::Warning
            };
            let finding = Finding::ok(CODE, where_to).at_level(level);
            tried.into_iter().fold(finding, Finding::why)
        }
        // It is as good as any, once somebody types.
        Err(error) if error.code() == "passphrase_needed" => {
            let place = VaultKind::Passphrase.place();
            Finding::ok(CODE, format!("New refresh tokens are kept {place}."))
                .why("it is asked for at a login; this command does not ask")
        }
        Err(error) => {
            let finding = Finding::fault(CODE, "New refresh tokens can be kept nowhere.")
                .leaving_with(error.exit_category());
            let finding = match error {
                Error::Storage(_) => finding,
                other => finding.why(other.to_string()),
            };
            let finding = error.hints().into_iter().fold(finding, Finding::remedy);
            in_a_file(app, finding)
        }
    };
    for (kind, why) in &found.passed_over {
        if why.code() == "passphrase_needed" {
            continue;
        }
        finding = finding.why(format!("not `{kind}`: {why}"));
        if !why.is_absent() && found.chosen.is_ok() {
            finding = why.hints().into_iter().fold(finding, Finding::remedy);
        }
    }
    finding = finding.why(said);
    if let Some(allowed) = &app.settings.allowed_stores {
        finding = finding.why(format!("allowed here are: {}", allowed.words()));
    }
    finding
}

/// Whether a renewal would find the refresh token of the session.
fn session(report: &mut Report, app: &App, context: &Context, found: &probe::Vaults, hangs: bool) {
    const CODE: &str = "refresh_token";
    let Ok(name) = app.session_name() else { return };
    let kept_in = match context.session(&name) {
        Ok(Some(session)) => session.kept_in(),
        // Nobody is signed in, or what is wrong with the file was told already.
        _ => return,
    };
    if let (true, Some(kind)) = (hangs, kept_in.filter(|kind| is_keyring(*kind))) {
        let finding = unreadable(CODE, kind)
            .why("the keyring does not answer")
            .remedy("see whether the keyring is waiting for a password in a window of its own");
        report.add(in_a_file(app, finding));
        return;
    }
    let Ok(kept) = probe::kept(context, &name) else {
        return;
    };
    report.add(match kept {
        Kept::Readable(kind) => {
            let finding = Finding::ok(
                CODE,
                format!("The refresh token is {}, and can be read.", kind.place()),
            );
            match found.chosen {
                // It went there on a day on which the better place did not work.
                Ok(better) if kind == VaultKind::File && is_keyring(better) => finding
                    .at_level(Level::Note)
                    .why("the keyring would take it")
                    .remedy(app.command("store migrate")),
                _ => finding,
            }
        }
        Kept::NeedsPerson(kind) => {
            Finding::ok(CODE, format!("The refresh token is {}.", kind.place()))
                .why("the passphrase is asked for at each renewal; this command does not ask")
        }
        Kept::Unreadable(kind, error) => {
            let finding = unreadable(CODE, kind);
            let why = std::error::Error::source(&error).map(ToString::to_string);
            let finding = finding.why(why.unwrap_or_else(|| error.to_string()));
            let finding = error.hints().into_iter().fold(finding, Finding::remedy);
            in_a_file(app, finding)
        }
        Kept::Lost(kind) => Finding::fault(
            CODE,
            format!("The refresh token is not {} any more.", kind.place()),
        )
        .why("the session ends with its access token")
        .remedy(app.command("login")),
        _ => return,
    });
}

/// With another place, if it may be used.
fn in_a_file(app: &App, finding: Finding) -> Finding {
    if app.may_keep(VaultKind::File) {
        finding.remedy(app.command("login --store file"))
    } else {
        finding
    }
}

fn unreadable(code: &'static str, kind: VaultKind) -> Finding {
    Finding::fault(
        code,
        format!(
            "The refresh token is {}, and cannot be read now.",
            kind.place()
        ),
    )
    .why("the session can be used until its access token expires")
    .leaving_with(ExitCategory::Failure)
}

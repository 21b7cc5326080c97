//! Where sessions are kept.

use std::io;

use countersign_client::probe;
use countersign_console::without_number;

use super::finding::Finding;
use super::report::Report;
use crate::app::App;

/// Looks whether sessions are private and can be written.
pub(crate) fn look(report: &mut Report, app: &App) {
    let context = match app.context() {
        Ok(context) => context,
        Err(error) => {
            report.add(Finding::of_error("store", &error));
            return;
        }
    };
    let store = probe::store(&context);
    let path = store.path.display();
    match (&store.directory, store.exists, &store.writable) {
        (Err(error), ..) => {
            let finding = Finding::fault("store", format!("Sessions cannot be kept in {path}."));
            let cause = std::error::Error::source(error)
                .map(|cause| without_number(&cause.to_string()).to_owned());
            let finding = cause
                .into_iter()
                .fold(finding.why(error.to_string()), Finding::why);
            let hints = error.hints();
            report.add(hints.into_iter().fold(finding, Finding::remedy));
        }
        (Ok(()), _, Err(error)) => report.add(
            Finding::fault("store", format!("Sessions cannot be kept in {path}."))
                .why("nothing can be written there")
                .why(without_number(&error.to_string()))
                .remedy(match error.kind() {
                    io::ErrorKind::ReadOnlyFilesystem => {
                        format!("look how it is mounted: findmnt --target {path}")
                    }
                    _ => format!("look who owns it: ls -ld {path}"),
                })
                .remedy("or set COUNTERSIGN_STATE_DIR to a directory of yours"),
        ),
        (Ok(()), true, Ok(())) => report.add(Finding::ok(
            "store",
            format!("Sessions are kept in {path}, private and writable."),
        )),
        (Ok(()), false, Ok(())) => report.add(Finding::ok(
            "store",
            format!("Sessions will be kept in {path}, which the first login makes."),
        )),
    }
    if store.room == Some(false) {
        report.add(
            Finding::fault("store_full", format!("The disk of {path} is full."))
                .remedy(format!("df {path}")),
        );
    }
    for (name, found) in &store.sessions {
        if let Err(error) = found {
            let finding = Finding::fault(
                "session_file",
                format!("The session `{name}` cannot be used."),
            );
            let finding = finding.why(error.to_string());
            report.add(error.hints().into_iter().fold(finding, Finding::remedy));
        }
    }
    for name in &store.busy {
        report.add(
            Finding::note(
                "store_busy",
                format!("Another process is signing in to the session `{name}`."),
            )
            .why("a second login waits for it and takes over its result"),
        );
    }
}

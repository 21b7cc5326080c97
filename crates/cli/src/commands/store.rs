//! `countersign store`: where refresh tokens are kept.

use countersign_client::{MoveReport, SessionName, VaultKind, migrate, printable};

use crate::app::App;
use crate::args::{Store, StoreMigrate};
use crate::error::CliError;

/// What `auto` means to somebody who asks for a move: to leave a session in its file needs none.
const USUAL: VaultKind = VaultKind::KeyringKey;

pub(crate) fn run(app: &App, args: &Store) -> Result<(), CliError> {
    match args {
        Store::Migrate(args) => move_sessions(app, &args.own),
    }
}

fn move_sessions(app: &App, args: &StoreMigrate) -> Result<(), CliError> {
    let wanted = args.to.unwrap_or(app.settings.store.value);
    let to = wanted.kind().unwrap_or(USUAL);
    if to == VaultKind::Memory {
        let what = "a refresh token cannot be moved into memory";
        return Err(CliError::usage(what)
            .why("it would end with this command, and live on at the server")
            .hint(app.command("logout")));
    }
    if let Some(allowed) = &app.settings.allowed_stores {
        allowed.check(to)?;
    }
    let context = app.context()?.with_vaults(app.vaults_asking()?);
    let sessions = if args.all {
        context.session_names()?
    } else {
        vec![app.session_name()?]
    };
    if sessions.is_empty() {
        app.voice.say("Nobody is signed in.");
    }
    let mut failure = None;
    for session in sessions {
        // One that cannot be moved must not keep the others.
        match migrate(&context, &session, to) {
            Ok(Some(report)) => tell(app, &session, to, &report),
            Ok(None) => app.voice.say(&format!("`{session}`: nobody is signed in.")),
            Err(error) => failure = Some(app.explain(error)),
        }
    }
    failure.map_or(Ok(()), Err)
}

fn tell(app: &App, session: &SessionName, to: VaultKind, report: &MoveReport) {
    let now = if report.moved { "now" } else { "already" };
    let place = to.place();
    app.voice
        .say(&format!("`{session}`: the refresh token is {now} {place}."));
    if let Some(why) = &report.left_behind {
        app.voice
            .warn(&format!("a copy may be left behind: {}", printable(why)));
    }
}

//! `countersign logout`: revoke at the server, then delete here.

use std::time::Duration;

use countersign_client::{
    BrowserOutcome, Context, ExitCategory, LogoutPage, LogoutReport, Revocation, SessionName,
    logout, printable,
};

use crate::app::{App, ready_made_token};
use crate::args::LogoutArgs;
use crate::error::CliError;
use crate::output;

/// Revoking is a courtesy of two requests; nobody should wait long for it to say goodbye.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn run(app: &App, args: &LogoutArgs) -> Result<(), CliError> {
    let context = app.context()?;
    let sessions = if args.all {
        context.session_names()?
    } else {
        vec![app.session_name()?]
    };
    // With several accounts it matters whose session it was.
    let one_of_several = |session: &SessionName| session.as_str().contains('@');
    let named = args.all || app.settings.account.is_some() || sessions.iter().any(one_of_several);
    if sessions.is_empty() {
        app.voice.say("Nobody was signed in.");
    }
    let mut failure = None;
    let mut pages = Vec::new();
    for session in sessions {
        // One that cannot be removed must not keep the others.
        if let Err(error) = end(app, &context, &session, named, &mut pages) {
            failure = Some(error);
        }
    }
    let at_server = app.settings.end_session.as_ref();
    if at_server.is_some_and(|setting| setting.value) {
        end_at_server(app, &context, pages);
    }
    if ready_made_token().is_ok_and(|token| token.is_some()) {
        app.voice
            .warn("COUNTERSIGN_TOKEN is still set; unset it to be signed out altogether");
    }
    failure.map_or(Ok(()), Err)
}

/// Shows where the browser's own sessions end, each page once. They are the browser's: it signs in there
/// again without a question as long as they last, and only the person can confirm their end.
fn end_at_server(app: &App, context: &Context, pages: Vec<LogoutPage>) {
    let voice = app.voice;
    let mut shown = Vec::new();
    for page in pages {
        if shown.contains(&page) {
            continue;
        }
        match &page {
            LogoutPage::At(url) => {
                voice.say(
                    "A browser may still be signed in there. To end that as well, confirm it on",
                );
                voice.say(&format!("this page:\n  {}", printable(url.as_str())));
                let place = app.place();
                match app.browser(&place).show(&place, url, context.clock()) {
                    BrowserOutcome::Opened => voice.say("A browser window was opened."),
                    BrowserOutcome::Failed => {
                        voice.say("No browser could be started: open the page yourself.");
                    }
                    why => voice.detail(1, || format!("no browser is opened: {}", why.text())),
                }
            }
            LogoutPage::ByPerson(how) => voice.warn(&format!(
                "a browser may still be signed in at the server:\n{how}"
            )),
            LogoutPage::NotOffered => voice.warn(
                "the server has no page to sign out on; a browser that is signed in there\n\
                 stays so until its session ends by itself",
            ),
            _ => voice.warn(
                "the server could not be asked for its page to sign out on; a browser may\n\
                 still be signed in there",
            ),
        }
        shown.push(page);
    }
}

fn end(
    app: &App,
    context: &Context,
    session: &SessionName,
    named: bool,
    pages: &mut Vec<LogoutPage>,
) -> Result<(), CliError> {
    let limit = LIMIT.min(app.settings.timeout.value);
    let report = logout(context, session, limit).map_err(|error| app.explain(error))?;
    forget_choice(app, context, session);
    let of = if named {
        format!(" of `{session}`")
    } else {
        String::new()
    };
    if !report.removed {
        app.voice.say("Nobody was signed in.");
        return Ok(());
    }
    pages.push(report.page.clone());
    if let Some(why) = &report.left_behind {
        let what = format!(
            "a copy of the refresh token{of} may be left: {}",
            printable(why)
        );
        app.voice.warn(&what);
    }
    if report.is_complete() {
        app.voice.say(&format!(
            "Signed out{of}: revoked at the server and deleted here."
        ));
        return Ok(());
    }
    if let Some(why) = failed(&report) {
        let what = format!("the session{of} is deleted here, but may live on at the server");
        return Err(
            CliError::new(ExitCategory::Unreachable, "not_revoked", what)
                .why(printable(why))
                .hint("end it on the server's own page, if that matters"),
        );
    }
    app.voice.say(&format!(
        "Signed out{of}: deleted here. The server has no way to revoke tokens;"
    ));
    app.voice.say("they end by themselves when they expire.");
    Ok(())
}

/// Forgets which account of a profile was chosen, where there is none left to choose. The session is gone:
/// that this cannot be written down is worth a warning only.
fn forget_choice(app: &App, context: &Context, session: &SessionName) {
    let base = session.as_str().split_once('@').map(|(base, _)| base);
    let Ok(base) = base.unwrap_or(session.as_str()).parse() else {
        return;
    };
    if let Err(error) = context.accounts(&base).settle() {
        app.voice.warn("which account is used could not be written");
        let error = CliError::from(error);
        output::message(&error.render(app.voice.paint()));
    }
}

/// Why the server may still take a token, if it was asked in vain.
fn failed(report: &LogoutReport) -> Option<&str> {
    [&report.refresh_token, &report.access_token]
        .into_iter()
        .find_map(|revocation| match revocation {
            Revocation::Failed { why } => Some(why.as_str()),
            _ => None,
        })
}

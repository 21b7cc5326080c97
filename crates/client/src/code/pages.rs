//! What the browser shows in the end.

use countersign_oauth::NotOurs;
use countersign_oauth::preset::Preset;

use crate::listener::{Page, Tone};
use crate::{Error, Session, printable, run};

const BACK: &str = "You can close this window and go back to the terminal.";

/// Somebody is signed in, and the session is kept.
pub(super) fn signed_in(session: &Session) -> Page {
    let identity = session.identity();
    let name = [
        &identity.name,
        &identity.preferred_username,
        &identity.email,
    ];
    let name = name.into_iter().flatten().map(|name| printable(name));
    Page::new(200, Tone::Good, "You are signed in")
        .say(BACK)
        .detail("As", name.into_iter().next().unwrap_or_default())
        .detail("Application", printable(session.client_id()))
        .detail("At", printable(session.issuer()))
}

/// The sign-in has failed, or was refused.
pub(super) fn failed(error: &Error, client_id: &str, preset: Option<&'static Preset>) -> Page {
    let denied = error.code() == "access_denied";
    let heading = if denied {
        "The sign-in was refused"
    } else {
        "The sign-in did not succeed"
    };
    let said = match error {
        Error::Exchange(exchange) => exchange.refusal().map(ToString::to_string),
        _ => None,
    };
    let words = run::in_words(error, preset);
    let said = said.unwrap_or_default();
    // The server's own words have a line of their own.
    let what = words.strip_suffix(&format!(": {said}")).unwrap_or(&words);
    Page::new(400, Tone::Bad, heading)
        .say("Nothing was saved. The terminal says more, and what to do.")
        .detail("Error", printable(what))
        .detail("The server says", printable(&said))
        .detail("Code", error.code())
        .detail("Application", printable(client_id))
}

/// The answer has come, and nobody knows yet what it is worth.
pub(super) fn unfinished() -> Page {
    Page::new(200, Tone::Neutral, "The answer has arrived")
        .say("The program in the terminal is still finishing the sign-in, and says there how it ends.")
        .say("You can close this window.")
}

/// Something came that is not the answer.
pub(super) fn stray(reason: NotOurs) -> Page {
    Page::new(
        400,
        Tone::Neutral,
        "This is not the sign-in that is waited for",
    )
    .say("The program in the terminal goes on waiting. Use the page that it opened last.")
    .detail("Because", reason.to_string())
}

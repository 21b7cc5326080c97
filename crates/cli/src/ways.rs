//! What the ways to sign in are called when one is closed and another is offered.

use countersign_client::{Fallback, SignIn};

/// A way to sign in, at the start of a sentence.
fn way(flow: SignIn) -> &'static str {
    match flow {
        SignIn::Browser => "The browser",
        SignIn::Device => "The device grant",
        SignIn::Paste => "Pasting a code",
        SignIn::ClientCredentials => "Signing in as the client itself",
        _ => "This way to sign in",
    }
}

/// The question whether to take this way.
pub(crate) fn instead(flow: SignIn) -> &'static str {
    match flow {
        SignIn::Browser => "Sign in with the browser instead?",
        SignIn::Device => "Sign in with a code on any device instead?",
        SignIn::Paste => "Sign in with any browser and paste the code here instead?",
        SignIn::ClientCredentials => "Sign in as the client itself instead?",
        _ => "Sign in another way instead?",
    }
}

/// Which way is closed and why, in one or two sentences.
pub(crate) fn closed(fallback: &Fallback) -> String {
    let way = way(fallback.from);
    let why = fallback.why.trim_end_matches('.');
    // What a provider means by it is a sentence of its own.
    let between = if why.starts_with(char::is_uppercase) {
        "."
    } else {
        ":"
    };
    format!("{way} does not work here{between} {why}.")
}

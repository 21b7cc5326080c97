//! What a person is told who signs in with a browser: which page to open, and what happens then.
//!
//! Not responsible for how it is coloured or linked: these are words, in lines of at most 80 columns.

use std::time::Duration;

use countersign_client::{AuthorizationPrompt, BrowserOutcome, Paste, PasteRefused, SignIn};

use crate::duration;

/// What stands above the address.
pub(crate) fn above(authorization: &AuthorizationPrompt) -> String {
    let which = if returns(authorization) {
        "this"
    } else {
        "any"
    };
    // Servers forget a request that was pushed to them after a while (RFC 9126, section 2.2).
    match authorization.opens_within {
        Some(limit) if limit < authorization.expires_in => format!(
            "Open this page within {} and sign in, in a browser on {which} computer:",
            duration::text(limit)
        ),
        _ => format!("Sign in on this page, in a browser on {which} computer:"),
    }
}

/// What came of opening it, if the person should know.
pub(crate) fn opened(outcome: Option<BrowserOutcome>) -> Option<&'static str> {
    match outcome? {
        BrowserOutcome::Opened => Some("A browser window was opened."),
        BrowserOutcome::Failed => Some("No browser could be started: open the page yourself."),
        // It was not tried. Why not is for the curious.
        _ => None,
    }
}

/// What happens in the end, and what to do then. After the last line something can be pasted, if
/// anything can.
pub(crate) fn ending(authorization: &AuthorizationPrompt, takes_paste: bool) -> String {
    let left = duration::text(authorization.expires_in);
    let paste = authorization.paste.filter(|_| takes_paste);
    match (returns(authorization), paste) {
        (true, Some(_)) => format!(
            "Waiting for the browser to come back here, for {left}.\n\
             If it does not, paste the address it ends on, and press Enter:\n"
        ),
        (true, None) => format!("Waiting for the browser to come back here, for {left}.\n"),
        (false, Some(Paste::Code)) => format!(
            "It ends on a code. There is time for {left}.\n\
             Paste the code here, and press Enter:\n"
        ),
        (false, Some(_)) => format!(
            "It ends on a page that does not load. There is time for {left}.\n\
             Paste the address of that page here, and press Enter:\n"
        ),
        (false, None) => String::new(),
    }
}

/// Whether the browser is expected to bring the answer by itself. Whoever is told to paste may have a
/// tunnel, but need not.
pub(crate) fn returns(authorization: &AuthorizationPrompt) -> bool {
    authorization.flow == SignIn::Browser && authorization.comes_back
}

/// What is said of something pasted that is not the answer.
pub(crate) fn refused(refused: PasteRefused) -> &'static str {
    match refused {
        PasteRefused::NoCode => {
            "There is no code in that. Copy the whole address that the browser ends on:"
        }
        PasteRefused::OtherSignIn => {
            "That belongs to another sign-in. Open the page above once more, then paste:"
        }
        PasteRefused::OtherAddress => {
            "That is another page. Copy the address that the browser ends on:"
        }
        other => other.text(),
    }
}

/// What is said of a line that the terminal has cut.
pub(crate) const TOO_LONG: &str = "\
That is longer than a line of a terminal can be. Paste the code alone: in the
address, it stands between `code=` and the next `&`.";

/// The line that is shown while the person is away and nothing can be pasted.
pub(crate) fn waiting(remaining: Duration) -> String {
    format!(
        "Waiting for the browser … {} left",
        duration::clock(remaining)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_eighty_columns() {
        let long = Duration::from_secs(100 * 86400 + 23 * 3600);
        let mut lines = vec![waiting(long), TOO_LONG.to_owned()];
        lines.extend(
            [BrowserOutcome::Opened, BrowserOutcome::Failed]
                .map(|outcome| opened(Some(outcome)).unwrap().to_owned()),
        );
        let reasons = [
            PasteRefused::NoCode,
            PasteRefused::OtherSignIn,
            PasteRefused::OtherAddress,
        ];
        lines.extend(reasons.map(|why| refused(why).to_owned()));
        for line in lines.iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() < 80, "{line}");
        }
    }
}

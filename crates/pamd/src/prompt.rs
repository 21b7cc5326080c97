//! What a person reads: at most 80 columns and, but for a QR code, a dozen lines.
//!
//! A prompt begins with an empty line, because the ssh client writes the account's name in front of its
//! first one. Everything from outside passes through [`printable`], so no text steers a terminal.
//!
//! Not responsible for when something is shown.

use std::time::Duration;

use countersign_client::printable;
use countersign_console::qr::{self, Colours};

use crate::Reference;
use crate::config::{Qr, Show};

/// The narrowest terminal that people have.
const COLUMNS: usize = 80;
/// The longest address whose QR code leaves room for the text on a small screen.
const SHORT_ADDRESS: usize = 106;

/// The light border around a QR code, in modules. Half of what ISO/IEC 18004 wants, which readers take, and
/// a blank line above and below besides.
const BORDER: usize = 2;

/// Whom a prompt is for, in words.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) host: String,
    pub(crate) account: String,
    /// Where the person comes from; empty for a local login.
    pub(crate) rhost: String,
}

/// What the authorization server gave to be shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub(crate) enum Shown {
    /// A code to be approved elsewhere (RFC 8628).
    Device {
        user_code: String,
        verification_uri: String,
        verification_uri_complete: Option<String>,
        /// How long the code is good for.
        expires_in: Duration,
    },
    /// An address whose page brings a code to be pasted.
    Paste { url: String },
}

/// The first prompt, whole.
pub(crate) fn first(who: &Who, shown: &Shown, show: Show, left: Duration) -> String {
    let mut text = introduction(who, shown);
    if let Some(drawing) = drawing(shown, show) {
        text.push('\n');
        text.push_str(&drawing);
        // What was above may have left the screen.
        text.push('\n');
        text.push_str(&wrapped(&short(shown)));
    }
    text.push('\n');
    text.push_str(&last_lines(shown, left));
    text
}

/// The same for a service that shows text by itself: nothing is asked, and there is no QR code, which
/// older clients would print as numbers.
pub(crate) fn announced(who: &Who, shown: &Shown, left: Duration) -> String {
    format!(
        "{}\nApprove only if YOU started this sign-in. Waiting for {}.",
        introduction(who, shown),
        countdown(left)
    )
}

/// What is asked once more when nothing has happened yet.
pub(crate) fn again(left: Duration) -> String {
    format!(
        "Not approved yet, {} left. Approve in the browser, then press Enter: ",
        seconds(left)
    )
}

/// What is asked once more when what was pasted is no code.
pub(crate) fn not_a_code(left: Duration) -> String {
    format!(
        "That is not the code. Paste it once more, then press Enter ({} left): ",
        seconds(left)
    )
}

/// Minutes and seconds, as a clock that runs down shows them.
fn countdown(left: Duration) -> String {
    let seconds = left.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn seconds(left: Duration) -> String {
    format!("{} s", left.as_secs())
}

fn introduction(who: &Who, shown: &Shown) -> String {
    let from = match who.rhost.as_str() {
        "" => String::new(),
        rhost => format!(" (from {})", cut(rhost, 45)),
    };
    let heading = wrapped(&format!(
        "Sign in to {} as {}{from}.",
        cut(&who.host, 63),
        cut(&who.account, 40)
    ));
    let body = match shown {
        Shown::Device {
            user_code,
            verification_uri,
            ..
        } => format!(
            "  Open  {}\n  Code  {}\n",
            printable(verification_uri),
            printable(user_code)
        ),
        Shown::Paste { url } => format!(
            "Open this address in a browser, sign in, and copy the code that it shows:\n\n{}\n",
            // It must be copied whole, so it is neither cut nor broken.
            address(url)
        ),
    };
    format!("\n{heading}\n{body}")
}

fn last_lines(shown: &Shown, left: Duration) -> String {
    let left = countdown(left);
    match shown {
        Shown::Device { .. } => format!(
            "Start nothing you did not ask for: approve only if YOU started this sign-in.\n\
             Approve in the browser, then press Enter (expires in {left}): "
        ),
        Shown::Paste { .. } => format!(
            "Start nothing you did not ask for: paste only if YOU started this sign-in.\n\
             Paste the code, then press Enter (expires in {left}): "
        ),
    }
}

/// Address and code in one line.
fn short(shown: &Shown) -> String {
    match shown {
        Shown::Device {
            user_code,
            verification_uri,
            ..
        } => format!(
            "{}  code {}",
            printable(verification_uri),
            printable(user_code)
        ),
        Shown::Paste { .. } => "The address stands above the QR code.".to_owned(),
    }
}

fn drawing(shown: &Shown, show: Show) -> Option<String> {
    let address = match shown {
        Shown::Device {
            verification_uri_complete: Some(complete),
            ..
        } => complete,
        Shown::Device {
            verification_uri, ..
        } => verification_uri,
        Shown::Paste { url } => url,
    };
    match show.qr {
        Qr::Never => return None,
        Qr::Auto if address.len() > SHORT_ADDRESS => return None,
        Qr::Auto | Qr::Always => {}
    }
    let code = qr::Qr::new(address, BORDER)?;
    // The terminal's own colours, because the ssh client prints escape sequences as text.
    let colours = if show.qr_invert {
        Colours::OfLightTerminal
    } else {
        Colours::OfDarkTerminal
    };
    (code.columns() <= COLUMNS).then(|| code.draw(colours))
}

/// The welcome at the end.
pub(crate) fn welcome(name: &str, reference: &Reference) -> String {
    wrapped(&format!(
        "Welcome, {}. (reference {reference})",
        cut(name, 60)
    ))
}

/// The same words for everybody who could not get in whoever they are: unknown accounts, accounts
/// without a rule, addresses that are not let in, and too many at a time.
pub(crate) fn not_possible(who: &Who, contact: Option<&str>, reference: &Reference) -> String {
    wrapped(&format!(
        "Signing in to {} as {} is not possible. Ask {} and name the reference {reference}.",
        cut(&who.host, 63),
        cut(&who.account, 40),
        ask(contact)
    ))
}

/// For a person who signed in as somebody who may not use the account.
pub(crate) fn not_allowed(
    login_name: &str,
    who: &Who,
    contact: Option<&str>,
    reference: &Reference,
) -> String {
    wrapped(&format!(
        "You signed in as {}, who may not use the account {} here. If you have another account, \
         name it: ssh ACCOUNT@{}. Otherwise ask {} and name the reference {reference}.",
        cut(login_name, 60),
        cut(&who.account, 40),
        cut(&who.host, 63),
        ask(contact)
    ))
}

/// A failure with what to do next.
pub(crate) fn failed(what: &str, next: &str, reference: &Reference) -> String {
    wrapped(&format!("{what} {next} (reference {reference})"))
}

fn ask(contact: Option<&str>) -> &str {
    contact.unwrap_or("the administrator of this host")
}

/// Text from outside in a limited length.
fn cut(text: &str, most: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= most {
        return text;
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// An address in full: what cannot be part of one is left out.
fn address(url: &str) -> String {
    url.chars().filter(char::is_ascii_graphic).collect()
}

/// Breaks lines between words. A word that is longer than a line stays whole: it may be an address.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > COLUMNS - 1 {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests;

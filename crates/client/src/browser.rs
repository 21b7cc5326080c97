//! Opening the person's browser, where there is one to open.
//!
//! Not responsible for what the page does, nor for the loopback listener of the code flow.

use std::ffi::OsString;

use url::Url;

/// Whether a login may open a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Browser {
    /// Open one when this looks like a person's own desktop.
    #[default]
    Auto,
    /// Never open one; the address is shown either way.
    Never,
}

/// Whether a browser was opened, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrowserOutcome {
    /// The system accepted the address. Whether a window appeared, nobody can tell.
    Opened,
    /// The caller, or `COUNTERSIGN_NO_BROWSER`, said not to.
    NotWanted,
    /// This is a remote session (`SSH_CONNECTION`): a window would open on the wrong screen, or none.
    Remote,
    /// There is no graphical session (neither `DISPLAY` nor `WAYLAND_DISPLAY`) and no `BROWSER`.
    NoDisplay,
    /// The browser is one that draws in this terminal, which belongs to the program that asked.
    TextBrowser,
    /// The address is neither `https` nor loopback, and is not handed to another program.
    Refused,
    /// No browser was found, or it did not start.
    Failed,
}

impl BrowserOutcome {
    /// A few words for a person.
    pub fn text(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::NotWanted => "not wanted",
            Self::Remote => "this is a remote session",
            Self::NoDisplay => "there is no graphical session here",
            Self::TextBrowser => "the browser set in BROWSER would take over this terminal",
            Self::Refused => "the address is neither https nor on this computer",
            Self::Failed => "none could be started",
        }
    }
}

/// Opens `url` unless something speaks against it.
pub(crate) fn open(browser: Browser, url: &Url) -> BrowserOutcome {
    if browser == Browser::Never {
        return BrowserOutcome::NotWanted;
    }
    if !crate::transport::is_safe(url) {
        return BrowserOutcome::Refused;
    }
    if let Some(reason) = obstacle(|name| std::env::var_os(name)) {
        return reason;
    }
    // Standard output and error of the browser go nowhere: ours carry the artefact and the prompt.
    let mut options = webbrowser::BrowserOptions::new();
    options.with_suppress_output(true);
    match webbrowser::open_browser_with_options(
        webbrowser::Browser::Default,
        url.as_str(),
        &options,
    ) {
        Ok(()) => BrowserOutcome::Opened,
        Err(_) => BrowserOutcome::Failed,
    }
}

/// What the environment says against opening a browser.
fn obstacle(variable: impl Fn(&str) -> Option<OsString>) -> Option<BrowserOutcome> {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if variable("COUNTERSIGN_NO_BROWSER").is_some_and(|value| !value.is_empty() && value != "0") {
        return Some(BrowserOutcome::NotWanted);
    }
    // Who sets BROWSER inside a remote session (editors do) has a way to show it to the person.
    if let Some(command) = variable("BROWSER").filter(|value| !value.is_empty()) {
        return is_text_browser(&command.to_string_lossy()).then_some(BrowserOutcome::TextBrowser);
    }
    if set("SSH_CONNECTION") || set("SSH_TTY") {
        return Some(BrowserOutcome::Remote);
    }
    let desktop = cfg!(target_os = "macos")
        || set("DISPLAY")
        || set("WAYLAND_DISPLAY")
        || set("WSL_DISTRO_NAME");
    (!desktop).then_some(BrowserOutcome::NoDisplay)
}

/// Whether a `BROWSER` command draws in the terminal. The variable may list several, in order.
fn is_text_browser(commands: &str) -> bool {
    const TEXT: [&str; 8] = [
        "lynx",
        "links",
        "links2",
        "elinks",
        "w3m",
        "eww",
        "netrik",
        "www-browser",
    ];
    commands.split(':').any(|command| {
        let program = command.split_ascii_whitespace().next().unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or_default();
        TEXT.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Option<BrowserOutcome> {
        obstacle(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_desktop_gets_a_browser_and_a_remote_session_does_not() {
        assert_eq!(with(&[("WAYLAND_DISPLAY", "wayland-0")]), None);
        let remote = [
            ("DISPLAY", ":10"),
            ("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22"),
        ];
        assert_eq!(with(&remote), Some(BrowserOutcome::Remote));
    }

    #[test]
    fn no_display_means_no_browser_unless_one_is_named() {
        if !cfg!(target_os = "macos") {
            assert_eq!(with(&[]), Some(BrowserOutcome::NoDisplay));
            assert_eq!(with(&[("DISPLAY", "")]), Some(BrowserOutcome::NoDisplay));
        }
        assert_eq!(with(&[("BROWSER", "/opt/editor/open-url")]), None);
        let editor = [("SSH_CONNECTION", "x"), ("BROWSER", "/opt/editor/open-url")];
        assert_eq!(with(&editor), None);
    }

    #[test]
    fn a_browser_that_draws_in_the_terminal_is_not_started() {
        for command in ["lynx", "/usr/bin/w3m -F", "firefox:elinks %s"] {
            let found = with(&[("BROWSER", command), ("DISPLAY", ":0")]);
            assert_eq!(found, Some(BrowserOutcome::TextBrowser), "{command}");
        }
    }

    #[test]
    fn the_person_can_say_no() {
        let no = [
            ("COUNTERSIGN_NO_BROWSER", "1"),
            ("DISPLAY", ":0"),
            ("BROWSER", "firefox"),
        ];
        assert_eq!(with(&no), Some(BrowserOutcome::NotWanted));
        let unset = [("COUNTERSIGN_NO_BROWSER", "0"), ("DISPLAY", ":0")];
        assert_eq!(with(&unset), None);
    }

    #[test]
    fn only_https_and_loopback_addresses_leave_for_another_program() {
        for address in [
            "http://id.example.com/device",
            "file:///etc/passwd",
            "javascript:alert(1)",
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(
                open(Browser::Auto, &url),
                BrowserOutcome::Refused,
                "{address}"
            );
        }
    }
}

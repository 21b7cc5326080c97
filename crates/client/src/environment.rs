//! What kind of place this program runs in: is there a browser, does it find its way back here, and
//! is there somebody to ask?
//!
//! Deciding is a pure function of what was found. Not responsible for opening anything.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;

use crate::BrowserOutcome;

/// What was found around this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one fact, and any of them goes with any other"
)]
pub struct Environment {
    /// Somebody is connected by SSH (`SSH_CONNECTION`, `SSH_CLIENT` or `SSH_TTY`).
    pub ssh: bool,
    /// This is a container (the `container` variable, a mark of its engine, Kubernetes).
    pub container: bool,
    /// This is Linux inside Windows (`WSL_DISTRO_NAME`, `WSL_INTEROP`), whose browser can reach us.
    pub wsl: bool,
    /// This is a job of a build server (`CI`): nobody sits here.
    pub ci: bool,
    /// There is a graphical session (`DISPLAY`, `WAYLAND_DISPLAY`, macOS).
    pub graphical: bool,
    /// What is to be run instead of the system's browser (`COUNTERSIGN_BROWSER`).
    pub own_browser: Option<String>,
    /// The commands of `BROWSER`, a list separated by colons.
    pub browser: Option<String>,
    /// `COUNTERSIGN_NO_BROWSER` says that none is to be opened.
    pub no_browser: bool,
    /// A person reads standard error and can answer on standard input.
    pub interactive: bool,
}

/// The kind of place, in one word: what a person would call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A graphical session.
    Desktop,
    /// Linux inside Windows.
    Wsl,
    /// The other end of an SSH connection.
    Ssh,
    /// A container without a graphical session.
    Container,
    /// A job of a build server.
    Ci,
    /// A computer without a graphical session.
    Headless,
}

impl Place {
    /// What it is, to be put after "this is".
    pub fn text(self) -> &'static str {
        match self {
            Self::Desktop => "a graphical session",
            Self::Wsl => "Linux inside Windows",
            Self::Ssh => "a remote session",
            Self::Container => "a container",
            Self::Ci => "a job of a build server",
            Self::Headless => "a computer without a graphical session",
        }
    }
}

/// Whether a browser that is opened from here can come back to a listener on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// It runs on this computer, or the system forwards to us.
    Yes,
    /// A browser can be opened, but by a command that may well open it elsewhere.
    Perhaps,
    /// Whatever browser the person has runs elsewhere.
    No,
}

impl Environment {
    /// Looks around: variables, marks of containers and of Windows, and whether this is a terminal.
    pub fn detect() -> Self {
        let exists = |path: &str| Path::new(path).exists();
        let mut found = Self::from_variables(|name| std::env::var_os(name));
        // An empty `container` says that this is none, whatever else looks like it.
        if std::env::var_os("container").is_none() {
            found.container |= exists("/.dockerenv") || exists("/run/.containerenv");
        }
        found.wsl |= std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .is_ok_and(|release| release.to_ascii_lowercase().contains("microsoft"))
            && !found.container;
        found.interactive = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        found
    }

    /// What the variables alone say. Nobody is taken to be there.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| {
            let value = variable(name)?.to_string_lossy().trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        let set = |name: &str| text(name).is_some();
        let yes = |name: &str| text(name).is_some_and(|value| value != "0" && value != "false");
        Self {
            ssh: set("SSH_CONNECTION") || set("SSH_CLIENT") || set("SSH_TTY"),
            container: set("container") || set("KUBERNETES_SERVICE_HOST"),
            wsl: set("WSL_DISTRO_NAME") || set("WSL_INTEROP"),
            ci: yes("CI"),
            graphical: cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY"),
            own_browser: text("COUNTERSIGN_BROWSER"),
            browser: text("BROWSER"),
            no_browser: yes("COUNTERSIGN_NO_BROWSER"),
            interactive: false,
        }
    }

    /// The kind of place.
    pub fn place(&self) -> Place {
        if self.ci {
            Place::Ci
        } else if self.ssh {
            Place::Ssh
        } else if self.wsl {
            Place::Wsl
        } else if self.graphical {
            Place::Desktop
        } else if self.container {
            Place::Container
        } else {
            Place::Headless
        }
    }

    /// What speaks against opening a browser here.
    pub fn obstacle(&self) -> Option<BrowserOutcome> {
        if self.no_browser {
            return Some(BrowserOutcome::NotWanted);
        }
        // Who names a browser inside a remote session (editors do) has a way to show it to the person.
        if let Some(commands) = self.own_browser.as_ref().or(self.browser.as_ref()) {
            return is_text_browser(commands).then_some(BrowserOutcome::TextBrowser);
        }
        match self.place() {
            Place::Desktop | Place::Wsl => None,
            Place::Ssh => Some(BrowserOutcome::Remote),
            Place::Ci => Some(BrowserOutcome::Unattended),
            Place::Container | Place::Headless => Some(BrowserOutcome::NoDisplay),
        }
    }

    /// Whether a browser comes back to a listener on this computer.
    pub fn reach(&self) -> Reach {
        let named = self.own_browser.is_some() || self.browser.is_some();
        match self.place() {
            Place::Desktop | Place::Wsl => Reach::Yes,
            Place::Ci | Place::Headless if named => Reach::Yes,
            Place::Ssh | Place::Container if named => Reach::Perhaps,
            Place::Ssh | Place::Container | Place::Ci | Place::Headless => Reach::No,
        }
    }
}

/// Whether a browser command draws in the terminal, which belongs to the program that asked. `BROWSER`
/// may list several, in order.
pub(crate) fn is_text_browser(commands: &str) -> bool {
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
    use BrowserOutcome::{NoDisplay, NotWanted, Remote, TextBrowser, Unattended};

    fn with(variables: &str) -> Environment {
        Environment::from_variables(|name| {
            let mut all = variables.split(' ').filter_map(|one| one.split_once('='));
            all.find(|(n, _)| *n == name)
                .map(|(_, value)| OsString::from(value.replace('_', " ")))
        })
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn what_is_found_decides_whether_a_browser_is_opened_and_comes_back() {
        use Place::{Ci, Container, Desktop, Headless, Ssh, Wsl};
        use Reach::{No, Perhaps, Yes};
        let table: &[(&str, Place, Option<BrowserOutcome>, Reach)] = &[
            ("DISPLAY=:0", Desktop, None, Yes),
            ("WAYLAND_DISPLAY=wayland-0", Desktop, None, Yes),
            ("WSL_DISTRO_NAME=Debian", Wsl, None, Yes),
            ("WSL_INTEROP=/run/WSL/8", Wsl, None, Yes),
            ("", Headless, Some(NoDisplay), No),
            ("DISPLAY=", Headless, Some(NoDisplay), No),
            ("BROWSER=/opt/open", Headless, None, Yes),
            // Windows of the other side may be drawn here, but nobody wants a browser that way.
            ("SSH_CONNECTION=x DISPLAY=:10", Ssh, Some(Remote), No),
            ("SSH_TTY=/dev/pts/1", Ssh, Some(Remote), No),
            ("SSH_CLIENT=x", Ssh, Some(Remote), No),
            ("SSH_CONNECTION=x BROWSER=/opt/open", Ssh, None, Perhaps),
            ("container=docker", Container, Some(NoDisplay), No),
            (
                "container=docker BROWSER=/opt/open",
                Container,
                None,
                Perhaps,
            ),
            // A window that a container can open is one of a browser inside it.
            ("container=docker DISPLAY=:0", Desktop, None, Yes),
            ("KUBERNETES_SERVICE_HOST=x", Container, Some(NoDisplay), No),
            ("CI=true DISPLAY=:99", Ci, Some(Unattended), No),
            ("CI=true BROWSER=/opt/open", Ci, None, Yes),
            ("CI=false DISPLAY=:0", Desktop, None, Yes),
            (
                "COUNTERSIGN_NO_BROWSER=1 DISPLAY=:0 BROWSER=/opt/open",
                Desktop,
                Some(NotWanted),
                Yes,
            ),
            ("COUNTERSIGN_NO_BROWSER=0 DISPLAY=:0", Desktop, None, Yes),
            ("DISPLAY=:0 BROWSER=lynx", Desktop, Some(TextBrowser), Yes),
            (
                "DISPLAY=:0 BROWSER=firefox:/usr/bin/w3m_-F",
                Desktop,
                Some(TextBrowser),
                Yes,
            ),
            // The own variable is asked first.
            (
                "DISPLAY=:0 BROWSER=lynx COUNTERSIGN_BROWSER=firefox",
                Desktop,
                None,
                Yes,
            ),
            (
                "DISPLAY=:0 COUNTERSIGN_BROWSER=elinks_%s",
                Desktop,
                Some(TextBrowser),
                Yes,
            ),
        ];
        for (variables, place, obstacle, reach) in table {
            let found = with(variables);
            assert_eq!(found.place(), *place, "{variables:?}");
            assert_eq!(found.obstacle(), *obstacle, "{variables:?}");
            assert_eq!(found.reach(), *reach, "{variables:?}");
        }
    }
}

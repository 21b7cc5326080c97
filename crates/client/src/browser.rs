//! Opening the person's browser, where there is one to open.
//!
//! Not responsible for what the page does, nor for the loopback listener it may come back to.

mod command;

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use url::Url;

use self::command::Command;
use crate::environment::is_text_browser;
use crate::{Clock, Environment};

/// Whether a login may open a browser, and which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Browser {
    /// Open the person's own when this looks like a place where they would see it: the command of
    /// `COUNTERSIGN_BROWSER`, those of `BROWSER`, or the system's.
    #[default]
    Auto,
    /// Never open one; the address is shown either way.
    Never,
    /// Run this command line, whatever the place looks like. `%s` in it stands for the address, which
    /// is otherwise the last argument. No shell is involved; quotes keep words together. What draws in
    /// the terminal is not run: the terminal is taken.
    Command(String),
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
    /// This is a job of a build server (`CI`): nobody would see the window.
    Unattended,
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
            Self::Unattended => "this is a job of a build server",
            Self::TextBrowser => "the browser that is set would take over this terminal",
            Self::Refused => "the address is neither https nor on this computer",
            Self::Failed => "none could be started",
        }
    }
}

impl Browser {
    /// Opens a page that nobody waits for, unless something speaks against it, and looks for a moment
    /// whether that went well.
    pub fn show(&self, place: &Environment, address: &Url, clock: &dyn Clock) -> BrowserOutcome {
        let mut opening = open(self, place, address, clock);
        for _ in 0..LOOKS {
            if opening.running.is_none() {
                break;
            }
            clock.sleep(BETWEEN_LOOKS);
            opening.look(clock);
        }
        opening.outcome()
    }
}

/// How often to look whether a page has been opened that nobody waits for, and how long between: most
/// commands that open one have ended by then.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What speaks against opening a browser in this place.
pub(crate) fn obstacle(browser: &Browser, found: &Environment) -> Option<BrowserOutcome> {
    match browser {
        Browser::Never => Some(BrowserOutcome::NotWanted),
        Browser::Auto => found.obstacle(),
        Browser::Command(line) => is_text_browser(line).then_some(BrowserOutcome::TextBrowser),
    }
}

/// Opens `address` unless something speaks against it.
pub(crate) fn open(
    browser: &Browser,
    found: &Environment,
    address: &Url,
    clock: &dyn Clock,
) -> Opening {
    if let Some(reason) = obstacle(browser, found) {
        return Opening::ended(reason);
    }
    if !crate::transport::is_safe(address) {
        return Opening::ended(BrowserOutcome::Refused);
    }
    let mut candidates = command::candidates(browser, found, address.as_str());
    candidates.reverse();
    let mut opening = Opening {
        candidates,
        running: None,
        outcome: BrowserOutcome::Failed,
    };
    opening.start_next(clock);
    opening
}

/// How long after its start a browser command that fails is taken to have opened nothing. A person
/// who closes the window later has seen it.
const TELLING: Duration = Duration::from_secs(10);

/// A browser that has been started, or not.
#[derive(Debug)]
pub(crate) struct Opening {
    /// What is left to try, last first.
    candidates: Vec<Command>,
    running: Option<(Child, Duration)>,
    outcome: BrowserOutcome,
}

impl Opening {
    /// One that is over before it began.
    pub(crate) fn ended(outcome: BrowserOutcome) -> Self {
        Self {
            candidates: Vec::new(),
            running: None,
            outcome,
        }
    }

    /// What has come of it so far.
    pub(crate) fn outcome(&self) -> BrowserOutcome {
        self.outcome
    }

    /// Looks whether the command that was started has failed, and then tries the next. Answers whether
    /// the outcome is another now: `xdg-open` says only after a while that it found no browser.
    pub(crate) fn look(&mut self, clock: &dyn Clock) -> bool {
        let Some((child, started)) = &mut self.running else {
            return false;
        };
        let failed = match child.try_wait() {
            Ok(None) => return false,
            Ok(Some(status)) => !status.success(),
            Err(_) => false,
        };
        let early = clock.monotonic().saturating_sub(*started) < TELLING;
        self.running = None;
        if failed && early {
            self.start_next(clock);
        }
        self.outcome == BrowserOutcome::Failed
    }

    fn start_next(&mut self, clock: &dyn Clock) {
        self.outcome = BrowserOutcome::Failed;
        while let Some(command) = self.candidates.pop() {
            let started = std::process::Command::new(&command.program)
                .args(&command.arguments)
                .stdin(Stdio::null())
                // Ours carry the artefact and the prompt.
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // Ctrl-C in our terminal is meant for us.
                .process_group(0)
                .spawn();
            if let Ok(child) = started {
                self.running = Some((child, clock.monotonic()));
                self.outcome = BrowserOutcome::Opened;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::tests::FakeClock;

    fn open_with(command: &str) -> Opening {
        let browser = Browser::Command(command.to_owned());
        let address = Url::parse("https://id.example.com/").unwrap();
        open(
            &browser,
            &Environment::default(),
            &address,
            &FakeClock::at(0),
        )
    }

    /// Waits until the child has ended, and looks.
    fn settled(opening: &mut Opening) -> bool {
        if let Some((child, _)) = &mut opening.running {
            child.wait().unwrap();
        }
        opening.look(&FakeClock::at(0))
    }

    #[test]
    fn only_https_and_loopback_addresses_leave_for_another_program() {
        for address in [
            "http://id.example.com/device",
            "file:///etc/passwd",
            "javascript:alert(1)",
        ] {
            let url = Url::parse(address).unwrap();
            let browser = Browser::Command("true".to_owned());
            let opening = open(&browser, &Environment::default(), &url, &FakeClock::at(0));
            assert_eq!(opening.outcome(), BrowserOutcome::Refused, "{address}");
        }
    }

    #[test]
    fn a_command_that_cannot_be_started_has_failed_at_once() {
        assert_eq!(
            open_with("/nonexistent/browser").outcome(),
            BrowserOutcome::Failed
        );
        assert_eq!(open_with("").outcome(), BrowserOutcome::Failed);
    }

    #[test]
    fn a_command_that_fails_soon_has_opened_nothing() {
        let mut opening = open_with("false");
        assert_eq!(opening.outcome(), BrowserOutcome::Opened);
        assert!(settled(&mut opening));
        assert_eq!(opening.outcome(), BrowserOutcome::Failed);
        let mut opening = open_with("true");
        assert!(!settled(&mut opening));
        assert_eq!(opening.outcome(), BrowserOutcome::Opened);
    }

    #[test]
    fn a_window_that_is_closed_later_was_opened() {
        let mut opening = open_with("false");
        if let Some((child, _)) = &mut opening.running {
            child.wait().unwrap();
        }
        let clock = FakeClock::at(0);
        clock.pass(Duration::from_secs(60));
        assert!(!opening.look(&clock));
        assert_eq!(opening.outcome(), BrowserOutcome::Opened);
    }

    #[test]
    fn the_next_of_several_commands_is_tried_when_one_fails() {
        let found = Environment {
            browser: Some("/nonexistent/one:false:true".to_owned()),
            ..Environment::default()
        };
        let address = Url::parse("https://id.example.com/").unwrap();
        let mut opening = open(&Browser::Auto, &found, &address, &FakeClock::at(0));
        assert!(!settled(&mut opening));
        assert_eq!(opening.outcome(), BrowserOutcome::Opened);
        assert!(!settled(&mut opening));
        assert_eq!(opening.outcome(), BrowserOutcome::Opened);
    }

    #[test]
    fn never_means_never_and_a_named_command_is_run_anywhere() {
        let address = Url::parse("https://id.example.com/").unwrap();
        let desktop = Environment {
            graphical: true,
            ..Environment::default()
        };
        let clock = FakeClock::at(0);
        let never = open(&Browser::Never, &desktop, &address, &clock);
        assert_eq!(never.outcome(), BrowserOutcome::NotWanted);
        let headless = open(&Browser::Auto, &Environment::default(), &address, &clock);
        assert_ne!(headless.outcome(), BrowserOutcome::Opened);
        assert_eq!(open_with("true").outcome(), BrowserOutcome::Opened);
    }
}

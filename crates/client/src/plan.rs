//! Which ways to sign in are open, and in which order to try them. A pure function.

use std::fmt;

use crate::{BrowserOutcome, Reach, SignIn};

/// What keeps a way to sign in closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// Whoever administers this computer, or the caller, does not allow it.
    NotAllowed,
    /// The server does not offer it, or the provider is known not to.
    NotOffered,
    /// No browser can be opened here, or none would find its way back.
    NoBrowser(BrowserOutcome),
    /// Nobody is here to paste the answer.
    NobodyToPaste,
    /// The client has neither a secret nor a key to sign in with.
    NoCredentials,
}

impl Obstacle {
    /// Whether it is the place that is in the way, or that nobody is there.
    pub(crate) fn is_of_the_place(self) -> bool {
        matches!(self, Self::NoBrowser(_) | Self::NobodyToPaste)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("it is not allowed here"),
            Self::NotOffered => f.write_str("the server does not offer it"),
            Self::NoBrowser(outcome) => f.write_str(outcome.text()),
            Self::NobodyToPaste => f.write_str("nobody is here to paste the answer"),
            Self::NoCredentials => {
                f.write_str("this application has neither a secret nor a key to sign in with")
            }
        }
    }
}

/// What decides between the ways.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one fact, and any of them goes with any other"
)]
pub(crate) struct Circumstances {
    /// What the caller wants.
    pub(crate) chosen: SignIn,
    /// What may be used at all; `None` is everything.
    pub(crate) allowed: Option<Vec<SignIn>>,
    /// Whether the server takes part in the device grant.
    pub(crate) device: bool,
    /// Whether the server has a page to send a browser to.
    pub(crate) code: bool,
    /// What speaks against opening a browser.
    pub(crate) obstacle: Option<BrowserOutcome>,
    /// Whether a browser finds its way back.
    pub(crate) reach: Reach,
    /// Whether the redirect URI is a page elsewhere, from where nothing comes back by itself.
    pub(crate) hosted: bool,
    /// Whether there is somebody to paste.
    pub(crate) pastes: bool,
    /// Whether the client can prove who it is.
    pub(crate) credentials: bool,
}

/// The ways that are open, in the order to try them, and why the others are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) open: Vec<SignIn>,
    pub(crate) closed: Vec<(SignIn, Obstacle)>,
}

impl Circumstances {
    /// The order: what was asked for by name; otherwise the browser on the person's own desktop, which
    /// is nicer; elsewhere the device grant, which works from everywhere; pasting when nothing else
    /// is left.
    pub(crate) fn plan(&self) -> Plan {
        let mut order = match (self.obstacle, self.reach) {
            (None, Reach::Yes) => vec![SignIn::Browser, SignIn::Device, SignIn::Paste],
            _ => vec![SignIn::Device, SignIn::Browser, SignIn::Paste],
        };
        match self.chosen {
            SignIn::Auto => {}
            // A service account and a person are not two ways for the same.
            SignIn::ClientCredentials => order = vec![SignIn::ClientCredentials],
            named => {
                order.retain(|way| *way != named);
                order.insert(0, named);
            }
        }
        let mut plan = Plan {
            open: Vec::new(),
            closed: Vec::new(),
        };
        for way in order {
            match self.obstacle_to(way) {
                None => plan.open.push(way),
                Some(obstacle) => plan.closed.push((way, obstacle)),
            }
        }
        plan
    }

    fn obstacle_to(&self, way: SignIn) -> Option<Obstacle> {
        let allowed = self.allowed.as_ref();
        if allowed.is_some_and(|allowed| !allowed.contains(&way)) {
            return Some(Obstacle::NotAllowed);
        }
        let by_name = self.chosen == way;
        match way {
            SignIn::Auto => None,
            SignIn::Device => (!self.device).then_some(Obstacle::NotOffered),
            SignIn::Browser | SignIn::Paste if !self.code => Some(Obstacle::NotOffered),
            SignIn::Browser if self.hosted && !self.pastes => Some(Obstacle::NobodyToPaste),
            // Who asks for it by name has a browser that we do not see, or a tunnel.
            SignIn::Browser if by_name => None,
            SignIn::Browser => match (self.reach, self.obstacle) {
                (Reach::Yes, _) | (Reach::Perhaps, None) => None,
                (_, obstacle) => Some(Obstacle::NoBrowser(
                    obstacle.unwrap_or(BrowserOutcome::NoDisplay),
                )),
            },
            SignIn::Paste => (!self.pastes).then_some(Obstacle::NobodyToPaste),
            SignIn::ClientCredentials => (!self.credentials).then_some(Obstacle::NoCredentials),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SignIn::{Auto, Browser, ClientCredentials, Device, Paste};

    /// A person at a desktop, and a server that offers everything.
    fn desktop() -> Circumstances {
        Circumstances {
            chosen: Auto,
            allowed: None,
            device: true,
            code: true,
            obstacle: None,
            reach: Reach::Yes,
            hosted: false,
            pastes: true,
            credentials: false,
        }
    }

    /// The same over SSH.
    fn remote() -> Circumstances {
        Circumstances {
            obstacle: Some(BrowserOutcome::Remote),
            reach: Reach::No,
            ..desktop()
        }
    }

    fn assert_open(circumstances: &Circumstances, expected: &[SignIn]) {
        assert_eq!(circumstances.plan().open, expected, "{circumstances:?}");
    }

    #[test]
    fn auto_takes_the_browser_at_a_desktop_and_a_device_code_elsewhere() {
        assert_open(&desktop(), &[Browser, Device, Paste]);
        assert_open(&remote(), &[Device, Paste]);
        // An editor that shows pages somewhere, perhaps forwarding the way back.
        let editor = Circumstances {
            obstacle: None,
            reach: Reach::Perhaps,
            ..remote()
        };
        assert_open(&editor, &[Device, Browser, Paste]);
        // No window, but a browser that the person opens on the same computer.
        let quiet = Circumstances {
            obstacle: Some(BrowserOutcome::NotWanted),
            ..desktop()
        };
        assert_open(&quiet, &[Device, Browser, Paste]);
    }

    #[test]
    fn without_a_device_grant_what_is_left_is_pasting() {
        let cognito = |circumstances| Circumstances {
            device: false,
            ..circumstances
        };
        assert_open(&cognito(desktop()), &[Browser, Paste]);
        assert_open(&cognito(remote()), &[Paste]);
        let nobody = Circumstances {
            pastes: false,
            ..cognito(remote())
        };
        let plan = nobody.plan();
        assert!(plan.open.is_empty());
        let no_browser = Obstacle::NoBrowser(BrowserOutcome::Remote);
        assert_eq!(
            plan.closed,
            [
                (Device, Obstacle::NotOffered),
                (Browser, no_browser),
                (Paste, Obstacle::NobodyToPaste)
            ]
        );
    }

    #[test]
    fn nobody_to_paste_is_no_obstacle_to_what_comes_back_by_itself() {
        let window = Circumstances {
            pastes: false,
            ..desktop()
        };
        assert_open(&window, &[Browser, Device]);
        let hosted = Circumstances {
            hosted: true,
            ..window
        };
        assert_open(&hosted, &[Device]);
    }

    #[test]
    fn what_is_asked_for_by_name_comes_first_and_the_place_is_not_asked() {
        for chosen in [Browser, Device, Paste] {
            let named = Circumstances { chosen, ..remote() };
            assert_eq!(named.plan().open[0], chosen);
        }
        let closed = Circumstances {
            chosen: Device,
            device: false,
            ..desktop()
        };
        assert_open(&closed, &[Browser, Paste]);
        assert_eq!(closed.plan().closed, [(Device, Obstacle::NotOffered)]);
    }

    #[test]
    fn what_is_not_allowed_is_not_open_whoever_asks() {
        for chosen in [Auto, Browser] {
            let limited = Circumstances {
                chosen,
                allowed: Some(vec![Device]),
                ..desktop()
            };
            assert_open(&limited, &[Device]);
        }
        let nothing = Circumstances {
            allowed: Some(vec![Device]),
            device: false,
            ..desktop()
        };
        assert_open(&nothing, &[]);
    }

    #[test]
    fn an_application_signs_in_as_itself_only_when_told_to_and_never_as_a_person_instead() {
        let service = Circumstances {
            chosen: ClientCredentials,
            credentials: true,
            ..desktop()
        };
        assert_open(&service, &[ClientCredentials]);
        let nothing = Circumstances {
            credentials: false,
            ..service
        };
        assert_eq!(
            nothing.plan().closed,
            [(ClientCredentials, Obstacle::NoCredentials)]
        );
        let person = Circumstances {
            credentials: true,
            ..desktop()
        };
        assert!(!person.plan().open.contains(&ClientCredentials));
    }
}

//! Which way to sign in is chosen where, and what the person is told: a table of environments and
//! servers.

use std::fmt::Write as _;

use countersign_testkit::{Endpoint, Reply};
use serde_json::json;

use crate::desk::Desk;
use crate::seat::Seat;

/// A kind of place, by what is found there.
struct Place {
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    /// Programs that open an address.
    programs: &'static [&'static str],
}

const PLACES: &[Place] = &[
    Place {
        name: "a desktop",
        variables: &[("DISPLAY", ":0")],
        programs: &["xdg-open"],
    },
    Place {
        name: "a desktop without a browser",
        variables: &[("WAYLAND_DISPLAY", "wayland-0")],
        programs: &[],
    },
    Place {
        name: "a remote session",
        variables: &[
            ("SSH_CONNECTION", "192.0.2.1 51234 192.0.2.2 22"),
            ("DISPLAY", "localhost:10.0"),
        ],
        programs: &["xdg-open"],
    },
    Place {
        name: "a remote session in an editor",
        variables: &[
            ("SSH_CONNECTION", "192.0.2.1 51234 192.0.2.2 22"),
            ("BROWSER", "open-at-home"),
        ],
        programs: &["open-at-home"],
    },
    Place {
        name: "a container",
        variables: &[("container", "docker")],
        programs: &["xdg-open"],
    },
    Place {
        name: "Linux inside Windows",
        variables: &[("WSL_DISTRO_NAME", "Debian")],
        programs: &["wslview"],
    },
    Place {
        name: "a console",
        variables: &[],
        programs: &[],
    },
    Place {
        name: "a job of a build server",
        variables: &[("CI", "true"), ("DISPLAY", ":99")],
        programs: &["xdg-open"],
    },
];

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// Has the device grant, and lets this client use it.
    Offers,
    /// Does not have it.
    Lacks,
    /// Has it, but not for this client.
    Refuses,
}

impl Server {
    const ALL: [Self; 3] = [Self::Offers, Self::Lacks, Self::Refuses];

    fn words(self) -> &'static str {
        match self {
            Self::Offers => "a server with the device grant",
            Self::Lacks => "a server without it",
            Self::Refuses => "a server that refuses it to this client",
        }
    }

    fn prepare(self, desk: &Desk) {
        // Nobody approves: what is of interest is what the person sees.
        desk.provider.pending_polls(1000);
        match self {
            Self::Offers => {}
            Self::Lacks => {
                for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
                    desk.provider.edit(endpoint, |metadata| {
                        let metadata = metadata.as_object_mut().expect("an object");
                        metadata.remove("device_authorization_endpoint");
                    });
                }
            }
            Self::Refuses => desk.provider.always(
                Endpoint::DeviceAuthorization,
                Reply::json(400, &json!({ "error": "unauthorized_client" })),
            ),
        }
    }
}

/// What shows that a way was taken.
fn taken(text: &str) -> &'static str {
    if text.contains("Waiting for approval") {
        "device"
    } else if text.contains("does not load") {
        "paste"
    } else if text.contains("come back here") {
        "browser"
    } else {
        "none"
    }
}

/// What shows that there is something to wait for, or nothing any more.
const SIGNS: &[&str] = &["Waiting for approval", "Enter:", "error:"];

#[test]
fn the_way_is_chosen_by_the_place_and_the_server() {
    let mut table = String::new();
    let mut screens = Desk::new();
    for place in PLACES {
        for server in Server::ALL {
            let desk = Desk::with_profile();
            server.prepare(&desk);
            let mut seat = Seat::at(&desk).size(80, 40).browsers(place.programs);
            for (name, value) in place.variables {
                seat = seat.env(name, *value);
            }
            let mut seat = seat.types("login --color never --qr never");
            let mut asked = 0;
            // Each question is answered with Enter, until there is something to wait for.
            let screen = loop {
                let text = seat.see_that("a question or something to wait for", |text| {
                    let questions = text.matches("[Y/n]").count();
                    questions > asked || SIGNS.iter().any(|sign| text.contains(sign))
                });
                if !text.ends_with("[Y/n]") {
                    break text;
                }
                asked += 1;
                seat.types_line("");
            };
            for line in screen.lines().filter(|line| !line.contains("://")) {
                assert!(line.chars().count() <= 80, "too wide: {line}");
            }
            let title = format!("{}, {}", place.name, server.words());
            let way = taken(&screen);
            let asked = "asks, then ".repeat(asked);
            let _ = writeln!(table, "{title:72} {asked}{way}");
            screens.note(&title);
            screens.show_screen_of(&desk, &screen);
            screens.show("");
            seat.interrupt();
            seat.end();
        }
    }
    screens.note("In short");
    screens.show(&table);
    screens.check("environments");
}

#[test]
fn without_a_terminal_nothing_is_asked_and_a_login_says_what_there_is_to_say() {
    let mut screens = Desk::new();
    for server in Server::ALL {
        let desk = Desk::with_profile();
        server.prepare(&desk);
        for arguments in ["login", "login --flow browser", "login --flow paste"] {
            screens.note(&format!("{arguments}: {}", server.words()));
            let done = desk
                .program(&format!("{arguments} --login-timeout 1s"))
                .env("DISPLAY", ":0")
                .run();
            assert!(!done.stderr.contains("[Y/n]"), "{}", done.stderr);
            assert_eq!(done.stdout, "");
            screens.show_screen_of(&desk, &done.stderr);
            screens.show(&format!("[exit {}]\n", done.code().unwrap_or_default()));
        }
    }
    screens.note("Everything else asks for a login and starts none.");
    let desk = Desk::with_profile();
    for arguments in ["token", "whoami", "curl http://127.0.0.1:9/", "inspect"] {
        let done = desk.program(arguments).env("DISPLAY", ":0").run();
        screens.show(&format!("$ countersign {arguments}"));
        screens.show_screen_of(&desk, &done.expect_code(4).stderr);
    }
    assert!(desk.provider.server().requests().is_empty());
    screens.check("no-terminal");
}

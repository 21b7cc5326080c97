//! Which way to sign in is chosen where, and what the person is told: a table of environments and
//! servers.

use countersign_testkit::{Endpoint, Reply};
use serde_json::json;

use crate::desk::Desk;
use crate::seat::Seat;

/// The kinds of places, by what is found there: a name, variables, and programs that open an address.
const PLACES: &[(&str, &[(&str, &str)], &[&str])] = &[
    ("a desktop", &[("DISPLAY", ":0")], &["xdg-open"]),
    (
        "a desktop without a browser",
        &[("WAYLAND_DISPLAY", "wayland-0")],
        &[],
    ),
    (
        "a remote session",
        &[
            ("SSH_CONNECTION", "192.0.2.1 51234 192.0.2.2 22"),
            ("DISPLAY", "localhost:10.0"),
        ],
        &["xdg-open"],
    ),
    (
        "a remote session in an editor, which opens pages at home",
        &[
            ("SSH_CONNECTION", "192.0.2.1 51234 192.0.2.2 22"),
            ("BROWSER", "open-at-home"),
        ],
        &["open-at-home"],
    ),
    ("a container", &[("container", "docker")], &["xdg-open"]),
    (
        "Linux inside Windows",
        &[("WSL_DISTRO_NAME", "Debian")],
        &["wslview"],
    ),
    ("a console", &[], &[]),
    (
        "a job of a build server",
        &[("CI", "true"), ("DISPLAY", ":99")],
        &["xdg-open"],
    ),
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

const SIGNS: &[&str] = &["Waiting for approval", "Enter:", "[Y/n]", "error:"];

#[test]
fn the_way_is_chosen_by_the_place_and_the_server() {
    let mut table = String::new();
    let mut screens = Desk::new();
    for (place, variables, browsers) in PLACES {
        for server in Server::ALL {
            let desk = Desk::with_profile();
            server.prepare(&desk);
            let mut seat = Seat::at(&desk).size(80, 40).browsers(browsers);
            for (name, value) in *variables {
                seat = seat.env(name, *value);
            }
            let mut seat = seat.types("login --color never --qr never");
            let mut first = seat.see_one(SIGNS);
            let mut way = taken(&first).to_owned();
            if first.contains("[Y/n]") {
                seat.types_line("");
                let text = seat.see_one(&["Waiting for approval", "Enter:", "error:"]);
                way = format!("asks, then {}", taken(&text));
                first = text;
            }
            let title = format!("{place}, {}", server.words());
            table.push_str(&format!("{title:90} {way}\n"));
            screens.note(&title);
            screens.show_of(&desk, &first);
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
            screens.show_of(&desk, &done.stderr);
            screens.show(&format!("[exit {}]\n", done.code().unwrap_or_default()));
        }
    }
    screens.note("Everything else asks for a login and starts none.");
    let desk = Desk::with_profile();
    for arguments in ["token", "whoami", "curl http://127.0.0.1:9/", "inspect"] {
        let done = desk.program(arguments).env("DISPLAY", ":0").run();
        screens.show(&format!("$ countersign {arguments}"));
        screens.show_of(&desk, &done.expect_code(4).stderr);
    }
    assert!(desk.provider.server().requests().is_empty());
    screens.check("no-terminal");
}

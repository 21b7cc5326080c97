//! Which way to sign in is taken where, and what happens when it turns out to be closed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::ffi::OsString;
use std::net::TcpListener;
use std::sync::Arc;

use countersign_client::{
    Browser, BrowserOutcome, Environment, Error, ExitCategory, Login, Notice, Obstacle, Place,
    PlainPrompt, Redirect, SignIn,
};
use serde_json::{Value, json};
use support::person::Person;
use support::{Fault, World};

/// A place, as its variables describe it.
fn place(variables: &'static str) -> Environment {
    Environment::from_variables(|name| {
        let mut all = variables.split(' ').filter_map(|one| one.split_once('='));
        let found = all.find(|(known, _)| *known == name)?;
        Some(OsString::from(found.1))
    })
}

/// A login that finds its own way, in a place with a browser that does nothing.
fn login(world: &World, variables: &'static str) -> Login {
    world
        .login()
        .environment(place(variables))
        .browser(Browser::Auto)
}

const DESKTOP: &str = "DISPLAY=:0 COUNTERSIGN_BROWSER=true";
const REMOTE: &str = "SSH_CONNECTION=x";
const EDITOR: &str = "SSH_CONNECTION=x BROWSER=true";
const CONTAINER: &str = "container=docker";
const BUILD: &str = "CI=true";

/// A world whose server offers these.
fn world(device: bool, code: bool) -> World {
    let world = World::with_browser();
    world
        .server
        .edit("/.well-known/openid-configuration", move |document| {
            let members = document.as_object_mut().unwrap();
            if !device {
                members.remove("device_authorization_endpoint");
            }
            if !code {
                members.remove("authorization_endpoint");
            }
        });
    world
}

/// Somebody who signs in by whatever is shown, and can paste or not.
fn somebody(pastes: bool) -> Person {
    let person = Person::who(|desk| {
        let back = desk.sign_in();
        if desk.open(&back).is_empty() {
            desk.paste(back.as_str());
        }
    });
    if pastes { person.pasting() } else { person }
}

#[test]
fn the_place_and_the_server_decide_which_way_is_taken() {
    use SignIn::{Browser, Device, Paste};
    let table: [(&str, bool, bool, bool, Option<SignIn>); 16] = [
        // The place, whether the server has device codes, pages for browsers, and somebody pastes.
        (DESKTOP, true, true, true, Some(Browser)),
        (DESKTOP, true, true, false, Some(Browser)),
        (DESKTOP, false, true, false, Some(Browser)),
        (DESKTOP, true, false, true, Some(Device)),
        (DESKTOP, false, false, true, None),
        (REMOTE, true, true, true, Some(Device)),
        (REMOTE, false, true, true, Some(Paste)),
        (REMOTE, false, true, false, None),
        (EDITOR, true, true, true, Some(Device)),
        (EDITOR, false, true, false, Some(Browser)),
        (CONTAINER, true, true, true, Some(Device)),
        (CONTAINER, false, true, true, Some(Paste)),
        (BUILD, true, true, false, Some(Device)),
        (BUILD, false, true, false, None),
        (
            "WSL_DISTRO_NAME=Debian COUNTERSIGN_BROWSER=true",
            true,
            true,
            true,
            Some(Browser),
        ),
        ("", true, true, true, Some(Device)),
    ];
    for (variables, device, code, pastes, expected) in table {
        let world = world(device, code);
        let (outcome, person) = somebody(pastes).go_through(&world, &login(&world, variables));
        let row = format!("{variables} device={device} code={code} pastes={pastes}");
        match (outcome, expected) {
            (Ok(session), Some(way)) => {
                assert_eq!(session.flow(), Some(way), "{row}");
                let chosen = |n: &Notice| matches!(n, Notice::Chosen { flow, .. } if *flow == way);
                assert!(person.seen.notices.iter().any(chosen), "{row}");
            }
            (Err(error), None) => assert_eq!(error.code(), "no_way_to_sign_in", "{row}"),
            (outcome, expected) => panic!("{row}: {outcome:?} and not {expected:?}"),
        }
        assert!(person.offers.is_empty(), "{row}: nothing was closed");
    }
}

#[test]
fn what_is_chosen_is_said_with_the_place_and_what_is_asked_for_is_not() {
    let world = world(true, true);
    let (_, person) = somebody(true).go_through(&world, &login(&world, REMOTE));
    let notice = &person.seen.notices[0];
    let expected = Notice::Chosen {
        flow: SignIn::Device,
        place: Place::Ssh,
    };
    assert_eq!(*notice, expected);
    assert_eq!(
        notice.text(),
        "this is a remote session: sign-in with a code on any device"
    );
    let named = login(&world, REMOTE).flow(SignIn::Device);
    let (_, person) = somebody(true).go_through(&world, &named);
    let chosen = |n: &Notice| matches!(n, Notice::Chosen { .. });
    assert!(!person.seen.notices.iter().any(chosen));
}

#[test]
fn where_nothing_is_open_the_error_says_why_of_each_way() {
    let world = world(false, true);
    let (outcome, person) = somebody(false).go_through(&world, &login(&world, REMOTE));
    let error = outcome.unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::LoginRequired);
    let Error::NoWayToSignIn { closed } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        closed[..],
        [
            (SignIn::Device, Obstacle::NotOffered),
            (SignIn::Browser, Obstacle::NoBrowser(BrowserOutcome::Remote)),
            (SignIn::Paste, Obstacle::NobodyToPaste),
        ]
    );
    assert_eq!(
        error.to_string(),
        "there is no way to sign in here: device (the server does not offer it), \
         browser (this is a remote session), paste (nobody is here to paste the answer)"
    );
    assert!(person.seen.authorizations.is_empty());
    // Nothing that a person at another place could do better.
    let world = self::world(false, false);
    let error = somebody(true)
        .go_through(&world, &login(&world, DESKTOP))
        .0
        .unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
}

#[test]
fn what_is_not_allowed_is_taken_by_nobody() {
    let world = world(true, true);
    let limited = |variables, allowed: SignIn| login(&world, variables).allowed_flows([allowed]);
    let at_desktop = limited(DESKTOP, SignIn::Device);
    let session = somebody(true).go_through(&world, &at_desktop).0.unwrap();
    assert_eq!(session.flow(), Some(SignIn::Device));
    // Not even by name; and what is allowed is offered instead.
    let named = at_desktop.flow(SignIn::Browser);
    let (outcome, person) = somebody(true).go_through(&world, &named);
    let Error::AnotherWay(another) = outcome.unwrap_err() else {
        panic!("another way is open")
    };
    assert_eq!(another.others, [SignIn::Device]);
    assert_eq!(another.error.code(), "way_closed");
    assert_eq!(
        another.error.to_string(),
        "no sign-in in a browser on this computer: it is not allowed here"
    );
    assert_eq!(person.offers[0].why, "it is not allowed here");
    let nothing = limited(REMOTE, SignIn::Browser);
    let error = somebody(true).go_through(&world, &nothing).0.unwrap_err();
    assert_eq!(error.code(), "no_way_to_sign_in");
}

/// What the device authorization endpoint may answer when it is closed to this client.
fn closed_device() -> Vec<(Fault, &'static str)> {
    let refused = |code: &str| Fault::Answer(400, json!({ "error": code }));
    vec![
        (refused("unauthorized_client"), "unauthorized_client"),
        (refused("unsupported_grant_type"), "unsupported_grant_type"),
        (
            Fault::Answer(404, json!({ "message": "no such thing" })),
            "refused_without_reason",
        ),
        (Fault::Text(404, "<html>not found</html>"), "html_response"),
    ]
}

#[test]
fn a_device_grant_that_is_closed_leads_to_another_way_by_name() {
    for (fault, code) in closed_device() {
        let world = world(true, true);
        world.server.always("/device", fault);
        let (outcome, person) = somebody(true)
            .accepting()
            .go_through(&world, &login(&world, REMOTE));
        assert_eq!(outcome.unwrap().flow(), Some(SignIn::Paste), "{code}");
        let [offer] = &person.offers[..] else {
            panic!("{:?}", person.offers)
        };
        assert_eq!((offer.from, offer.to), (SignIn::Device, SignIn::Paste));
        assert!(!offer.asked_for && !offer.why.is_empty(), "{offer:?}");
        assert!(
            offer.text().contains("answer pasted here"),
            "{}",
            offer.text()
        );

        // Who declines is told what went wrong, and what else there is.
        let (outcome, _) = somebody(true).go_through(&world, &login(&world, REMOTE));
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), code);
        let Error::AnotherWay(another) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(
            (another.tried, &another.others[..]),
            (SignIn::Device, &[SignIn::Paste][..])
        );
    }
}

#[test]
fn a_grant_that_is_refused_only_after_the_person_approved_leads_on_as_well() {
    let world = world(true, true);
    world.server.next(
        "/token",
        Fault::Answer(400, json!({ "error": "unauthorized_client" })),
    );
    let (outcome, person) = somebody(true)
        .accepting()
        .go_through(&world, &login(&world, REMOTE));
    assert_eq!(outcome.unwrap().flow(), Some(SignIn::Paste));
    assert_eq!(person.seen.finished, 2, "each waiting ends once");
}

#[test]
fn a_person_who_says_no_or_a_server_in_trouble_is_no_reason_for_another_way() {
    for (fault, code) in [
        (
            Fault::Answer(400, json!({ "error": "access_denied" })),
            "access_denied",
        ),
        (
            Fault::Answer(400, json!({ "error": "invalid_client" })),
            "invalid_client",
        ),
        (
            Fault::Answer(400, json!({ "error": "invalid_scope" })),
            "invalid_scope",
        ),
        (Fault::Answer(503, Value::Null), "server_unavailable"),
    ] {
        let world = world(true, true);
        world.server.always("/device", fault);
        let (outcome, person) = somebody(true)
            .accepting()
            .go_through(&world, &login(&world, REMOTE));
        assert_eq!(outcome.unwrap_err().code(), code);
        assert!(person.offers.is_empty(), "{code}: {:?}", person.offers);
    }
}

#[test]
fn a_browser_flow_that_is_closed_leads_to_a_device_code() {
    let world = world(true, true);
    world.server.edit_redirect(|answer| {
        answer[0] = ("error".to_owned(), "unauthorized_client".to_owned());
    });
    let (outcome, person) = somebody(true)
        .accepting()
        .go_through(&world, &login(&world, DESKTOP));
    assert_eq!(outcome.unwrap().flow(), Some(SignIn::Device));
    assert_eq!(
        (person.offers[0].from, person.offers[0].to),
        (SignIn::Browser, SignIn::Device)
    );
    assert!(
        person.pages()[0].contains("unauthorized_client"),
        "{:?}",
        person.pages()
    );
}

#[test]
fn ports_that_are_all_taken_lead_to_a_device_code() {
    let world = world(true, true);
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let redirect = Redirect::loopback().with_ports([port]).unwrap();
    let login = login(&world, DESKTOP).redirect(redirect);
    let (outcome, person) = somebody(true).accepting().go_through(&world, &login);
    assert_eq!(outcome.unwrap().flow(), Some(SignIn::Device));
    let notice = Notice::PortInUse { port, next: None };
    assert!(person.seen.notices.contains(&notice));
    assert!(
        person.offers[0].why.contains(&port.to_string()),
        "{:?}",
        person.offers
    );
    let error = somebody(true).go_through(&world, &login).0.unwrap_err();
    assert_eq!(error.code(), "port_in_use");
}

#[test]
fn a_browser_that_does_not_start_leads_to_a_device_code_or_stays_a_matter_of_hands() {
    for command in ["/nonexistent/browser", "false"] {
        let world = world(true, true);
        let broken = || login(&world, "DISPLAY=:0").browser(Browser::Command(command.to_owned()));
        let (outcome, person) = Person::idle().accepting().go_through(&world, &broken());
        assert_eq!(outcome.unwrap().flow(), Some(SignIn::Device), "{command}");
        assert_eq!(person.offers[0].why, "none could be started");
        let failed = Notice::Browser(BrowserOutcome::Failed);
        assert!(person.seen.notices.contains(&failed));
        // Who declines opens the address by hand, and the listener is still there.
        let (outcome, person) = somebody(false).go_through(&world, &broken());
        assert_eq!(outcome.unwrap().flow(), Some(SignIn::Browser), "{command}");
        assert!(person.offers.len() <= 1);
    }
}

/// Some commands say that they failed, and a window is there; and the address can be opened by hand.
#[test]
fn a_question_does_not_keep_out_a_browser_that_comes_back_after_all() {
    for command in ["/nonexistent/browser", "false"] {
        let world = world(true, true);
        let browser = Browser::Command(command.to_owned());
        let broken = login(&world, "DISPLAY=:0").browser(browser);
        let (outcome, person) = somebody(false).hesitating().go_through(&world, &broken);
        assert_eq!(outcome.unwrap().flow(), Some(SignIn::Browser), "{command}");
        assert!(person.offers.len() <= 1);
    }
}

#[test]
fn a_question_is_over_when_the_time_is() {
    let world = world(true, true);
    let browser = Browser::Command("/nonexistent/browser".to_owned());
    let broken = login(&world, "DISPLAY=:0").browser(browser);
    let clock = Arc::clone(&world.clock);
    let person = Person::who(move |_| clock.pass(300)).hesitating();
    let (outcome, person) = person.go_through(&world, &broken);
    assert_eq!(outcome.unwrap_err().code(), "login_timed_out");
    assert_eq!(person.offers.len(), 1);
}

#[test]
fn a_program_that_asks_nobody_goes_on_by_itself_unless_a_way_was_asked_for() {
    let world = world(true, true);
    let refusal = json!({ "error": "unauthorized_client" });
    world.server.always("/token", Fault::Answer(400, refusal));
    let mut text = Vec::new();
    let login = login(&world, REMOTE);
    // Pasting is not possible there, so nothing is left to go on to.
    let error = login.run(&mut PlainPrompt::new(&mut text)).unwrap_err();
    assert_eq!(error.code(), "unauthorized_client");
    assert!(!matches!(error, Error::AnotherWay(_)));

    let world = self::world(true, true);
    let broken = Browser::Command("/nonexistent/browser".to_owned());
    let at_desktop = self::login(&world, "DISPLAY=:0").browser(broken);
    let mut text = Vec::new();
    let session = at_desktop.run(&mut PlainPrompt::new(&mut text)).unwrap();
    assert_eq!(session.flow(), Some(SignIn::Device));
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("there is sign-in with a code on any device"),
        "{text}"
    );
    assert!(text.contains("Your one-time code: WDJB-MJHT"), "{text}");
}

#[test]
fn a_way_asked_for_by_name_that_the_server_lacks_is_replaced_only_if_wanted() {
    let world = world(false, true);
    let named = login(&world, REMOTE).flow(SignIn::Device);
    let (outcome, person) = somebody(true).go_through(&world, &named);
    let error = outcome.unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
    assert!(matches!(&error, Error::AnotherWay(another) if another.others == [SignIn::Paste]));
    assert!(person.offers[0].asked_for);
    let (outcome, _) = somebody(true).accepting().go_through(&world, &named);
    assert_eq!(outcome.unwrap().flow(), Some(SignIn::Paste));
}

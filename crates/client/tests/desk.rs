//! Somebody at a desk: a browser that comes back to a real listener, something pasted, whichever is
//! first; and everything that gets in between.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use countersign_client::{
    AuthorizationPrompt, Browser, BrowserOutcome, DevicePrompt, ExitCategory, Login, Notice, Paste,
    PasteRefused, Prompt, Redirect, SessionName, SignIn,
};
use support::person::{Person, get, query};
use support::{START, World};
use url::Url;

fn login(world: &World) -> Login {
    world.login().flow(SignIn::Browser)
}

/// A port, and the other program that has it.
fn taken_port() -> (u16, TcpListener) {
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    (socket.local_addr().unwrap().port(), socket)
}

#[test]
fn the_listener_is_up_on_both_addresses_before_anything_is_opened() {
    let world = World::with_browser();
    let person = Person::who(|desk| {
        let port = Url::parse(&desk.shown.redirect_uri)
            .unwrap()
            .port()
            .unwrap();
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        if TcpListener::bind(("::1", 0)).is_ok() {
            TcpStream::connect(("::1", port)).unwrap();
        }
        desk.open(&desk.sign_in());
    });
    person.go_through(&world, &login(&world)).0.unwrap();
}

#[test]
fn what_is_pasted_first_wins_and_the_listener_ends() {
    let world = World::with_browser();
    let person = Person::who(|desk| desk.paste(desk.sign_in().as_str())).pasting();
    let (session, person) = person.go_through(&world, &login(&world));
    assert_eq!(session.unwrap().flow(), Some(SignIn::Browser));
    let shown = &person.seen.authorizations[0];
    assert_eq!(shown.paste, Some(Paste::Address));
    assert_eq!(get(&Url::parse(&shown.redirect_uri).unwrap()), "");
    assert_eq!(person.seen.finished, 1);
}

#[test]
fn a_browser_that_comes_first_wins_and_what_is_pasted_later_is_left_alone() {
    let world = World::with_browser();
    let person = Person::who(|desk| {
        let back = desk.sign_in();
        desk.open(&back);
        desk.paste(back.as_str());
    });
    let (session, person) = person.pasting().go_through(&world, &login(&world));
    session.unwrap();
    assert!(person.refused.is_empty());
    let redeemed = world.server.seen("/token");
    assert_eq!(redeemed.len(), 1, "a code is redeemed once");
}

#[test]
fn a_code_alone_can_be_pasted() {
    let world = World::with_browser();
    let person = Person::who(|desk| {
        let code = query(desk.sign_in().as_str())["code"].clone();
        desk.paste(&format!("  {code}\r\n"));
    });
    person
        .pasting()
        .go_through(&world, &login(&world))
        .0
        .unwrap();
}

#[test]
fn what_is_pasted_by_mistake_is_refused_with_a_reason_and_asked_for_again() {
    let world = World::with_browser();
    let person = Person::who(|desk| {
        desk.paste("hm");
        desk.paste(&desk.shown.url);
        let back = desk.sign_in();
        let mut other = back.clone();
        other
            .query_pairs_mut()
            .clear()
            .append_pair("code", "secret-code-9")
            .append_pair("state", "other");
        desk.paste(other.as_str());
        desk.paste(back.as_str());
    });
    let (session, person) = person.pasting().go_through(&world, &login(&world));
    session.unwrap();
    let expected = [
        PasteRefused::NoCode,
        PasteRefused::OtherAddress,
        PasteRefused::OtherSignIn,
    ];
    assert_eq!(person.refused, expected);
    World::assert_discreet(&person.heard());
}

#[test]
fn nothing_but_the_answer_ends_the_login() {
    let world = World::with_browser();
    let person = Person::who(|desk| {
        let back = desk.sign_in();
        let at = |path: &str, query: &str| {
            let mut other = back.clone();
            other.set_path(path);
            other.set_query(Some(query));
            other
        };
        let _idle = TcpStream::connect(("127.0.0.1", back.port().unwrap())).unwrap();
        for (path, query, status) in [
            ("/favicon.ico", "", "404"),
            ("/", "", "404"),
            ("/callback", "", "400"),
            ("/callback", "code=secret-code-7&state=wrong", "400"),
            ("/callback", "error=access_denied&state=wrong", "400"),
            ("/callback", "error=access_denied", "400"),
            (
                "/callback",
                &format!("{0}&{0}", back.query().unwrap()),
                "400",
            ),
        ] {
            let page = desk.open(&at(path, query));
            assert!(
                page.starts_with(&format!("HTTP/1.1 {status} ")),
                "{path} {page}"
            );
        }
        desk.open(&back);
    });
    let (session, person) = person.go_through(&world, &login(&world));
    session.unwrap();
    let ignored = |n: &&Notice| matches!(n, Notice::Ignored { .. });
    assert_eq!(person.seen.notices.iter().filter(ignored).count(), 5);
    let pages = person.pages();
    assert!(pages[3].contains("goes on waiting"), "{}", pages[3]);
    assert!(pages[7].contains("You are signed in"), "{}", pages[7]);
}

#[test]
fn a_person_who_is_slow_has_five_minutes_or_what_the_caller_says() {
    let world = World::new();
    world.server.offers_code();
    let (outcome, person) = Person::idle().go_through(&world, &login(&world));
    assert_eq!(outcome.unwrap_err().code(), "login_timed_out");
    assert!((START + 300..=START + 301).contains(&world.clock.seconds()));
    assert_eq!(person.seen.remaining[0], Duration::from_secs(300));
    assert!(person.seen.remaining.is_sorted_by(|a, b| a >= b));
    // Several times a second, and not at every look at the listener.
    assert!((1000..2000).contains(&person.seen.remaining.len()));
    assert_eq!(person.seen.finished, 1);

    let before = world.clock.seconds();
    let hurried = login(&world).time_limit(Duration::from_secs(20));
    let error = Person::idle().go_through(&world, &hurried).0.unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::TimedOut);
    assert!((before + 20..=before + 21).contains(&world.clock.seconds()));
}

#[test]
fn a_machine_that_slept_does_not_wait_on() {
    let world = World::new();
    world.server.offers_code();
    let clock = Arc::clone(&world.clock);
    let person = Person::who(move |_| clock.jump(3600));
    let (outcome, _) = person.go_through(&world, &login(&world));
    assert_eq!(outcome.unwrap_err().code(), "login_timed_out");
    assert!(world.clock.seconds() < START + 3600 + 301);
}

#[test]
fn a_person_who_stops_is_obeyed_within_a_moment() {
    let world = World::new();
    world.server.offers_code();
    let mut person = Person::idle();
    person.seen.patience = Some(3);
    let (outcome, person) = person.go_through(&world, &login(&world));
    assert_eq!(
        outcome.unwrap_err().exit_category(),
        ExitCategory::Interrupted
    );
    assert_eq!(person.seen.remaining.len(), 3);
    assert_eq!(person.seen.finished, 1);
}

#[test]
fn two_logins_at_once_have_their_own_ports() {
    let world = World::with_browser();
    let logins =
        ["one", "two"].map(|name| login(&world).session_name(SessionName::new(name).unwrap()));
    let meet = Arc::new(std::sync::Barrier::new(2));
    let ports: Vec<u16> = std::thread::scope(|scope| {
        let running = logins.each_ref().map(|login| {
            let (world, meet) = (&world, Arc::clone(&meet));
            scope.spawn(move || {
                let person = Person::who(move |desk| {
                    meet.wait();
                    desk.open(&desk.sign_in());
                });
                let (session, person) = person.go_through(world, login);
                session.unwrap();
                let back = &person.seen.authorizations[0].redirect_uri;
                Url::parse(back).unwrap().port().unwrap()
            })
        });
        running.map(|thread| thread.join().unwrap()).to_vec()
    });
    assert_ne!(ports[0], ports[1]);
    assert_eq!(world.context.session_names().unwrap().len(), 2);
}

/// Somebody who lets the other login go on as soon as he has to wait for it.
struct Second(std::sync::mpsc::Sender<()>);

impl Prompt for Second {
    fn show_device(&mut self, _: &DevicePrompt) {
        panic!("nobody is asked twice");
    }

    fn show_authorization(&mut self, _: &AuthorizationPrompt) {
        panic!("nobody is asked twice");
    }

    fn notice(&mut self, notice: &Notice) {
        assert_eq!(*notice, Notice::WaitingForLogin);
        self.0.send(()).unwrap();
    }
}

#[test]
fn two_logins_of_one_session_take_turns_and_the_second_takes_over() {
    let world = World::with_browser();
    let login = login(&world);
    let (started, first_is_on) = std::sync::mpsc::channel();
    let (go, second_waits) = std::sync::mpsc::channel();
    let [first, second] = std::thread::scope(|scope| {
        let (world, login) = (&world, &login);
        let first = scope.spawn(move || {
            let person = Person::who(move |desk| {
                started.send(()).unwrap();
                second_waits.recv().unwrap();
                // So that one thing is after the other by the clock.
                desk.server.clock.pass(1);
                desk.open(&desk.sign_in());
            });
            person.go_through(world, login).0.unwrap()
        });
        first_is_on.recv().unwrap();
        let second = login.run(&mut Second(go)).unwrap();
        [first.join().unwrap(), second]
    });
    assert_eq!(first.access_token(), second.access_token());
    assert_eq!(world.server.seen("/token").len(), 1);
}

#[test]
fn a_port_that_is_taken_is_said_at_once_and_the_next_is_used() {
    let world = World::with_browser();
    let (taken, socket) = taken_port();
    let (free, other) = taken_port();
    drop(other);
    let redirect = Redirect::parse("http://localhost").unwrap();
    let redirect = redirect.with_ports([taken, free]).unwrap();
    let login = login(&world).redirect(redirect);
    let (session, person) = Person::who_signs_in().go_through(&world, &login);
    session.unwrap();
    drop(socket);
    let notice = Notice::PortInUse {
        port: taken,
        next: Some(free),
    };
    assert!(person.seen.notices.contains(&notice));
    // Without a path, and without a slash that nobody registered.
    let expected = format!("http://localhost:{free}");
    assert_eq!(person.seen.authorizations[0].redirect_uri, expected);
    let [redeemed] = &world.server.seen("/token")[..] else {
        panic!("redeemed once")
    };
    assert_eq!(redeemed.form["redirect_uri"], expected);
}

#[test]
fn a_page_elsewhere_that_shows_the_code_needs_no_listener() {
    let world = World::with_browser();
    let uri = "https://docs.example.com/callback/";
    let login = login(&world).redirect(Redirect::parse(uri).unwrap());
    let person = Person::who(|desk| {
        let code = query(desk.sign_in().as_str())["code"].clone();
        desk.paste(&code);
    });
    let (session, person) = person.pasting().go_through(&world, &login);
    session.unwrap();
    let shown = &person.seen.authorizations[0];
    assert_eq!(shown.redirect_uri, uri);
    assert!(!shown.comes_back);
    assert_eq!(shown.paste, Some(Paste::Code));
    // Without anybody to paste, there is no point.
    let error = Person::idle().go_through(&world, &login).0.unwrap_err();
    assert_eq!(error.code(), "way_closed");
}

#[test]
fn pasting_opens_no_browser_and_comes_back_by_a_tunnel_as_well() {
    let world = World::with_browser();
    let marker = world.home.path().join("opened");
    let command = format!("touch {}", marker.display());
    let login = world
        .login()
        .flow(SignIn::Paste)
        .browser(Browser::Command(command));
    let person = Person::who_signs_in().pasting();
    let (session, person) = person.go_through(&world, &login);
    assert_eq!(session.unwrap().flow(), Some(SignIn::Paste));
    assert!(person.seen.authorizations[0].comes_back);
    assert!(!marker.exists());
    // Whatever has the port: the answer is in the address.
    let (port, _socket) = taken_port();
    let redirect = Redirect::loopback().with_ports([port]).unwrap();
    let person = Person::who(|desk| desk.paste(desk.sign_in().as_str())).pasting();
    let (session, person) = person.go_through(&world, &login.redirect(redirect));
    session.unwrap();
    assert!(!person.seen.authorizations[0].comes_back);
}

#[test]
fn the_browser_is_given_the_address_whole_and_by_no_shell() {
    let world = World::with_browser();
    let seen = world.home.path().join("address");
    let script = world.home.path().join("my browser");
    let body = format!("#!/bin/sh\nprintf '%s|' \"$@\" > '{}'\n", seen.display());
    std::fs::write(&script, body).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&script, executable).unwrap();
    let command = format!("'{}' --new-window", script.display());
    let login = login(&world)
        .parameter("ui", "$(touch x);'\" &")
        .browser(Browser::Command(command));
    let (session, person) = Person::who_signs_in().go_through(&world, &login);
    session.unwrap();
    let opened = Notice::Browser(BrowserOutcome::Opened);
    assert!(person.seen.notices.contains(&opened));
    let expected = format!("--new-window|{}|", person.seen.authorizations[0].url);
    let arguments = || std::fs::read_to_string(&seen).unwrap_or_default();
    for _ in 0..500 {
        if arguments().ends_with(&expected) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(arguments(), expected);
}

#[test]
fn no_thread_is_left_of_a_login() {
    let world = World::with_browser();
    let threads = || {
        std::fs::read_dir("/proc/self/task")
            .map(Iterator::count)
            .ok()
    };
    // Other tests start and end their own threads meanwhile: the lowest difference counts.
    let least = (0..10)
        .map(|_| {
            let before = threads();
            Person::who_signs_in()
                .go_through(&world, &login(&world))
                .0
                .unwrap();
            threads()
                .zip(before)
                .map_or(0, |(after, before)| after.saturating_sub(before))
        })
        .min();
    assert_eq!(least, Some(0));
}

//! A code from the browser, pasted at the prompt: an approval alone is of no use to anybody.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use countersign_pam_wire::Verdict;
use countersign_testkit::Endpoint;

use crate::fixture::{Fixture, Module, Monitor, account, usual};

fn start() -> Fixture {
    let (keys, rules) = usual_parts();
    Fixture::with(&format!(
        "flow = \"paste\"\nredirect_uri = \"https://host.example/code\"\n{keys}\
         [limits]\nper_user = 9\nper_rhost = 9\n{rules}"
    ))
}

/// The usual configuration, split where its rules begin.
fn usual_parts() -> (String, String) {
    let usual = usual();
    let at = usual.find("[[rule]]").unwrap();
    (usual[..at].to_owned(), usual[at..].to_owned())
}

/// The address in a prompt.
fn address(prompt: &str) -> String {
    let found = prompt.lines().find(|line| line.contains("code_challenge="));
    found.expect(prompt).trim().to_owned()
}

/// Where the browser of somebody who approves at once is sent.
fn approve(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location")
            .then(|| value.to_owned())
    });
    location.expect(&answer)
}

fn code(location: &str) -> String {
    let (_, query) = location.split_once('?').unwrap();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == "code")
        .unwrap()
        .1
        .to_owned()
}

fn begin(fixture: &Fixture, monitor: &Monitor) -> (Module, String) {
    let mut module = fixture.begin_as(monitor.login(&account()));
    let url = address(&module.prompt());
    (module, url)
}

#[test]
fn the_code_or_the_whole_address_signs_in_after_nonsense_was_typed() {
    let fixture = start();
    for whole in [false, true] {
        let monitor = Monitor::start();
        let (mut module, url) = begin(&fixture, &monitor);
        let location = approve(&url);
        for nonsense in ["", "what?", "https://elsewhere.example/?code=abcdefghijkl"] {
            module.answer(nonsense);
            assert!(module.prompt().starts_with("That is not the code."));
        }
        module.answer(&if whole { location } else { code(&location) });
        let done = module.finish();
        assert_eq!(
            done.verdict,
            Verdict::Success,
            "{done:?} {:#?}",
            fixture.log()
        );
    }
}

#[test]
fn a_code_that_another_prompt_asked_for_is_of_no_use_here() {
    let fixture = start();
    let (mine, theirs) = (Monitor::start(), Monitor::start());
    let (mut module, _) = begin(&fixture, &mine);
    let (_other, url) = begin(&fixture, &theirs);
    module.answer(&code(&approve(&url)));
    let done = module.finish();
    assert_eq!(
        done.verdict,
        Verdict::Denied,
        "{done:?} {:#?}",
        fixture.log()
    );
    assert!(!fixture.provider.requests(Endpoint::Token).is_empty());
}

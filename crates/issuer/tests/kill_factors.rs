//! kill -9 in the middle of sign-ins: no one-time password is good twice.
//!
//! The real program, over its real database. Several people touch their keys as
//! fast as they can, the process is killed after a number of sign-ins that
//! differs in every trial, and the next one has to refuse every password that
//! was answered before. One that was sent and not answered is good at most once
//! more, and the next touch is good in any case.
//!
//! `COUNTERSIGN_TRIALS` sets the number of trials; five without it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod killing;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use countersign_issuer::core::{Claimant, Core, Enrolment};
use countersign_jose::Timestamp;
use countersign_oauth::Secret;
use countersign_otp::yubico::{KeyFile, Secrets, sim::SimulatedKey};
use tempfile::TempDir;
use url::form_urlencoded;

const PEOPLE: usize = 4;
const PASSWORD: &str = "correct horse battery";

#[test]
fn a_killed_issuer_accepts_no_password_twice() {
    let trials = killing::trials(5);
    let directory = TempDir::new().unwrap();
    let mut people = set_up(directory.path());
    for trial in 0..trials {
        let (mut server, address) = killing::serve(directory.path());
        for person in &mut people {
            person.finds_everything_used(address);
        }
        let sign_ins = 1 + trial * 37 % 61;
        people = touch_until(people, address, sign_ins, || server.kill());
    }
    let (_server, address) = killing::serve(directory.path());
    for person in &mut people {
        person.finds_everything_used(address);
    }
}

/// Somebody with a key.
struct Person {
    username: String,
    key: SimulatedKey,
    /// The last passwords that were answered with a session.
    answered: Vec<String>,
    /// The password that was sent when the server was killed.
    unanswered: Option<String>,
}

impl Person {
    /// After a restart: nothing that was good before is good again.
    fn finds_everything_used(&mut self, address: SocketAddr) {
        let mut browser = Browser::new(address);
        browser.signs_in(&self.username).unwrap();
        // The last two: a third would come near to what is allowed to be wrong.
        for otp in self.answered.drain(..).rev().take(2) {
            assert_eq!(browser.touches(&otp).unwrap(), 403, "{otp} was answered");
        }
        if let Some(otp) = self.unanswered.take() {
            let known = browser.touches(&otp).unwrap();
            assert!(known == 303 || known == 403, "{known}");
            assert_eq!(browser.touches(&otp).unwrap(), 403, "{otp} was sent before");
        }
        let otp = self.key.press(1).expose().to_owned();
        assert_eq!(browser.touches(&otp).unwrap(), 303, "a fresh one is good");
        self.answered.push(otp);
    }
}

/// Everybody touches until so many sign-ins were answered, then the server is
/// killed in the middle of the others.
fn touch_until(
    people: Vec<Person>,
    address: SocketAddr,
    sign_ins: u64,
    kill: impl FnOnce(),
) -> Vec<Person> {
    let (answered, answers) = mpsc::channel();
    let at_work: Vec<_> = people
        .into_iter()
        .map(|person| {
            let mut browser = Browser::new(address);
            browser.signs_in(&person.username).unwrap();
            (person, browser)
        })
        .collect();
    let at_work: Vec<_> = at_work
        .into_iter()
        .map(|(person, browser)| {
            let answered = answered.clone();
            thread::spawn(move || touch(person, browser, &answered))
        })
        .collect();
    drop(answered);
    for _ in 0..sign_ins {
        answers.recv().expect("sign-ins go on until the kill");
    }
    kill();
    at_work
        .into_iter()
        .map(|person| person.join().unwrap())
        .collect()
}

fn touch(mut person: Person, mut browser: Browser, answered: &Sender<()>) -> Person {
    loop {
        let otp = person.key.press(2).expose().to_owned();
        // Until the connection breaks, which is the kill.
        let Ok(status) = browser.touches(&otp) else {
            person.unanswered = Some(otp);
            return person;
        };
        assert_eq!(status, 303);
        person.answered.push(otp);
        // Nobody counts any more after the kill.
        let _ = answered.send(());
    }
}

/// A browser, as far as these forms need one: what it is told breaks off.
struct Browser {
    address: SocketAddr,
    cookie: String,
}

impl Browser {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            cookie: String::new(),
        }
    }

    fn signs_in(&mut self, username: &str) -> io::Result<()> {
        let fields = [("username", username), ("password", PASSWORD)];
        assert_eq!(self.post("/sign-in", &fields)?, 303);
        Ok(())
    }

    /// The status of the answer to a password.
    fn touches(&mut self, otp: &str) -> io::Result<u16> {
        self.post("/sign-in/code", &[("code", otp)])
    }

    fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> io::Result<u16> {
        let (_, page) = self.send("GET", "/device", "")?;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
        let token = rest.split_once('"').unwrap().0;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("csrf", token)
            .extend_pairs(fields)
            .finish();
        Ok(self.send("POST", path, &body)?.0)
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let (host, cookie) = (self.address, &self.cookie);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\n\
             connection: close\r\ncookie: {cookie}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (head, page) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        for line in head.lines() {
            if let Some(cookie) = line.strip_prefix("set-cookie: ") {
                cookie
                    .split(';')
                    .next()
                    .unwrap()
                    .clone_into(&mut self.cookie);
            }
        }
        Ok((status.ok_or_else(broken)?, page.to_owned()))
    }
}

/// Makes the state directory, the people and their keys.
fn set_up(directory: &Path) -> Vec<Person> {
    killing::make(directory, async |core, now| {
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            people.push(add(core, number, now).await);
        }
        people
    })
}

async fn add(core: &Core, number: usize, now: Timestamp) -> Person {
    let username = format!("person-{number}");
    let session = killing::signed_up(core, &username, PASSWORD, now).await;
    let public_id = format!("ccccccccccb{}", ['c', 'd', 'e', 'f'][number]);
    let (private_id, aes_key) = ("010203040506", format!("{number:032x}"));
    let file = format!("1,{public_id},{private_id},{aes_key},,2026-01-01T00:00:00,");
    let records = KeyFile::parse(&file).unwrap().into_records();
    let imported = core.import_keys(records, Some(&username), now).await;
    assert_eq!(imported.unwrap().unwrap().imported, 1);
    let secrets = Secrets::from_hex(private_id, &aes_key).unwrap();
    let mut key = SimulatedKey::new(public_id.parse().unwrap(), secrets);

    let otp = Secret::new(key.press(0).expose());
    let claimed = core.enrol_yubikey(
        Claimant::SignedIn(&session),
        &otp,
        Ipv4Addr::LOCALHOST.into(),
        now,
    );
    let claimed = claimed.await.unwrap();
    assert!(matches!(claimed, Enrolment::Done(_)), "{claimed:?}");
    Person {
        username,
        key,
        answered: vec![otp.expose().to_owned()],
        unanswered: None,
    }
}

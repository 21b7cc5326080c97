//! Yubikeys as they were bought: validation servers know their secrets, and this issuer does not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_issuer::key_servers::ValidationServers;
use countersign_oauth::Secret;
use countersign_otp::crypto::aws_lc;
use countersign_otp::validation::ApiKey;
use countersign_otp::validation::sim::SimulatedServer;
use countersign_otp::yubico::{Secrets, sim::SimulatedKey};
use countersign_testkit::{HttpServer, Reply};
use http::StatusCode;

use crate::factors::{codes, password};
use crate::site::{Answer, BEGINNING, Browser, Site};

const API_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQ=";
const PUBLIC_ID: &str = "ccccccbchvth";

/// A validation server with one key, and a switch.
struct Operator {
    http: HttpServer,
    state: Arc<Mutex<State>>,
}

struct State {
    simulated: SimulatedServer,
    mood: Mood,
}

#[derive(Clone, Copy)]
enum Mood {
    Honest,
    Away,
    /// It says what it would say, and signs nothing.
    Unsigned,
}

impl Operator {
    fn start(mood: Mood) -> Self {
        let simulated = Self::fresh();
        let state = Arc::new(Mutex::new(State { simulated, mood }));
        let http = HttpServer::start();
        let answering = Arc::clone(&state);
        http.on_fn("GET", "/wsapi/2.0/verify", move |request| {
            let mut state = answering.lock().unwrap();
            let now = Duration::from_millis(BEGINNING.unsigned_abs());
            let body = state
                .simulated
                .answer(&request.query, now, aws_lc::provider());
            match state.mood {
                Mood::Honest => Reply::text(200, "text/plain", body),
                Mood::Away => Reply::hangup(),
                Mood::Unsigned => {
                    let (_, rest) = body.split_once("\r\n").unwrap();
                    Reply::text(200, "text/plain", rest.to_owned())
                }
            }
        });
        Self { http, state }
    }

    fn fresh() -> SimulatedServer {
        let server = SimulatedServer::new("87", ApiKey::from_base64(API_KEY).unwrap());
        server.key(PUBLIC_ID.parse().unwrap(), secrets(7))
    }

    fn becomes(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// It was restored from a backup.
    fn forgets(&self) {
        self.state.lock().unwrap().simulated = Self::fresh();
    }
}

fn secrets(aes: u8) -> Secrets {
    Secrets::new([1, 2, 3, 4, 5, 6], [aes; 16])
}

fn key() -> SimulatedKey {
    SimulatedKey::new(PUBLIC_ID.parse().unwrap(), secrets(7))
}

async fn site(operators: &[&Operator]) -> Site {
    let urls = operators.iter().map(|it| it.http.url("/wsapi/2.0/verify"));
    let urls: Vec<String> = urls.collect();
    let key = Secret::new(API_KEY);
    let servers = ValidationServers::new("87", &key, &urls, Duration::from_secs(20), None);
    Site::with_key_servers(Arc::new(servers.unwrap())).await
}

async fn set_up(browser: &mut Browser<'_>, otp: &str) -> Answer {
    let fields = [("for", "factors"), ("code", otp)];
    browser.post("/factors/yubikey", &fields).await
}

/// What the page for the second factor makes of a touch.
async fn signs_in(site: &Site, otp: &str) -> Answer {
    let mut browser = site.browser();
    let answer = password(&mut browser, &[]).await;
    assert_eq!(answer.location(), "/sign-in/code");
    browser.post("/sign-in/code", &[("code", otp)]).await
}

#[tokio::test]
async fn a_key_as_it_was_bought_is_set_up_by_a_touch_and_then_asked_for() {
    let operator = Operator::start(Mood::Honest);
    let site = site(&[&operator]).await;
    let mut key = key();
    let mut browser = site.signed_in().await;
    assert!(browser.get("/factors").await.shows("Set up a Yubikey"));
    let page = browser.get("/factors/yubikey?for=factors").await;
    assert!(page.shows("as you bought it"), "{}", page.body);

    let first = key.press(1);
    let page = set_up(&mut browser, first.expose()).await;
    assert_eq!(codes(&page).len(), 10);
    let page = browser.get("/factors").await;
    assert!(page.shows("<code>ccccccbchvth</code>"), "{}", page.body);

    let used = signs_in(&site, first.expose()).await;
    assert_eq!(used.status, StatusCode::FORBIDDEN);
    assert!(used.shows("was used already"), "{}", used.body);
    let second = key.press(2);
    assert_eq!(signs_in(&site, second.expose()).await.location(), "/");

    // What the servers forget is remembered here.
    operator.forgets();
    for earlier in [&first, &second] {
        let used = signs_in(&site, earlier.expose()).await;
        assert!(used.shows("was used already"), "{}", used.body);
    }
    // The id of the key, and not its secrets.
    let mut forged = SimulatedKey::new(PUBLIC_ID.parse().unwrap(), secrets(8)).at(9, 0, 0);
    let wrong = signs_in(&site, forged.press(3).expose()).await;
    assert!(wrong.shows("That code is not right"), "{}", wrong.body);
}

#[tokio::test]
async fn while_the_servers_are_away_the_page_says_so_and_nothing_counts_against_the_person() {
    let operator = Operator::start(Mood::Away);
    let site = site(&[&operator]).await;
    let mut key = key();
    let mut browser = site.signed_in().await;
    let page = set_up(&mut browser, key.press(1).expose()).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.shows("the servers that know it do not answer"),
        "{}",
        page.body
    );
    assert!(browser.get("/factors").await.shows("You have none yet."));

    operator.becomes(Mood::Honest);
    let page = set_up(&mut browser, key.press(2).expose()).await;
    let codes = codes(&page);
    for mood in [Mood::Away, Mood::Unsigned] {
        operator.becomes(mood);
        // More often than anybody may be wrong.
        for _ in 0..4 {
            let page = signs_in(&site, key.press(3).expose()).await;
            assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(page.shows("do not answer"), "{}", page.body);
            assert!(page.shows("recovery code"), "{}", page.body);
        }
    }
    assert_eq!(signs_in(&site, &codes[0]).await.location(), "/");
    operator.becomes(Mood::Honest);
    assert_eq!(signs_in(&site, key.press(4).expose()).await.location(), "/");
}

#[tokio::test]
async fn one_server_that_can_be_believed_is_enough() {
    let (away, unsigned) = (Operator::start(Mood::Away), Operator::start(Mood::Unsigned));
    let honest = Operator::start(Mood::Honest);
    let site = site(&[&away, &unsigned, &honest]).await;
    let mut browser = site.signed_in().await;
    let page = set_up(&mut browser, key().press(1).expose()).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    for operator in [&away, &unsigned, &honest] {
        assert_eq!(operator.http.requests().len(), 1);
    }
}

/// A key has one holder, and stays theirs when it is taken away.
#[tokio::test]
async fn a_key_of_somebody_else_is_refused_although_the_servers_know_it() {
    let operator = Operator::start(Mood::Honest);
    let site = site(&[&operator]).await;
    let mut key = key();
    let mut ada = site.signed_in().await;
    set_up(&mut ada, key.press(1).expose()).await;
    site.add("bob").await;
    let mut bob = site.browser();
    bob.sign_in("bob").await;
    let refused = set_up(&mut bob, key.press(2).expose()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);

    let page = ada.get("/factors").await;
    let (_, rest) = page.body.split_once("/factors/remove?factor=").unwrap();
    let id = rest.split_once('"').unwrap().0.to_owned();
    let removed = ada.post("/factors/remove", &[("factor", &id)]).await;
    assert_eq!(removed.location(), "/factors");
    let refused = set_up(&mut bob, key.press(3).expose()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let again = set_up(&mut ada, key.press(4).expose()).await;
    assert_eq!(codes(&again).len(), 10);
}

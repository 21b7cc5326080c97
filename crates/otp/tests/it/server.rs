//! Client and simulated server, face to face in memory.

use countersign_otp::Counter;
use countersign_otp::crypto::ring;
use countersign_otp::validation::sim::SimulatedServer;
use countersign_otp::validation::{Client, Nonce, Outcome, Status, Step, Trouble};
use countersign_otp::yubico::Otp;

use crate::common::{NOW, api_key, client, key, otp, secrets};

fn server() -> SimulatedServer {
    SimulatedServer::new("87", api_key()).key(key().public_id().clone(), secrets())
}

fn ask(client: &Client, servers: &mut [SimulatedServer], otp: &Otp, nonce: u8) -> Outcome {
    let nonce = Nonce::from_random([nonce; 16]);
    let mut validation = client.validate(otp, nonce, NOW, ring::provider());
    loop {
        match validation.poll(NOW) {
            Step::Send(question) => {
                let (_, query) = question.url().split_once('?').unwrap();
                let server = &mut servers[question.server()];
                let body = server.answer(query, NOW, ring::provider());
                validation.handle(question.server(), body.as_bytes(), NOW);
            }
            Step::WaitUntil(_) => panic!("nothing is under way"),
            Step::Done(outcome) => return outcome,
        }
    }
}

fn trouble(outcome: &Outcome) -> Trouble {
    match outcome {
        Outcome::Undecided(undecided) => undecided.troubles()[0].1,
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_password_is_accepted_once() {
    let mut servers = [server()];
    let mut key = key();
    for at in 0..3 {
        let otp = key.press(at);
        let Outcome::Accepted(unspent) = ask(&client(1), &mut servers, &otp, 1) else {
            panic!("not accepted")
        };
        let offline = secrets().decrypt(&otp).unwrap();
        assert_eq!(unspent.position(), offline.position());
        let accepted = unspent.settle(Counter::Moved).unwrap();
        assert_eq!(accepted.counters(), Some((1, u8::try_from(at).unwrap())));
        let Outcome::Refused(refusal) = ask(&client(1), &mut servers, &otp, 2) else {
            panic!("accepted twice")
        };
        assert_eq!(refusal.status(), Status::ReplayedOtp);
    }
}

#[test]
fn the_same_request_twice_is_told_apart_from_the_same_password() {
    let mut servers = [server()];
    assert!(matches!(
        ask(&client(1), &mut servers, &otp(), 1),
        Outcome::Accepted(_)
    ));
    let outcome = ask(&client(1), &mut servers, &otp(), 1);
    assert_eq!(trouble(&outcome), Trouble::Status(Status::ReplayedRequest));
}

#[test]
fn a_password_of_another_key_is_bad() {
    let strange = Otp::parse("dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh").unwrap();
    for otp in [
        strange.clone(),
        Otp::parse(&format!("ccccccbchvth{}", &strange.expose()[8..])).unwrap(),
    ] {
        let Outcome::Refused(refusal) = ask(&client(1), &mut [server()], &otp, 1) else {
            panic!("accepted")
        };
        assert_eq!(refusal.status(), Status::BadOtp);
    }
}

#[test]
fn a_client_that_is_not_known_gets_an_answer_that_it_cannot_believe() {
    let stranger = Client::new("88", api_key())
        .unwrap()
        .server(countersign_otp::validation::Server::new("https://example.com/verify").unwrap());
    let outcome = ask(&stranger, &mut [server()], &otp(), 1);
    let Outcome::Undecided(undecided) = outcome else {
        panic!("decided")
    };
    assert!(undecided.needs_correction());
}

#[test]
fn a_request_that_was_changed_on_the_way_is_refused() {
    let query = client(1).query(&otp(), &crate::common::nonce(), ring::provider());
    let say = |query: &str| {
        let body = server().answer(query, NOW, ring::provider());
        let status = body.lines().find_map(|line| line.strip_prefix("status="));
        status.unwrap().to_owned()
    };
    assert_eq!(say(&query), "OK");
    assert_eq!(say(&query.replace("askj", "aska")), "BAD_SIGNATURE");
    assert_eq!(
        say(&query.replace("timestamp=1", "timestamp=0")),
        "BAD_SIGNATURE"
    );
    assert_eq!(say(&query.replace("nonce=", "n=")), "MISSING_PARAMETER");
    // Anybody may ask without a signature.
    assert_eq!(say(query.split_once("&h=").unwrap().0), "OK");
}

#[test]
fn one_server_that_works_is_enough() {
    for broken in Status::ALL.into_iter().filter(|status| {
        use countersign_otp::validation::Retry;
        matches!(status.retry(), Retry::OtherServer | Retry::Corrected)
    }) {
        let mut servers = [server(), server(), server()];
        servers[0].always(Some(broken));
        servers[1].always(Some(broken));
        let outcome = ask(&client(3), &mut servers, &otp(), 1);
        assert!(matches!(outcome, Outcome::Accepted(_)), "{broken}");
        let outcome = ask(&client(2), &mut servers[..2], &otp(), 1);
        assert_eq!(trouble(&outcome), Trouble::Status(broken));
    }
}

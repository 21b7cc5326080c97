//! Refresh tokens that nobody uses any more, and what the journal says at each end.

use super::*;

impl Desk {
    /// The tokens that were given back since the last look, with their references.
    fn given_back(&mut self) -> Vec<String> {
        let acts = std::mem::take(&mut self.acts);
        let token = |act| match act {
            Act::GiveBack(unused) => {
                assert_eq!(unused.issuer, "https://id.example");
                assert_eq!(unused.reference.as_str(), "KMPRTX");
                Some(unused.refresh.0.expose().to_owned())
            }
            _ => None,
        };
        acts.into_iter().filter_map(token).collect()
    }

    /// The server has renewed it, with this token for the next time.
    fn renewed(&self, id: Process, token: &str) -> Box<Grant> {
        let mut grant = self.table.held[&id].grant.clone();
        grant.refresh = Some(RefreshToken::new(Secret::new(token)));
        Box::new(grant)
    }

    fn logs_out(&mut self, login: Process) {
        self.leave(login);
        self.swept(login, false, 0);
    }
}

#[test]
fn a_session_that_has_ended_gives_its_newest_token_back_once() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    let renewed = desk.renewed(login, "the second");
    desk.answer(login, Renewed::Still(renewed));
    assert_eq!(desk.given_back(), [""; 0]);
    desk.logs_out(login);
    assert_eq!(desk.given_back(), ["the second"]);
    assert!(desk.table.held.is_empty());
}

/// A login by key holds the same grant: as long as there is one, the token is used.
#[test]
fn a_token_that_another_login_still_needs_is_not_given_back() {
    let mut desk = Desk::new(needs_grant());
    let (person, key) = (desk.session(2, "ada"), process(3));
    assert_eq!(desk.account(key, "ada"), Admission::May(person));
    assert_eq!(desk.open(key, "ada"), Admission::May(person));
    desk.logs_out(person);
    assert_eq!(desk.given_back(), [""; 0]);
    desk.logs_out(key);
    assert_eq!(desk.given_back(), ["refresh-token"]);
}

#[test]
fn a_login_that_never_came_to_a_session_gives_its_token_back_also_over_a_restart() {
    let message = |desk: &mut Desk| {
        let noted = desk.notes().into_iter();
        noted
            .filter(|note| note.contains("no session opened"))
            .collect::<Vec<_>>()
    };
    // The client is gone before.
    let mut desk = Desk::plain();
    let login = desk.grant(2, "ada");
    desk.leave(login);
    let acts = desk.acts.clone();
    assert_eq!(desk.given_back(), ["refresh-token"]);
    desk.acts = acts;
    let said = message(&mut desk);
    assert!(
        said[0].ends_with("the connection was over before") && said.len() == 1,
        "{said:?}"
    );
    // Nobody ever comes, and the daemon is another one by then.
    let mut desk = Desk::plain();
    desk.grant(2, "ada");
    desk.restart();
    assert_eq!(desk.given_back(), [""; 0]);
    desk.pass(5 * 60);
    let acts = desk.acts.clone();
    assert_eq!(desk.given_back(), ["refresh-token"]);
    desk.acts = acts;
    let said = message(&mut desk);
    assert!(
        said[0].ends_with("its time was over") && said.len() == 1,
        "{said:?}"
    );
    // The service does not get its session.
    let mut desk = Desk::plain();
    let login = desk.grant(2, "ada");
    desk.table.refuse_login(login, desk.now);
    desk.settle();
    assert_eq!(desk.given_back(), ["refresh-token"]);
    desk.leave(login);
    assert_eq!(desk.given_back(), [""; 0]);
}

#[test]
fn what_the_policy_withdraws_goes_back_at_once_and_what_the_server_refuses_does_not_go() {
    for (refresh, expected) in [(Some("the second"), vec!["the second"]), (None, vec![])] {
        let mut desk = Desk::plain();
        let login = desk.session(2, "ada");
        desk.pass(RENEWAL);
        let refresh = refresh.map(|token| RefreshToken::new(Secret::new(token)));
        let why = "not in the group".to_owned();
        desk.answer(login, Renewed::Withdrawn { why, refresh });
        assert_eq!(desk.given_back(), expected);
        desk.pass(60);
        desk.swept(login, false, 0);
        assert_eq!(desk.given_back(), [""; 0]);
        assert!(desk.table.held.is_empty());
    }
}

/// A server that renews and cannot say about whom has still replaced the token.
#[test]
fn a_token_that_came_without_a_word_about_the_person_is_the_next_one() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    let refresh = Some(RefreshToken::new(Secret::new("the second")));
    let why = "userinfo is away".to_owned();
    desk.answer(login, Renewed::Unreachable { why, refresh });
    desk.answer(login, unreachable());
    desk.logs_out(login);
    assert_eq!(desk.given_back(), ["the second"]);
    // An answer that comes when it is over.
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    let renewed = desk.renewed(login, "the second");
    desk.logs_out(login);
    assert_eq!(desk.given_back(), ["refresh-token"]);
    desk.answer(login, Renewed::Still(renewed));
    assert_eq!(desk.given_back(), ["the second"]);
    // And one that comes while everything is being ended.
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    desk.table.kill(&Which::All, desk.now);
    desk.settle();
    let renewed = desk.renewed(login, "the second");
    desk.answer(login, Renewed::Still(renewed));
    desk.swept(login, false, 0);
    assert_eq!(desk.given_back(), ["the second"]);
    // Whatever else is said with it, it goes back when there is nobody left.
    let refresh = Some(RefreshToken::new(Secret::new("the last")));
    let why = "it was asked too late".to_owned();
    for renewed in [
        Renewed::Withdrawn {
            why: why.clone(),
            refresh: refresh.clone(),
        },
        Renewed::Unreachable { why, refresh },
    ] {
        let mut desk = Desk::plain();
        let login = desk.session(2, "ada");
        desk.pass(RENEWAL);
        desk.logs_out(login);
        assert_eq!(desk.given_back(), ["refresh-token"]);
        desk.answer(login, renewed);
        assert_eq!(desk.given_back(), ["the last"]);
    }
}

#[test]
fn the_journal_has_the_reason_and_the_reference_of_every_end() {
    type End = fn(&mut Desk, Process);
    let ends: [(End, &str, &str); 4] = [
        (
            |desk, login| {
                desk.answer(login, withdrawn());
                desk.pass(60);
            },
            "withdrawn",
            "the account was disabled",
        ),
        (
            |desk, _| drop(desk.table.kill(&Which::All, desk.now)),
            "killed",
            "an administrator ended it",
        ),
        (
            |desk, _| desk.pass(12 * HOUR),
            "unreachable",
            "your access could not be confirmed any more",
        ),
        (|desk, login| desk.leave(login), "closed", ""),
    ];
    for (end, why, reason) in ends {
        let mut desk = Desk::plain();
        let login = desk.session(2, "ada");
        desk.pass(RENEWAL);
        end(&mut desk, login);
        desk.swept(login, false, 0);
        let last = desk.acts.iter().rev().find_map(|act| match act {
            Act::Note(event) if event.what.starts_with("session") => Some(event.clone()),
            _ => None,
        });
        let fields = last.unwrap().fields;
        let field = |name: &str| {
            let found = fields.iter().find(|(known, _)| *known == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        assert_eq!((field("why"), field("reason")), (why, reason), "{fields:?}");
        assert_eq!(field("reference"), "KMPRTX", "{fields:?}");
    }
}

//! Logins: let in, left behind, ended, and found again by another daemon.

use super::*;

#[test]
fn a_withdrawal_warns_then_ends_everything_the_monitor_last() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    assert_eq!(desk.heard(), ["renew 2"]);
    desk.answer(login, withdrawn());
    assert_eq!(desk.heard(), ["tell 2 access ends in 60 s:"]);
    desk.pass(59);
    assert_eq!(desk.heard(), [""; 0]);
    desk.pass(1);
    assert_eq!(desk.heard(), ["leave 2"]);
    desk.swept(login, true, 3);
    let mut forces = Vec::new();
    for _ in 0..100 {
        desk.move_to(desk.now.boot + Duration::from_millis(100));
        desk.table.tick(desk.now);
        desk.settle();
        desk.swept(login, true, 1);
        forces.extend(desk.heard());
    }
    assert_eq!(forces[..4], ["ask 2", "kill 2", "kill 2", "kill 2"]);
    let first_all = forces.iter().position(|force| force == "killall 2");
    // Five seconds, a round each 200 ms.
    assert!((20..25).contains(&first_all.unwrap()), "{forces:?}");
    desk.swept(login, false, 0);
    assert_eq!(desk.heard(), ["forget 2"]);
    assert_eq!(desk.table.next(), None);
}

#[test]
fn what_cannot_be_ended_is_said_once_loudly_and_tried_for_ever() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.table.kill(&Which::All, desk.now);
    desk.settle();
    desk.notes();
    for _ in 0..60 {
        desk.pass(1);
        desk.swept(login, false, 2);
    }
    let said = desk.notes();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("CANNOT END 2 processes"), "{said:?}");
    assert!(desk.table.next().is_some());
    desk.swept(login, false, 0);
    assert!(desk.table.logins.is_empty() && desk.table.held.is_empty());
}

#[test]
fn a_grant_that_no_session_follows_is_worth_nothing_and_nobody_else_either() {
    for how in ["late", "killed", "late and restarted"] {
        let mut desk = Desk::plain();
        let login = desk.grant(2, "ada");
        desk.pass(299);
        if how == "killed" {
            desk.table.kill(&Which::All, desk.now);
            desk.settle();
        }
        desk.pass(1);
        if how == "late and restarted" {
            desk.restart();
        }
        // It is not taken for a login that was never ours, which would be let past.
        let refused = Admission::Refused(words::NO_GRANT);
        assert_eq!(desk.account(login, "ada"), refused, "{how}");
        assert_eq!(desk.open(login, "ada"), refused, "{how}");
        // What could be used is given up, and it is forgotten with its process.
        assert_eq!(desk.table.held[&login].grant.refresh, None, "{how}");
        desk.heard();
        desk.pass(600);
        assert_eq!(desk.heard(), [""; 0], "{how}");
        desk.leave(login);
        assert_eq!(desk.heard(), ["forget 2"], "{how}");
    }
    // Nor is one of any use whose process is gone, nor one that nobody watches for ever.
    let mut desk = Desk::plain();
    let gone = desk.grant(3, "ada");
    desk.leave(gone);
    assert_eq!(desk.heard(), ["forget 3"]);
    desk.grant(4, "ada");
    desk.pass(300 + 3600);
    assert_eq!(desk.heard(), ["forget 4"]);
}

#[test]
fn a_session_is_only_open_to_whom_it_was_granted() {
    let mut desk = Desk::plain();
    let login = desk.grant(2, "ada");
    let refused = Admission::Refused(words::ANOTHER_ACCOUNT);
    assert_eq!(desk.account(login, "root"), refused);
    assert_eq!(desk.open(login, "root"), refused);
    let unknown = Admission::Refused(words::NO_GRANT);
    assert_eq!(desk.open(process(3), "ada"), unknown);
    // The same number at another time is another process.
    let later = Process {
        start_time: 8,
        ..login
    };
    assert_eq!(desk.open(later, "ada"), unknown);
}

#[test]
fn who_signed_in_elsewhere_is_let_past_once_and_not_watched() {
    let mut desk = Desk::plain();
    let login = process(9);
    assert_eq!(desk.account(login, "emergency"), Admission::Elsewhere);
    assert_eq!(desk.open(login, "emergency"), Admission::Elsewhere);
    assert!(desk.table.logins.is_empty());
    let unknown = Admission::Refused(words::NO_GRANT);
    assert_eq!(desk.open(login, "emergency"), unknown);
    // Nor much later.
    assert_eq!(desk.account(login, "emergency"), Admission::Elsewhere);
    desk.pass(301);
    assert_eq!(desk.open(login, "emergency"), unknown);
    assert_eq!(desk.table.next(), None);
}

#[test]
fn a_key_needs_its_person_to_be_signed_in_and_ends_with_them() {
    let mut desk = Desk::new(needs_grant());
    let key = process(9);
    let nobody = Admission::Refused(words::NOBODY_SIGNED_IN);
    assert_eq!(desk.account(key, "ada"), nobody);
    assert_eq!(desk.account(key, "emergency"), Admission::Elsewhere);
    // A grant whose session is not open covers nobody.
    let login = desk.grant(2, "ada");
    assert_eq!(desk.account(key, "ada"), nobody);
    desk.open(login, "ada");
    assert_eq!(desk.account(key, "grace"), nobody);
    assert_eq!(desk.account(key, "ada"), Admission::May(login));
    assert_eq!(desk.open(key, "ada"), Admission::May(login));
    // The one who signed in may leave: the key's session goes on, and so does the watch.
    desk.leave(login);
    desk.swept(login, false, 0);
    assert_eq!(desk.heard(), [""; 0]);
    desk.pass(RENEWAL);
    assert_eq!(desk.heard(), ["renew 2"]);
    desk.restart();
    desk.answer(login, withdrawn());
    desk.pass(60);
    assert_eq!(
        desk.heard()[1..],
        ["tell 9 access ends in 60 s:", "leave 9"]
    );
    // Nothing covers another key from then on.
    assert_eq!(desk.account(process(10), "ada"), nobody);
}

#[test]
fn a_sign_in_for_one_service_covers_no_key_for_another() {
    let mut desk = Desk::new(needs_grant());
    let mut console = grant("ada", desk.now.wall);
    console.service = "login".to_owned();
    desk.table.granted(process(2), console, desk.now);
    desk.open(process(2), "ada");
    let nobody = Admission::Refused(words::NOBODY_SIGNED_IN);
    assert_eq!(desk.account(process(9), "ada"), nobody);
    let login = desk.session(3, "ada");
    assert_eq!(desk.account(process(9), "ada"), Admission::May(login));
}

#[test]
fn a_key_is_refused_where_nobody_can_tell_whose_it_is() {
    // By whichever service the other one is in.
    for service in ["sshd", "login"] {
        let mut desk = Desk::new(needs_grant());
        desk.session(2, "deploy");
        let mut other = grant("deploy", desk.now.wall);
        other.subject = "another person".to_owned();
        other.service = service.to_owned();
        desk.table.granted(process(3), other, desk.now);
        desk.open(process(3), "deploy");
        assert_eq!(
            desk.account(process(9), "deploy"),
            Admission::Refused(words::SEVERAL_PEOPLE)
        );
    }
    // Nor can a sign-in that cannot be confirmed cover anybody.
    let mut desk = Desk::new(needs_grant());
    let mut grant = grant("ada", desk.now.wall);
    grant.refresh = None;
    desk.table.granted(process(2), grant, desk.now);
    desk.open(process(2), "ada");
    desk.pass(61);
    assert_eq!(
        desk.account(process(9), "ada"),
        Admission::Refused(words::CANNOT_BE_CONFIRMED)
    );
}

#[test]
fn what_is_left_behind_is_watched_until_it_is_gone_or_ended() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.leave(login);
    desk.pass(1);
    assert_eq!(desk.heard(), ["look 2"]);
    // What is only slow to end is not said.
    desk.swept(login, true, 2);
    assert_eq!(desk.notes(), [""; 0]);
    desk.pass(2);
    desk.swept(login, false, 2);
    desk.pass(4);
    desk.swept(login, false, 2);
    assert!(desk.notes()[0].contains("2 of its processes go on"));
    desk.pass(RENEWAL);
    assert_eq!(last_of(&desk.heard(), "look"), ["renew 2"]);
    desk.answer(login, withdrawn());
    desk.pass(60);
    assert!(desk.heard().contains(&"leave 2".to_owned()));
    // And one that leaves nothing is forgotten, whether its process is gone or not.
    let other = desk.session(3, "grace");
    desk.leave(other);
    desk.pass(1);
    desk.swept(other, true, 0);
    assert!(desk.heard().contains(&"forget 3".to_owned()));
}

#[test]
fn a_restart_changes_nothing_at_any_step() {
    // Each step of a life, with and without a restart after it; the same has to be heard.
    let life = |restarts_after: Option<usize>| {
        let mut desk = Desk::plain();
        let mut heard = Vec::new();
        let login = process(2);
        for step in 0..12 {
            match step {
                0 => _ = desk.grant(2, "ada"),
                1 => assert_eq!(desk.account(login, "ada"), Admission::May(login)),
                2 => assert_eq!(desk.open(login, "ada"), Admission::May(login)),
                3 | 5 => desk.pass(RENEWAL),
                4 => desk.still(login),
                6 => desk.answer(login, unreachable()),
                7 => desk.pass(40),
                8 => desk.answer(login, withdrawn()),
                9 => desk.leave(login),
                10 => desk.pass(61),
                _ => desk.swept(login, false, 0),
            }
            if restarts_after == Some(step) {
                desk.restart();
            }
            heard.extend(desk.heard());
        }
        assert!(desk.table.held.is_empty(), "{restarts_after:?}");
        // A question that was under way, a look and a stage of ending may come once more: what counts is
        // that each comes, and in this order.
        let mut first: Vec<String> = Vec::new();
        for line in last_of(&heard, "look") {
            if !first.contains(&line) {
                first.push(line);
            }
        }
        first
    };
    let expected = life(None);
    let ends = [
        "renew 2",
        "tell 2 access ends in 60 s:",
        "leave 2",
        "ask 2",
        "kill 2",
    ];
    assert_eq!(expected[..5], ends);
    for step in 0..11 {
        assert_eq!(life(Some(step)), expected, "after step {step}");
    }
}

#[test]
fn an_end_that_came_while_nobody_watched_comes_at_once() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    desk.answer(login, withdrawn());
    desk.heard();
    // Away for an hour.
    desk.move_to(desk.now.boot + Duration::from_secs(HOUR));
    desk.restart();
    desk.pass(0);
    assert_eq!(desk.heard(), ["leave 2"]);
}

#[test]
fn an_administrator_ends_whom_they_mean_and_nobody_else() {
    let reference = || Which::Reference("KMPRTX".parse().unwrap());
    for (which, expected) in [
        (Which::Account("ada".to_owned()), vec!["leave 2"]),
        (Which::Account("nobody".to_owned()), vec![]),
        (reference(), vec!["leave 2", "leave 3"]),
        (Which::All, vec!["leave 2", "leave 3"]),
    ] {
        let mut desk = Desk::plain();
        desk.session(2, "ada");
        desk.session(3, "grace");
        // One that is still logging in is refused from then on.
        let late = desk.grant(4, "ada");
        let ended = desk.table.kill(&which, desk.now);
        desk.settle();
        let heard = desk.heard();
        let heard: Vec<&String> = heard.iter().filter(|l| l.starts_with("leave")).collect();
        assert_eq!(heard, expected.iter().collect::<Vec<_>>(), "{which:?}");
        assert_eq!(ended.is_empty(), expected.is_empty(), "{which:?}");
        if !expected.is_empty() {
            let unknown = Admission::Refused(words::NO_GRANT);
            assert_eq!(desk.open(late, "ada"), unknown, "{which:?}");
        }
    }
}

#[test]
fn what_cannot_be_written_down_is_tried_again() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.table.saved(login, false, desk.now);
    desk.acts.clear();
    desk.pass(29);
    assert!(!desk.acts.contains(&Act::Save(login)));
    desk.pass(1);
    assert!(desk.acts.contains(&Act::Save(login)));
    assert!(desk.table.held[&login].saved);
}

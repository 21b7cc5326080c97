//! Grants: renewed, refused, unconfirmed, over.

use super::*;

#[test]
fn a_token_is_renewed_when_two_thirds_of_its_life_are_over_less_a_share() {
    for (life, earliest, latest) in [
        (Some(600), 360, 400),
        (Some(3600), 2160, 2400),
        // However short it lives, and however long.
        (Some(30), 60, 60),
        (Some(80), 60, 60),
        (Some(86_400), 3240, 3600),
        (None, 360, 400),
    ] {
        let mut moments = Vec::new();
        for pid in 2..100 {
            let mut desk = Desk::plain();
            let mut grant = grant("ada", desk.now.wall);
            grant.access_expires = life.map(|life| desk.now.wall + Duration::from_secs(life));
            let login = process(pid);
            desk.table.granted(login, grant, desk.now);
            desk.open(login, "ada");
            let renewal = desk.table.held[&login].renewal.unwrap();
            moments.push(renewal.as_secs() - BOOT);
        }
        let (first, last) = (moments.iter().min().unwrap(), moments.iter().max().unwrap());
        assert!(
            earliest <= *first && *last <= latest,
            "{life:?}: {first} to {last}"
        );
        // They are spread over all of it.
        assert!(
            (last - first) * 10 >= (latest - earliest) * 9,
            "{life:?}: {first} to {last}"
        );
    }
}

#[test]
fn whoever_wants_to_know_sooner_asks_sooner() {
    for (wanted, earliest, latest) in [(5, 4, 5), (50, 45, 50), (300, 270, 300), (3600, 360, 400)] {
        let mut desk = Desk::new(Settings {
            renew_every: Some(Duration::from_secs(wanted)),
            ..Settings::default()
        });
        let login = desk.session(2, "ada");
        for _ in 0..3 {
            let renewal = desk.table.held[&login].renewal.unwrap();
            let seconds = renewal.as_secs() - desk.now.boot.as_secs();
            assert!(
                (earliest..=latest).contains(&seconds),
                "{wanted}: {seconds}"
            );
            desk.pass(seconds + 1);
            assert_eq!(desk.heard(), ["renew 2"], "{wanted}");
            desk.still(login);
        }
    }
}

#[test]
fn a_session_that_is_confirmed_each_time_lasts_until_its_limit_and_no_longer() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    let mut asked = 0;
    for _ in 0..12 * HOUR / 10 - 7 {
        desk.pass(10);
        for heard in desk.heard() {
            assert_eq!(heard, "renew 2");
            asked += 1;
            desk.still(login);
        }
    }
    assert!(
        (12 * HOUR / RENEWAL..12 * HOUR / 300).contains(&asked),
        "{asked}"
    );
    desk.pass(10);
    let told = ["tell 2 access ends in 60 s:"];
    assert_eq!(last_of(&desk.heard(), "renew"), told);
    desk.pass(60);
    assert_eq!(last_of(&desk.heard(), "renew"), ["leave 2"]);
}

#[test]
fn silence_ends_a_session_after_the_grace_and_an_answer_takes_that_back() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    desk.heard();
    desk.answer(login, unreachable());
    // Asked for the first time somewhere within the last 40 seconds.
    let mut waited = 0;
    let heard = loop {
        desk.pass(1);
        waited += 1;
        let heard = desk.heard();
        if heard.iter().any(|line| line.starts_with("tell")) {
            break heard;
        }
        for line in heard {
            assert_eq!(line, "renew 2");
            desk.answer(login, unreachable());
        }
    };
    assert!((15 * 60 - 40..=15 * 60).contains(&waited), "{waited}");
    assert_eq!(last_of(&heard, "renew"), ["tell 2 access ends in 60 s:"]);
    // It is still asked while the warning runs, and more often.
    desk.answer(login, unreachable());
    desk.pass(10);
    assert_eq!(desk.heard(), ["renew 2"]);
    desk.still(login);
    let said = "tell 2 your access was confirmed again; this session goes on";
    assert_eq!(desk.heard(), [said]);
    // The same silence once more, to the end; nobody even answers that it is away.
    desk.pass(RENEWAL + 15 * 60);
    assert_eq!(desk.heard(), ["renew 2", "tell 2 access ends in 60 s:"]);
    desk.pass(60);
    assert_eq!(desk.heard()[0], "leave 2");
    // It is too late now.
    desk.still(login);
    assert!(!desk.heard().iter().any(|line| line.starts_with("tell")));
    desk.pass(1);
    assert!(desk.heard()[0].starts_with("kill"));
}

#[test]
fn who_only_warns_ends_nobody_before_the_limit() {
    let mut desk = Desk::new(Settings {
        on_revoke: OnRevoke::Warn,
        ..Settings::default()
    });
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    desk.answer(login, withdrawn());
    let told = desk.heard();
    assert_eq!(told[1], "tell 2 your access to this host was withdrawn:");
    desk.pass(11 * HOUR);
    assert_eq!(desk.heard(), [""; 0]);
    // And lets nobody else in by it.
    assert_eq!(
        desk.account(login, "ada"),
        Admission::Refused(words::ACCESS_ENDED)
    );
    desk.pass(HOUR);
    let heard = desk.heard();
    assert_eq!(heard[..2], ["tell 2 access ends in 60 s:", "leave 2"]);
}

#[test]
fn nobody_renews_into_another_person() {
    for (change, what) in [
        (
            (|grant: &mut Grant| grant.subject = "another".to_owned()) as fn(&mut Grant),
            "subject",
        ),
        (|grant| grant.account = "root".to_owned(), "account"),
        (|grant| grant.issuer = "https://other".to_owned(), "issuer"),
    ] {
        let mut desk = Desk::plain();
        let login = desk.session(2, "ada");
        desk.pass(RENEWAL);
        let mut other = grant("ada", desk.now.wall);
        change(&mut other);
        desk.answer(login, Renewed::Still(Box::new(other)));
        assert!(desk.table.held[&login].end.is_some(), "{what}");
        assert_eq!(desk.table.held[&login].grant.account, "ada", "{what}");
    }
}

#[test]
fn a_rule_that_allows_less_at_a_renewal_ends_the_session_sooner() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    let mut shorter = grant("ada", desk.now.wall);
    shorter.max_session = Duration::from_secs(HOUR);
    desk.answer(login, Renewed::Still(Box::new(shorter)));
    assert_eq!(
        desk.table.held[&login].limit(),
        Duration::from_secs(BOOT + HOUR)
    );
}

#[test]
fn without_a_refresh_token_it_ends_at_its_limit_and_the_journal_knows() {
    let mut desk = Desk::plain();
    let login = process(2);
    let mut grant = grant("ada", desk.now.wall);
    grant.refresh = None;
    desk.table.granted(login, grant, desk.now);
    desk.open(login, "ada");
    assert!(desk.notes()[0].starts_with("no refresh token came"));
    desk.pass(12 * HOUR - 61);
    assert_eq!(desk.heard(), [""; 0]);
    desk.pass(61);
    assert_eq!(desk.heard(), ["tell 2 access ends in 60 s:", "leave 2"]);
}

#[test]
fn what_covers_a_key_is_asked_again_unless_it_was_just_confirmed() {
    for (renewed, expected) in [
        (None, "may"),
        (Some(withdrawn()), "refused"),
        (Some(unreachable()), "ask first"),
    ] {
        let mut desk = Desk::new(needs_grant());
        let login = desk.session(2, "ada");
        desk.pass(61);
        let key = process(9);
        assert_eq!(desk.account(key, "ada"), Admission::AskFirst(login));
        assert_eq!(desk.heard(), ["renew 2"]);
        match renewed {
            Some(renewed) => desk.answer(login, renewed),
            None => desk.still(login),
        }
        let answer = match desk.account(key, "ada") {
            Admission::May(_) => "may",
            Admission::Refused(_) => "refused",
            Admission::AskFirst(_) => "ask first",
            Admission::Elsewhere => "elsewhere",
        };
        assert_eq!(answer, expected);
    }
}

#[test]
fn neither_a_jump_of_the_time_of_day_nor_sleep_ends_anybody_or_keeps_anybody() {
    for seconds in [-10 * 365 * 86_400, -86_400, 86_400, 10 * 365 * 86_400] {
        let mut desk = Desk::plain();
        let login = desk.session(2, "ada");
        desk.pass(60);
        desk.set(seconds);
        // Forward, the provider's date is past, so it is asked now; back, when it would have been anyway.
        let asked_now = desk.heard();
        assert_eq!(asked_now.len(), usize::from(seconds > 0), "{seconds}");
        desk.pass(RENEWAL);
        desk.still(login);
        assert_eq!(last_of(&desk.heard(), "renew"), [""; 0], "{seconds}");
        let mut told_after = 460;
        while !desk.table.logins.is_empty() && !desk.table.logins[&login].is_ending() {
            desk.pass(10);
            told_after += 10;
            if desk.table.held[&login].waiting {
                desk.still(login);
            }
            assert!(told_after <= 12 * HOUR, "{seconds}");
        }
        assert_eq!(told_after, 12 * HOUR, "{seconds}");
    }
    // Asleep for hours: the question that was due is asked, and the grace begins with it.
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.sleep(6 * HOUR);
    assert_eq!(desk.heard(), ["renew 2"]);
    desk.answer(login, unreachable());
    desk.pass(14 * 60);
    assert_eq!(last_of(&desk.heard(), "renew"), [""; 0]);
    // Asleep in the midst of silence: the warning gives time for one more answer.
    desk.sleep(HOUR);
    assert_eq!(
        last_of(&desk.heard(), "renew"),
        ["tell 2 access ends in 60 s:"]
    );
    desk.still(login);
    desk.pass(60);
    assert!(desk.table.held[&login].is_live());
    // Asleep beyond the limit: warned, then ended.
    desk.heard();
    desk.sleep(20 * HOUR);
    let heard = desk.heard();
    assert_eq!(last_of(&heard, "renew"), ["tell 2 access ends in 60 s:"]);
    desk.pass(60);
    assert_eq!(last_of(&desk.heard(), "renew"), ["leave 2"]);
}

#[test]
fn what_a_terminal_is_shown_is_short_and_cannot_move_it() {
    let mut desk = Desk::plain();
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    desk.acts.clear();
    let why = format!("\u{1b}[2J\r\n\u{202e}{}", "long ".repeat(100));
    desk.answer(login, Renewed::Withdrawn { why, refresh: None });
    let told = desk.acts.iter().find_map(|act| match act {
        Act::Tell { text, .. } => Some(text.clone()),
        _ => None,
    });
    let told = told.unwrap();
    assert!(told.len() < 400, "{told}");
    assert!(!told.contains(['\u{1b}', '\r', '\u{202e}']), "{told:?}");
    assert!(told.lines().all(|line| line.len() <= 140), "{told}");
}

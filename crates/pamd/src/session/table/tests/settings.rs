//! Settings that change while logins are under way.

use super::*;

/// The usual ones, with this for the rule that everybody here was let in by.
fn limited(hours: u64) -> Settings {
    let limit = Duration::from_secs(hours * HOUR);
    Settings {
        max_session: [("staff".to_owned(), limit)].into(),
        ..Settings::default()
    }
}

impl Desk {
    fn apply(&mut self, settings: Settings) {
        self.table.apply(settings, self.now);
        self.settle();
    }

    /// Answers every question with yes while time passes.
    fn pass_renewed(&mut self, login: Process, seconds: u64) -> Vec<String> {
        let end = self.now.boot + Duration::from_secs(seconds);
        let mut heard = Vec::new();
        while self.now.boot < end {
            let next = self.table.next().unwrap().min(end);
            self.pass(next.saturating_sub(self.now.boot).as_secs().max(1));
            for line in self.heard() {
                match line.as_str() {
                    "renew 2" => self.still(login),
                    _ => heard.push(line),
                }
            }
        }
        heard
    }
}

#[test]
fn a_shorter_limit_counts_at_once_and_nobody_is_cut_off_unwarned() {
    let mut desk = Desk::new(limited(12));
    let login = desk.session(2, "ada");
    desk.pass_renewed(login, 2 * HOUR);
    desk.apply(limited(3));
    desk.still(login);
    // What the grant brought with it is what was decided last, also after a restart.
    desk.heard();
    desk.restart();
    let limit = Duration::from_secs(BOOT + 3 * HOUR);
    assert_eq!(desk.table.held[&login].limit(), limit);
    let heard = desk.pass_renewed(login, HOUR);
    assert_eq!(heard, ["tell 2 access ends in 60 s:", "leave 2"]);
    // One that has lasted longer already is warned now, and has the minute.
    let mut desk = Desk::new(limited(12));
    let login = desk.session(2, "ada");
    desk.pass_renewed(login, 2 * HOUR);
    desk.apply(limited(1));
    assert_eq!(desk.heard()[0], "tell 2 access ends in 60 s:");
    desk.pass(59);
    assert!(!desk.heard().contains(&"leave 2".to_owned()));
    desk.pass(2);
    assert!(desk.heard().contains(&"leave 2".to_owned()));
}

#[test]
fn a_longer_limit_counts_for_whom_no_end_was_announced() {
    let mut desk = Desk::new(limited(12));
    let login = desk.session(2, "ada");
    desk.apply(limited(13));
    assert_eq!(desk.heard(), ["renew 2"]);
    desk.still(login);
    assert_eq!(desk.pass_renewed(login, 12 * HOUR), [""; 0]);
    desk.pass_renewed(login, HOUR - 30);
    desk.apply(limited(24));
    desk.pass(31);
    assert!(desk.heard().contains(&"leave 2".to_owned()));
}

#[test]
fn a_restart_with_another_file_is_a_change_as_well() {
    let mut desk = Desk::new(limited(12));
    let login = desk.session(2, "ada");
    desk.table.settings = limited(1);
    desk.restart();
    let limit = Duration::from_secs(BOOT + HOUR);
    assert_eq!(desk.table.held[&login].limit(), limit);
}

#[test]
fn everybody_is_asked_about_again_and_whose_rule_is_gone_ends() {
    let mut desk = Desk::new(limited(12));
    let login = desk.session(2, "ada");
    desk.apply(Settings::default());
    // Under another name the rule may still be there: whoever can be asked about is.
    assert_eq!(desk.heard(), ["renew 2"]);
    desk.answer(login, withdrawn());
    assert_eq!(desk.heard(), ["tell 2 access ends in 60 s:"]);
    // An answer to what was asked before is none to what is asked now.
    let mut desk = Desk::new(limited(12));
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    assert_eq!(desk.heard(), ["renew 2"]);
    desk.apply(limited(11));
    assert_eq!(desk.heard(), [""; 0]);
    for again in [true, false] {
        desk.still(login);
        desk.pass(1);
        assert_eq!(desk.heard().contains(&"renew 2".to_owned()), again);
    }
    // Of others nobody knows more than the rule that let them in.
    for (settings, is_over) in [(limited(12), false), (Settings::default(), true)] {
        let mut desk = Desk::new(limited(12));
        let mut grant = grant("ada", desk.now.wall);
        grant.refresh = None;
        desk.table.granted(login, grant, desk.now);
        desk.open(login, "ada");
        desk.apply(settings);
        desk.pass(60);
        assert_eq!(desk.heard().contains(&"leave 2".to_owned()), is_over);
    }
}

#[test]
fn what_becomes_of_a_withdrawal_is_decided_anew_until_it_has_come() {
    let warn = || Settings {
        on_revoke: OnRevoke::Warn,
        ..limited(12)
    };
    let mut desk = Desk::new(limited(12));
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    desk.answer(login, withdrawn());
    desk.pass(30);
    desk.heard();
    // The provider has gone mad, and an administrator steps in.
    desk.apply(warn());
    let told = "tell 2 your access to this host was withdrawn:";
    assert_eq!(desk.heard(), [told]);
    desk.pass(HOUR);
    assert_eq!(desk.heard(), [""; 0]);
    // It was right after all.
    desk.apply(limited(12));
    assert_eq!(desk.heard(), ["tell 2 access ends in 60 s:"]);
    // The same once more changes nothing.
    desk.pass(30);
    desk.apply(limited(12));
    assert_eq!(desk.heard(), [""; 0]);
    desk.pass(30);
    assert_eq!(desk.heard()[0], "leave 2");
    // It is too late for anything else.
    desk.apply(warn());
    desk.pass(30);
    assert!(desk.heard().iter().any(|line| line.starts_with("kill")));
}

#[test]
fn the_patience_with_a_silent_server_is_the_one_decided_last() {
    let grace = |minutes: u64| Settings {
        offline_grace: Duration::from_secs(60 * minutes),
        ..limited(12)
    };
    let mut desk = Desk::new(grace(60));
    let login = desk.session(2, "ada");
    desk.pass(RENEWAL);
    desk.answer(login, unreachable());
    desk.pass(20);
    desk.heard();
    desk.apply(grace(15));
    assert_eq!(desk.heard(), ["renew 2"]);
    // It is counted from the question that was not answered, which came up to 40 s early.
    desk.pass(14 * 60 - 21);
    assert_eq!(desk.heard(), [""; 0]);
    desk.pass(60);
    assert_eq!(desk.heard(), ["tell 2 access ends in 60 s:"]);
}

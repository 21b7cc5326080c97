//! Programs that converse in their own way.

use countersign_pam_wire::{Echo, Text, ToModule, Verdict};

use crate::daemon::Daemon;
use crate::driver::{Driver, LOGIN};

#[test]
fn where_no_visible_answer_is_taken_nobody_is_asked_twice() {
    let daemon = Daemon::start(|connection, _| {
        connection.prompt("Code: ");
        assert_eq!(connection.hear(), None);
    });
    let said = Driver::new(&daemon).manner("hidden").call(&LOGIN[..1]);
    assert_eq!(said.codes(), [7]);
    assert_eq!(said.shown(), ["2 Code: "]);
}

/// As at the end of a session of sshd's.
#[test]
fn a_session_is_closed_without_a_conversation() {
    let daemon = Daemon::start(|connection, _| connection.done(Verdict::Success));
    let said = Driver::new(&daemon).manner("mute").call(&LOGIN[1..]);
    assert_eq!(said.codes(), [0; 4]);
    assert_eq!(daemon.heard().len(), 3);

    let daemon = Daemon::that_wants("");
    let said = Driver::new(&daemon).manner("mute").call(&LOGIN[..1]);
    assert_eq!(said.codes(), [7]);
}

#[test]
fn an_answer_that_is_none_is_an_empty_one() {
    let daemon = Daemon::that_wants("");
    let said = Driver::new(&daemon).manner("silent").call(&LOGIN[..1]);
    assert_eq!(said.codes(), [0]);
}

#[test]
fn hidden_prompts_and_long_texts_arrive_as_they_are() {
    // The size of a QR code in half blocks, which takes three bytes a character.
    let long = "\u{2580}\u{2584} ".repeat(500);
    let text = Text::clean(&long);
    let daemon = Daemon::start(move |connection, _| {
        let echo = Echo::Off;
        let text = text.clone();
        connection.say(&ToModule::Prompt { text, echo });
        let answer = connection.answer().unwrap();
        assert_eq!(answer.expose(), "h\u{fffd}nter\u{fffd}2");
        connection.done(Verdict::Success);
    });
    let driver = Driver::new(&daemon).answer("h\u{7}nter\u{200b}2");
    let said = driver.call(&LOGIN[..1]);
    assert_eq!(said.shown()[0], format!("1 {long}"));
}

#[test]
fn who_asks_for_silence_is_told_nothing_but_asked() {
    let daemon = Daemon::that_wants("hunter2");
    let said = Driver::new(&daemon).call(&["quietly"]);
    assert_eq!(said.codes(), [0]);
    assert_eq!(said.shown(), ["2 Code for ada: "]);
}

#[test]
fn a_name_that_is_not_plain_text_is_refused_before_anybody_is_asked() {
    let daemon = Daemon::start(|_, _| panic!("nobody asks the daemon"));
    for user in ["ro\u{7}ot", "root\n", "ro\u{200b}ot"] {
        let said = Driver::new(&daemon).user(user).call(&LOGIN[..2]);
        assert_eq!(said.codes(), [7, 6], "{user:?}");
    }
}

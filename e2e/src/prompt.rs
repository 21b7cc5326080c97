//! The prompt of a host that asks somebody to sign in, and that somebody at the keyboard.

use std::thread;
use std::time::Duration;

use countersign_testkit::{Finished, Running};

/// What stands in the prompt of somebody who is waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prompt {
    /// Where the code is typed.
    pub address: String,
    /// The code.
    pub code: String,
}

impl Prompt {
    /// Reads what is shown, once the prompt is there to its end.
    pub fn read(shown: &str) -> Option<Self> {
        shown.contains("press Enter").then_some(())?;
        let after = |label: &str| {
            let mut lines = shown.lines();
            let line = lines.find_map(|line| line.trim_start().strip_prefix(label))?;
            Some(line.trim_end().to_owned())
        };
        Some(Self {
            address: after("Open  ")?,
            code: after("Code  ")?,
        })
    }
}

/// Somebody presses Enter whenever asked, until `words` are there.
///
/// # Panics
/// When they do not come.
pub fn press_enter_until(client: &Running, words: &str) {
    let mut answered = 0;
    loop {
        let asked = client.wait_for_stdout(|shown| {
            let asked = shown.matches("press Enter").count();
            let is_over = shown.contains(words);
            (is_over || asked > answered).then_some(if is_over { 0 } else { asked })
        });
        if asked == 0 {
            return;
        }
        answered = asked;
        client.tell("");
    }
}

/// Somebody presses Enter whenever asked, until it is over.
///
/// # Panics
/// When it takes longer than the client may.
pub fn press_enter(mut client: Running) -> Finished {
    let mut answered = 0;
    while !client.has_ended() {
        let asked = client.stdout().matches("press Enter").count();
        if asked > answered {
            answered = asked;
            client.tell("");
        }
        thread::sleep(Duration::from_millis(10));
    }
    client.finish()
}

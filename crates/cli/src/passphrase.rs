//! A passphrase, typed at the terminal without being shown.
//!
//! Not responsible for the terminal's mode, and for what becomes of it when the program is ended
//! meanwhile: that is the client's ([`Unseen`]).

use std::io;

use countersign_client::{
    AskPassphrase, Environment, ExitCategory, Keystroke, PassphraseFor, SecretBytes, Unseen,
};

use crate::{output, term};

/// Longer than anybody types.
const MOST: usize = 1024;
const CTRL_C: u8 = 0x03;

/// Asks the person at the terminal, if there is one.
pub(crate) struct Asker {
    pub(crate) no_input: bool,
}

impl AskPassphrase for Asker {
    fn ask(&self, why: PassphraseFor) -> Option<SecretBytes> {
        let unattended = || Environment::from_variables(|name| std::env::var_os(name)).ci;
        if self.no_input || !term::is_interactive() || unattended() {
            return None;
        }
        match why {
            PassphraseFor::Opening { failed } => {
                if failed > 0 {
                    output::message("That is not it.\n");
                }
                read("Passphrase of the session: ")
            }
            _ => loop {
                let first = read("New passphrase for the session: ")?;
                if first.expose().is_empty() {
                    output::message("An empty passphrase protects nothing.\n");
                    continue;
                }
                let second = read("The same once more: ")?;
                if first.expose() == second.expose() {
                    return Some(first);
                }
                output::message("The two differ.\n");
            },
        }
    }
}

/// Asks once. `None` when the person would not say.
fn read(prompt: &str) -> Option<SecretBytes> {
    let terminal = io::stdin();
    let line = {
        let unseen = Unseen::on(&terminal)?;
        output::message(prompt);
        let line = line(&unseen);
        output::message("\n");
        line
    };
    match line {
        Ok(line) => line,
        // As the terminal itself would have done it.
        Err(Interrupted) => std::process::exit(ExitCategory::Interrupted.exit_code().into()),
    }
}

/// The person pressed Ctrl-C.
struct Interrupted;

/// Reads up to the end of the line, with the keys that correct it.
fn line(terminal: &Unseen<'_>) -> Result<Option<SecretBytes>, Interrupted> {
    // Room at once: a vector that grows leaves unwiped copies behind.
    let mut typed = Vec::with_capacity(MOST);
    loop {
        let Keystroke::Byte(key) = (match terminal.key(None) {
            // What becomes of us is up to the signal, once the terminal is as it was.
            Keystroke::Signal => Keystroke::Byte(CTRL_C),
            key => key,
        }) else {
            return Ok(None);
        };
        match key {
            b'\n' | b'\r' => return Ok(Some(SecretBytes::new(typed))),
            CTRL_C => {
                drop(SecretBytes::new(typed));
                return Err(Interrupted);
            }
            0x04 if typed.is_empty() => return Ok(None),
            // A whole character, of which the later bytes in UTF-8 look like this.
            0x7f | 0x08 => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            0x15 => typed.clear(),
            byte if byte >= 0x20 && typed.len() < MOST => typed.push(byte),
            _ => {}
        }
    }
}

//! A passphrase, typed at the terminal without being shown.
//!
//! The one place that changes the terminal's mode. Ctrl-C comes as a character meanwhile, so that the
//! mode is back before the program ends.

use std::io;

use countersign_client::{AskPassphrase, Environment, ExitCategory, PassphraseFor, SecretBytes};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{output, term};

/// Longer than anybody types.
const MOST: usize = 1024;

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
        let _quiet = Quiet::on(&terminal)?;
        output::message(prompt);
        line(&terminal)
    };
    output::message("\n");
    match line {
        Ok(line) => line,
        // As the terminal itself would have done it.
        Err(Interrupted) => std::process::exit(ExitCategory::Interrupted.exit_code().into()),
    }
}

/// The person pressed Ctrl-C.
struct Interrupted;

/// Reads up to the end of the line, with the keys that correct it.
fn line(terminal: &io::Stdin) -> Result<Option<SecretBytes>, Interrupted> {
    // Room at once: a vector that grows leaves unwiped copies behind.
    let mut typed = Vec::with_capacity(MOST);
    let mut key = [0];
    loop {
        // Byte by byte and past the buffer of the library, so that what is typed ahead stays where it is.
        match rustix::io::read(terminal, &mut key) {
            Ok(1) => {}
            Err(Errno::INTR) => continue,
            Ok(_) | Err(_) => return Ok(None),
        }
        match key {
            [b'\n' | b'\r'] => return Ok(Some(SecretBytes::new(typed))),
            [0x03] => {
                drop(SecretBytes::new(typed));
                return Err(Interrupted);
            }
            [0x04] if typed.is_empty() => return Ok(None),
            // A whole character, of which the later bytes in UTF-8 look like this.
            [0x7f | 0x08] => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            [0x15] => typed.clear(),
            [byte] if byte >= 0x20 && typed.len() < MOST => typed.push(byte),
            _ => {}
        }
    }
}

/// The terminal shows nothing of what is typed, until this is dropped.
struct Quiet<'a> {
    terminal: &'a io::Stdin,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn on(terminal: &'a io::Stdin) -> Option<Self> {
        let before = tcgetattr(terminal).ok()?;
        let mut quiet = before.clone();
        let shown = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        quiet.local_modes.remove(shown);
        tcsetattr(terminal, OptionalActions::Flush, &quiet).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

//! A terminal that shows nothing of what is typed, and that is as it was whatever ends the program.
//!
//! Ctrl-C comes as a character meanwhile. A signal that would end the program waits until the terminal is
//! as it was, and then has the effect that it always has. No handler is installed for that, so a program
//! that has its own keeps it.
//!
//! Not responsible for what is typed, nor for other threads of the program: a signal to all of it can be
//! taken by one that does not hold it back.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use self::held::Held;

/// The terminal shows nothing of what is typed, until this is dropped.
///
/// SIGHUP, SIGINT, SIGQUIT and SIGTERM wait as long as it is there, on Linux, if no other thread of the
/// program takes them.
pub struct Unseen<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
    // After the terminal: what has waited may end the program.
    held: Held,
}

/// What comes from the terminal next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keystroke {
    /// A byte of a character, or of a key that is none.
    Byte(u8),
    /// Nothing in time.
    Nothing,
    /// Nothing any more: the terminal is gone.
    End,
    /// A signal waits. Whoever goes on reading keeps it from its effect.
    Signal,
}

impl<'a> Unseen<'a> {
    /// Hides what is typed from now on, and throws away what was typed before: it is no answer. `None` when
    /// this is no terminal.
    pub fn on(terminal: &'a impl AsFd) -> Option<Self> {
        let terminal = terminal.as_fd();
        let before = tcgetattr(terminal).ok()?;
        let mut quiet = before.clone();
        let shown = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        quiet.local_modes.remove(shown);
        let held = Held::back()?;
        tcsetattr(terminal, OptionalActions::Flush, &quiet).ok()?;
        Some(Self {
            terminal,
            before,
            held,
        })
    }

    /// The next key stroke, byte by byte, so that what is typed ahead stays where it is.
    pub fn key(&self, until: Option<Instant>) -> Keystroke {
        let mut key = [0];
        loop {
            if let Some(other) = self.nothing_to_read(until) {
                return other;
            }
            match rustix::io::read(self.terminal, &mut key) {
                Ok(1) => {
                    let [byte] = key;
                    return Keystroke::Byte(byte);
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Ok(_) | Err(_) => return Keystroke::End,
            }
        }
    }

    /// Waits until there is something to read, or an end. What else has come, otherwise.
    fn nothing_to_read(&self, until: Option<Instant>) -> Option<Keystroke> {
        let input = PollFd::from_borrowed_fd(self.terminal, PollFlags::IN);
        let mut inputs = vec![input];
        inputs.extend(self.held.signals());
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let Ok(left) = left.map(Timespec::try_from).transpose() else {
                return Some(Keystroke::Nothing);
            };
            match poll(&mut inputs, left.as_ref()) {
                Ok(0) => return Some(Keystroke::Nothing),
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Some(Keystroke::End),
            }
        }
        let signal = inputs.get(1).is_some_and(|it| !it.revents().is_empty());
        signal.then_some(Keystroke::Signal)
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

impl fmt::Debug for Unseen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unseen").finish_non_exhaustive()
    }
}

#[cfg(target_os = "linux")]
mod held {
    use std::marker::PhantomData;
    use std::os::fd::AsFd as _;

    use nix::sys::signal::{SigSet, SigmaskHow, Signal};
    use nix::sys::signalfd::{SfdFlags, SignalFd};
    use rustix::event::{PollFd, PollFlags};

    /// Signals that wait until this is dropped.
    pub(super) struct Held {
        before: SigSet,
        waiting: SignalFd,
        /// It is the thread that holds them back.
        _of_this_thread: PhantomData<*const ()>,
    }

    impl Held {
        pub(super) fn back() -> Option<Self> {
            let ends = [
                Signal::SIGHUP,
                Signal::SIGINT,
                Signal::SIGQUIT,
                Signal::SIGTERM,
            ];
            let ends: SigSet = ends.into_iter().collect();
            let waiting = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC).ok()?;
            let before = ends.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
            Some(Self {
                before,
                waiting,
                _of_this_thread: PhantomData,
            })
        }

        /// Is readable while one of them waits, and is never read: they are to have their effect.
        pub(super) fn signals(&self) -> [PollFd<'_>; 1] {
            [PollFd::from_borrowed_fd(
                self.waiting.as_fd(),
                PollFlags::IN,
            )]
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            let _ = self.before.thread_set_mask();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod held {
    use rustix::event::PollFd;

    /// Nothing: there is no way to hear of a signal that waits, and one that nobody hears of would wait for
    /// the person.
    pub(super) struct Held;

    impl Held {
        pub(super) fn back() -> Option<Self> {
            Some(Self)
        }

        pub(super) fn signals(&self) -> [PollFd<'_>; 0] {
            []
        }
    }
}

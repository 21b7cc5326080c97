//! One conversation with the daemon: it asks and tells, and ends with a verdict.
//!
//! Not responsible for: what the verdict means to PAM. See `hook`.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use countersign_pam_wire::{
    Echo, Incoming, Line, ReceiveError, Text, ToDaemon, ToModule, Typed, Verdict,
};

use crate::pam::{Failed, Pam, Tone};
use crate::trouble::Trouble;

/// A stream to the daemon. Each call has its time limit.
pub(crate) trait Stream {
    /// Sends all of it.
    fn send(&mut self, bytes: &[u8], within: Duration) -> io::Result<()>;
    /// Reads what there is; 0 at the end.
    fn receive(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<usize>;
}

/// What a daemon may ask of a module's patience.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All waiting for the daemon together. The time that a person takes is not in it: the program
    /// that called PAM limits that.
    pub(crate) total: Duration,
    /// Between two messages.
    pub(crate) silence: Duration,
    /// Questions to the person.
    pub(crate) prompts: usize,
    /// Messages in all.
    pub(crate) messages: usize,
}

impl Limits {
    pub(crate) fn new(total: Duration) -> Self {
        Self {
            total,
            silence: Duration::from_secs(10),
            prompts: 16,
            messages: 10_000,
        }
    }
}

/// Whether there is a person to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Questions {
    Allowed,
    Refused,
}

/// How the daemon ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) reference: Line,
}

/// Says `opening`, does what the daemon wants done, and comes back with its verdict.
pub(crate) fn talk(
    pam: &mut impl Pam,
    stream: &mut impl Stream,
    opening: &ToDaemon,
    questions: Questions,
    limits: Limits,
) -> Result<Outcome, Trouble> {
    let mut talk = Talk {
        stream,
        incoming: Incoming::default(),
        waited: Duration::ZERO,
        limits,
    };
    talk.send(opening)?;
    let mut prompts = 0;
    for _ in 0..limits.messages {
        match talk.next()? {
            ToModule::Prompt { text, echo } => {
                if questions == Questions::Refused {
                    return Err(Trouble::wrong("the daemon asks where nobody can be asked"));
                }
                prompts += 1;
                if prompts > limits.prompts {
                    return Err(Trouble::wrong("the daemon asks too often"));
                }
                let answer = ask(pam, &text, echo)?;
                talk.send(&ToDaemon::Answer(answer))?;
            }
            // Whoever cannot be told is asked nevertheless: there it counts.
            ToModule::Info { text } => {
                let _ = pam.tell(&text, Tone::Info);
            }
            ToModule::Done {
                verdict,
                text,
                reference,
            } => {
                let tone = if verdict == Verdict::Success {
                    Tone::Info
                } else {
                    Tone::Error
                };
                if !text.is_empty() {
                    let _ = pam.tell(&text, tone);
                }
                return Ok(Outcome { verdict, reference });
            }
            // `Working`, and what a later release may add that needs no answer.
            _ => {}
        }
    }
    Err(Trouble::wrong("the daemon comes to no end"))
}

fn ask(pam: &mut impl Pam, text: &Text, echo: Echo) -> Result<Typed, Trouble> {
    pam.ask(text, echo).map_err(|failed| match (failed, echo) {
        // sshd's method `password` has the answer before the question, and takes none that is seen.
        (Failed::Code(_), Echo::On) => Trouble::Wrong(format!(
            "{failed}: a question that is answered in sight is not taken here; of sshd's methods \
             only keyboard-interactive does (KbdInteractiveAuthentication yes)"
        )),
        _ => Trouble::Wrong(format!("no answer: {failed}")),
    })
}

struct Talk<'a, S> {
    stream: &'a mut S,
    incoming: Incoming<ToModule>,
    waited: Duration,
    limits: Limits,
}

impl<S: Stream> Talk<'_, S> {
    fn send(&mut self, message: &ToDaemon) -> Result<(), Trouble> {
        let bytes = message.encode().map_err(Trouble::wrong)?;
        self.wait(|stream, until| stream.send(bytes.expose(), left(until)?))
            .map_err(|error| not_reached(&error))
    }

    fn next(&mut self) -> Result<ToModule, Trouble> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let message = self.wait(|stream, until| {
            // Without this, a byte now and then would begin each wait anew.
            incoming.receive_from(&mut Until { stream, until })
        });
        self.incoming = incoming;
        match message {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(Trouble::Away("the daemon hung up".to_owned())),
            Err(ReceiveError::Io(error)) => Err(not_reached(&error)),
            Err(ReceiveError::Wire(error)) => {
                Err(Trouble::Wrong(format!("{error} ({})", error.code())))
            }
            Err(error) => Err(Trouble::wrong(error)),
        }
    }

    /// Does what may have to wait, and counts the wait.
    fn wait<T>(&mut self, work: impl FnOnce(&mut S, Instant) -> T) -> T {
        let begin = Instant::now();
        let patience = self.limits.total.saturating_sub(self.waited);
        let until = begin + patience.min(self.limits.silence);
        let done = work(self.stream, until);
        self.waited += begin.elapsed();
        done
    }
}

/// Reads until a point in time, however many reads that is.
struct Until<'a, S> {
    stream: &'a mut S,
    until: Instant,
}

impl<S: Stream> Read for Until<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let within = left(self.until)?;
        self.stream.receive(buffer, within)
    }
}

/// What is left of the time; never zero, which to the system means for ever.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left.max(Duration::from_millis(1)))
}

fn not_reached(error: &io::Error) -> Trouble {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, WouldBlock};
    Trouble::Away(match error.kind() {
        TimedOut | WouldBlock => "the daemon says nothing".to_owned(),
        // Which of these it is depends on what was on its way.
        BrokenPipe | ConnectionReset => "the daemon hung up".to_owned(),
        _ => format!("the daemon is not reached: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use countersign_pam_wire::Process;

    use super::*;
    use crate::testing::{Daemon, FakePam, connection, process};

    fn close() -> ToDaemon {
        let monitor: Process = process(1);
        ToDaemon::Close { monitor }
    }

    /// Talks with a daemon that does this, and says how long that took.
    fn patience(
        limits: Limits,
        script: impl FnOnce(&mut Daemon) + Send,
    ) -> (Result<Outcome, Trouble>, Duration) {
        let (mut socket, mut daemon) = connection();
        thread::scope(|scope| {
            scope.spawn(move || script(&mut daemon));
            let begin = Instant::now();
            let mut pam = FakePam::new();
            let outcome = talk(&mut pam, &mut socket, &close(), Questions::Allowed, limits);
            // The daemon sees the end before it is waited for.
            drop(socket);
            (outcome, begin.elapsed())
        })
    }

    fn limits(total: u64, silence: u64) -> Limits {
        Limits {
            total: Duration::from_millis(total),
            silence: Duration::from_millis(silence),
            ..Limits::new(Duration::ZERO)
        }
    }

    /// Sends pieces at intervals until the module hangs up.
    fn drip(daemon: &mut Daemon, piece: &[u8], every: Duration) {
        daemon.hear();
        daemon.stream.set_read_timeout(Some(every)).unwrap();
        let mut nothing = [0];
        while !matches!(daemon.stream.read(&mut nothing), Ok(0)) {
            daemon.send(piece);
        }
    }

    fn is_silence(outcome: &Result<Outcome, Trouble>) -> bool {
        *outcome == Err(Trouble::Away("the daemon says nothing".to_owned()))
    }

    #[test]
    fn silence_has_a_limit() {
        let (outcome, took) = patience(
            limits(60_000, 100),
            |daemon| {
                while daemon.hear().is_some() {}
            },
        );
        assert!(is_silence(&outcome), "{outcome:?}");
        assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(20));
    }

    #[test]
    fn a_byte_now_and_then_is_silence() {
        let (outcome, _) = patience(limits(60_000, 200), |daemon| {
            // The length of a frame that never comes to its end.
            daemon.send(&[0, 0, 0xff, 0xff]);
            drip(daemon, &[0x82], Duration::from_millis(10));
        });
        assert!(is_silence(&outcome), "{outcome:?}");
    }

    #[test]
    fn all_waits_together_have_a_limit() {
        let (outcome, took) = patience(limits(300, 60_000), |daemon| {
            let working = ToModule::Working.encode().unwrap();
            drip(daemon, working.expose(), Duration::from_millis(10));
        });
        assert!(is_silence(&outcome), "{outcome:?}");
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(20));
    }

    #[test]
    fn the_time_that_a_person_takes_is_not_the_daemons() {
        struct Slow(FakePam);
        impl Pam for Slow {
            fn ask_user(&mut self) -> Result<Vec<u8>, Failed> {
                self.0.ask_user()
            }
            fn item(&self, item: crate::pam::Item) -> Vec<u8> {
                self.0.item(item)
            }
            fn variable(&self, name: &std::ffi::CStr) -> Vec<u8> {
                self.0.variable(name)
            }
            fn ask(&mut self, text: &Text, echo: Echo) -> Result<Typed, Failed> {
                thread::sleep(Duration::from_millis(1200));
                self.0.ask(text, echo)
            }
            fn tell(&mut self, text: &Text, tone: Tone) -> Result<(), Failed> {
                self.0.tell(text, tone)
            }
            fn log(&self, level: crate::pam::Level, line: &str) {
                self.0.log(level, line);
            }
        }
        let (mut socket, mut daemon) = connection();
        let outcome = thread::scope(|scope| {
            scope.spawn(move || {
                daemon.hear();
                daemon.prompt("? ");
                daemon.hear();
                daemon.done(Verdict::Success, "");
            });
            let mut pam = Slow(FakePam::new());
            let limits = limits(1000, 1000);
            talk(&mut pam, &mut socket, &close(), Questions::Allowed, limits)
        });
        assert_eq!(outcome.map(|it| it.verdict), Ok(Verdict::Success));
    }

    /// A process that was not told to ignore SIGPIPE would be gone. The test runner ignores it, so this
    /// is shown by the error alone; `tests` has the rest.
    #[test]
    fn who_hangs_up_before_anything_is_said_is_away() {
        let (mut socket, daemon) = connection();
        drop(daemon);
        let mut pam = FakePam::new();
        let limits = Limits::new(Duration::from_secs(20));
        let outcome = talk(&mut pam, &mut socket, &close(), Questions::Allowed, limits);
        assert!(matches!(outcome, Err(Trouble::Away(_))), "{outcome:?}");
    }
}

//! A PAM made of nothing, and a daemon that does what a test says.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::ffi::CStr;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use countersign_pam_wire::{
    Echo, Incoming, Line, Process, ReceiveError, Text, ToDaemon, ToModule, Typed, Verdict,
};

use crate::arguments::Arguments;
use crate::code::Code;
use crate::ffi::Socket;
use crate::hook::{Hook, Place, run};
use crate::monitor::Caller;
use crate::pam::{Failed, Item, Level, Pam, Tone};
use crate::trouble::Trouble;

/// What a program that calls PAM says and does.
#[derive(Debug, Default)]
pub(crate) struct FakePam {
    pub(crate) items: HashMap<&'static str, Vec<u8>>,
    pub(crate) variables: HashMap<&'static str, Vec<u8>>,
    /// What is answered, in order; empty lines after that.
    pub(crate) answers: VecDeque<Result<Typed, Failed>>,
    pub(crate) shown: Vec<(&'static str, String)>,
    pub(crate) log: RefCell<Vec<(Level, String)>>,
}

impl FakePam {
    pub(crate) fn new() -> Self {
        let items = [("service", "sshd"), ("user", "ada"), ("rhost", "192.0.2.7")];
        Self {
            items: items.map(|(name, value)| (name, value.into())).into(),
            ..Self::default()
        }
    }
}

impl Pam for FakePam {
    fn ask_user(&mut self) -> Result<Vec<u8>, Failed> {
        self.items.get("user").cloned().ok_or(Failed::Code(10))
    }

    fn item(&self, item: Item) -> Vec<u8> {
        let name = match item {
            Item::Service => "service",
            Item::User => "user",
            Item::Tty => "tty",
            Item::RemoteHost => "rhost",
            Item::RemoteUser => "ruser",
        };
        self.items.get(name).cloned().unwrap_or_default()
    }

    fn variable(&self, name: &CStr) -> Vec<u8> {
        let value = self.variables.get(name.to_str().unwrap());
        value.cloned().unwrap_or_default()
    }

    fn ask(&mut self, text: &Text, echo: Echo) -> Result<Typed, Failed> {
        let kind = match echo {
            Echo::On => "echo on",
            Echo::Off => "echo off",
        };
        self.shown.push((kind, text.to_string()));
        self.answers.pop_front().unwrap_or(Ok(Typed::default()))
    }

    fn tell(&mut self, text: &Text, tone: Tone) -> Result<(), Failed> {
        let kind = match tone {
            Tone::Info => "info",
            Tone::Error => "error",
        };
        self.shown.push((kind, text.to_string()));
        // Nobody may depend on it.
        Err(Failed::NoConversation)
    }

    fn log(&self, level: Level, line: &str) {
        self.log.borrow_mut().push((level, line.to_owned()));
    }
}

/// The daemon's end of a connection.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) stream: UnixStream,
    incoming: Incoming<ToDaemon>,
}

impl Daemon {
    /// The next message; `None` once the module has hung up.
    pub(crate) fn hear(&mut self) -> Option<ToDaemon> {
        match self.incoming.receive_from(&mut self.stream) {
            // What was said to it was not all read before.
            Err(ReceiveError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => None,
            heard => heard.unwrap(),
        }
    }

    /// What was answered.
    pub(crate) fn answer(&mut self) -> String {
        match self.hear() {
            Some(ToDaemon::Answer(typed)) => typed.expose().to_owned(),
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// Says it, even if nobody listens any more.
    pub(crate) fn say(&mut self, message: &ToModule) {
        self.send(message.encode().unwrap().expose());
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn prompt(&mut self, text: &str) {
        self.say(&ToModule::Prompt {
            text: Text::clean(text),
            echo: Echo::On,
        });
    }

    pub(crate) fn done(&mut self, verdict: Verdict, text: &str) {
        self.say(&ToModule::Done {
            verdict,
            text: Text::clean(text),
            reference: Line::clean("K7QF2M"),
        });
    }
}

/// Both ends of a connection.
pub(crate) fn connection() -> (Socket, Daemon) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let daemon = Daemon {
        stream: theirs,
        incoming: Incoming::default(),
    };
    (ours.into(), daemon)
}

/// A host with a daemon behind its socket, or none.
struct Host {
    socket: RefCell<Option<Socket>>,
}

impl Place for Host {
    type Stream = Socket;

    fn connect(&self, _: &Arguments) -> Result<Socket, Trouble> {
        let none = || Trouble::Away(io::Error::from(io::ErrorKind::NotFound).to_string());
        self.socket.take().ok_or_else(none)
    }

    fn monitor(&self, caller: Caller) -> Result<Process, Trouble> {
        Ok(match caller {
            Caller::Sshd => process(20),
            Caller::Other => process(21),
        })
    }

    fn audit_session(&self) -> Option<u32> {
        Some(7)
    }
}

pub(crate) fn process(pid: u32) -> Process {
    let start_time = 100;
    Process { pid, start_time }
}

/// Runs a hook beside a daemon that opens with nothing, hears what the hook says first, and goes on as
/// `script` does. Returns what the hook returned.
pub(crate) fn hook_with_daemon(
    hook: Hook,
    pam: &mut FakePam,
    script: impl FnOnce(&mut Daemon, ToDaemon) + Send,
) -> Code {
    let (socket, mut daemon) = connection();
    let host = Host {
        socket: RefCell::new(Some(socket)),
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            let opening = daemon.hear().expect("something is said first");
            script(&mut daemon, opening);
        });
        run(hook, pam, &host, &[b"timeout=1".to_vec()])
    })
}

/// Runs a hook beside a daemon to which nothing is said.
pub(crate) fn hook_with_silent_daemon(hook: Hook, pam: &mut FakePam) -> Code {
    let (socket, mut daemon) = connection();
    let host = Host {
        socket: RefCell::new(Some(socket)),
    };
    let code = run(hook, pam, &host, &[]);
    assert_eq!(daemon.hear(), None);
    code
}

/// Runs a hook where there is no daemon.
pub(crate) fn hook_alone(hook: Hook, pam: &mut FakePam, words: &[&str]) -> Code {
    let host = Host {
        socket: RefCell::new(None),
    };
    let words: Vec<Vec<u8>> = words.iter().map(|word| (*word).into()).collect();
    run(hook, pam, &host, &words)
}

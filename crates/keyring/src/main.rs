//! Speaks with the keyring of the operating system: one request, one reply, and the end.
//!
//! Programs that sign people in start this one and end it when it takes too long. That is why it is a
//! program: keyrings are reached over buses that hang, by libraries that start threads and register
//! signal handlers, and a process is the one thing that can always be ended. Request and reply are JSON
//! through pipes (`countersign_store::wire`); nothing secret stands in an argument or a variable.
//!
//! Not responsible for what is kept, nor for what to do when it cannot be.

mod backend;
#[cfg(all(unix, not(target_os = "macos")))]
mod bus;
#[cfg(any(target_os = "macos", windows, test))]
mod native;
mod pieces;
mod serve;

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use backend::Backend;
use countersign_store::wire::{self, Reply, Request, Trouble, Unlock};

/// How long to wait for a request. Whoever starts this program has it ready.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// No request keeps this program alive for longer.
const LONGEST: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] if !io::stdin().is_terminal() => {}
        [only] if only == "--version" => {
            let version = env!("CARGO_PKG_VERSION");
            let said = writeln!(io::stdout(), "countersign-keyring {version}");
            return said.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        _ => {
            let _ = writeln!(
                io::stderr(),
                "countersign-keyring is started by countersign, and answers on its standard output"
            );
            return ExitCode::from(2);
        }
    }
    no_core_dump();
    match exchange() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever started this finds no reply, and says so.
        Err(_) => ExitCode::FAILURE,
    }
}

fn exchange() -> io::Result<()> {
    end_after(REQUEST_LIMIT);
    let mut bytes = Vec::new();
    io::stdin().take(wire::MAX_BYTES).read_to_end(&mut bytes)?;
    let request = countersign_store::SecretBytes::new(bytes);
    let request: Request = serde_json::from_slice(request.expose())?;
    end_after(Duration::from_millis(request.limit_ms).min(LONGEST));
    let reply = if request.version == wire::VERSION {
        serve::reply(&request, || open(&request.application, request.unlock))
    } else {
        Reply {
            version: wire::VERSION,
            outcomes: Vec::new(),
        }
    };
    let reply = countersign_store::SecretBytes::new(serde_json::to_vec(&reply)?);
    let mut out = io::stdout().lock();
    out.write_all(reply.expose())?;
    out.flush()
}

/// Ends this process after `limit`, should the one that started it be gone by then.
fn end_after(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        std::process::exit(1);
    });
}

/// Secrets pass through here, and a crash must not write them to a disk. The limit alone would not do on
/// Linux: where a program collects core dumps, it is that program's choice to heed it.
fn no_core_dump() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = setrlimit(Resource::Core, none);
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
fn open(application: &str, unlock: Unlock) -> Result<Box<dyn Backend>, Trouble> {
    bus::open(application, unlock).map(|opened| Box::new(opened) as _)
}

#[cfg(any(target_os = "macos", windows))]
fn open(application: &str, _unlock: Unlock) -> Result<Box<dyn Backend>, Trouble> {
    native::open(application).map(|opened| Box::new(opened) as _)
}

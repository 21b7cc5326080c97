//! The supervisor put together: configuration, worker, sessions, socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use countersign_client::{Clock, SystemClock};
use countersign_console::Problem;
use listenfd::ListenFd;
use nix::sys::signal::{SigSet, Signal};

use crate::audit::Audit;
use crate::config::{self, Config, USUAL_FILE};
use crate::desk::Desk;
use crate::door::Door;
use crate::journal::Journal;
use crate::live::Live;
use crate::notify::Notifying;
use crate::renew::WorkerRenewer;
use crate::revoke::Revocations;
use crate::server::{self, Origin, USUAL_SOCKET};
use crate::session::control::Control;
use crate::session::{Elsewhere, Kill, OnRevoke, Settings, Watch, Watching};
use crate::workers::Workers;
use crate::{Event, Outcome, Renewer, Sessions};

/// Where the daemon keeps what it knows of sessions.
pub const USUAL_STATE: &str = "/run/countersign/sessions";
/// Where administrators ask it.
pub const USUAL_CONTROL: &str = "/run/countersign/control.sock";

/// How the daemon runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration.
    pub config: PathBuf,
    /// The socket of the module, unless the service manager hands one over.
    pub socket: PathBuf,
    /// What survives a restart.
    pub state: PathBuf,
    /// The socket of administrators.
    pub control: PathBuf,
    /// How long a daemon that the service manager has started stays without anything to do.
    pub idle: Duration,
    /// How long the network worker stays without anything to do.
    pub rest: Duration,
    /// Whether events go to standard error.
    pub log_stderr: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: USUAL_FILE.into(),
            socket: USUAL_SOCKET.into(),
            state: USUAL_STATE.into(),
            control: USUAL_CONTROL.into(),
            idle: Duration::from_secs(10 * 60),
            rest: Duration::from_secs(2 * 60),
            log_stderr: false,
        }
    }
}

/// Runs the daemon.
///
/// # Errors
/// A [`Problem`] when it cannot begin, or cannot go on.
pub fn run(options: &Options) -> Result<(), Problem> {
    // A core would hold tokens, and nobody may look into this process.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // Before there is another thread, so that none is ended by it.
    let hangup = block_hangup()?;
    let journal: Arc<dyn Audit> = Arc::new(if options.log_stderr {
        Journal::on_stderr()
    } else {
        Journal::of_this_host()
    });
    let live = Arc::new(Live::read(&options.config, Arc::clone(&journal))?);
    let config = live.current();
    let audit: Arc<dyn Audit> = Arc::new(Notifying::new(Arc::clone(&journal), Arc::clone(&live)));
    let (listener, origin) = match ListenFd::from_env().take_unix_listener(0) {
        Ok(Some(listener)) => (listener, Origin::Activated),
        Ok(None) => (server::bind(&options.socket)?, Origin::Own),
        Err(error) => {
            return Err(
                Problem::new("the service manager handed over no listening socket")
                    .because(error)
                    .hint("systemctl cat countersign-pamd.socket"),
            );
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let workers = Arc::new(Workers::new(Arc::clone(&clock), Arc::clone(&audit)));
    let revocations =
        Revocations::start(Arc::clone(&live), Arc::clone(&workers), Arc::clone(&audit));
    let revocations = revocations
        .map_err(|error| Problem::new("no thread can be started").because(error))
        .map(Arc::new)?;
    let renewer: Arc<dyn Renewer> = Arc::new(WorkerRenewer {
        live: Arc::clone(&live),
        workers: Arc::clone(&workers),
        clock: Arc::clone(&clock),
        revocations: Arc::clone(&revocations),
    });
    let watch = Watch::start(Watching {
        settings: settings(&config),
        directory: options.state.clone(),
        renewer,
        audit: Arc::clone(&audit),
    });
    let watch =
        Arc::new(watch.map_err(|error| Problem::new("sessions cannot be watched").because(error))?);
    let theirs = Arc::clone(&watch);
    live.listen(move |config| theirs.apply(settings(config)));
    // What was decided while no daemon watched counts as much as what is decided from now on.
    watch.apply(settings(&live.current()));
    let again = Arc::clone(&live);
    let reload = Box::new(move || again.reload().map_err(|problem| problem.line()));
    let control = Control::listen(&options.control, Arc::clone(&watch), reload);
    let control = control.map_err(|error| {
        let shown = options.control.display();
        Problem::new(format!("the socket {shown} cannot be made")).because(error)
    })?;
    let again = Arc::clone(&live);
    reload_on_hangup(hangup, again)
        .map_err(|error| Problem::new("no thread can be started").because(error))?;
    for warning in config.warnings() {
        audit.write(&Event::new("configuration", Outcome::Noted, warning));
    }
    // The first login finds it awake, and the server's metadata and keys at hand. One that cannot be
    // started says so in the journal, and again at each login.
    let _ = workers.worker(&config.provider);
    let sessions: Arc<dyn Sessions> = watch;
    let desk = Arc::new(Desk {
        live,
        workers,
        sessions,
        audit,
        clock,
        door: Door::default(),
        revocations,
    });
    let ended = server::serve(&listener, &origin, options.idle, options.rest, &desk);
    drop(control);
    ended
}

/// Keeps SIGHUP for whoever waits for it. Programs that are started from here do not hear it either.
fn block_hangup() -> Result<SigSet, Problem> {
    let mut hangup = SigSet::empty();
    hangup.add(Signal::SIGHUP);
    hangup
        .thread_block()
        .map_err(|error| Problem::new("signals cannot be blocked").because(error))?;
    Ok(hangup)
}

/// SIGHUP means what `countersign-pamd reload` does; the journal says what came of it.
fn reload_on_hangup(hangup: SigSet, live: Arc<Live>) -> io::Result<()> {
    let thread = thread::Builder::new().name("reload".to_owned());
    let wait = move || {
        while hangup.wait().is_ok() {
            let _ = live.reload();
        }
    };
    thread.spawn(wait).map(drop)
}

fn settings(config: &Config) -> Settings {
    let keys = &config.sessions;
    let rules = config.rules.iter();
    Settings {
        max_session: rules
            .map(|rule| (rule.name().to_owned(), rule.max_session()))
            .collect(),
        on_revoke: match keys.on_revoke {
            config::OnRevoke::Terminate => OnRevoke::Terminate,
            config::OnRevoke::Warn => OnRevoke::Warn,
        },
        offline_grace: keys.offline_grace,
        renew_every: keys.renew_every,
        warning: keys.warning,
        kill: match keys.kill {
            config::KillBy::Auto => Kill::Auto,
            config::KillBy::Logind => Kill::Logind,
            config::KillBy::Sessionid => Kill::Sessionid,
        },
        elsewhere: if keys.pubkey_needs_grant {
            Elsewhere::NeedsGrant {
                except: keys.break_glass.clone(),
            }
        } else {
            Elsewhere::Pass
        },
    }
}

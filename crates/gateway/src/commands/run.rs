//! `run`: serves until it is told to end, and reads the configuration again when it changes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use countersign_gateway::{Config, Gateway, Problem};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::{print, tell};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(file: &Path) -> Result<ExitCode, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::no_runtime(&error))?;
    runtime.block_on(serve(file))
}

async fn serve(file: &Path) -> Result<ExitCode, Problem> {
    // Heard from here on, so that no start is half undone.
    let mut ending = [SignalKind::terminate(), SignalKind::interrupt()].map(hear);
    let mut hangup = hear(SignalKind::hangup())?;
    let [terminate, interrupt] = &mut ending;
    let config = Config::load(file)?;
    let mut watched = Watched::new(file, &config);
    for warning in config.warnings() {
        tell(&format!("warning: {warning}"));
    }
    let gateway = Gateway::start(config, tell)?;
    for address in gateway.addresses() {
        print(&format!("listening={address}\n"));
    }
    for address in gateway.forward_auth_addresses() {
        print(&format!("forward_auth={address}\n"));
    }
    if let Some(address) = gateway.admin_address() {
        print(&format!("admin={address}\n"));
    }
    let (terminate, interrupt) = (as_mut(terminate)?, as_mut(interrupt)?);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                gateway.reopen_logs();
                reload(&gateway, file, &mut watched);
            }
            _ = looks.tick() => {
                if watched.has_changed() {
                    reload(&gateway, file, &mut watched);
                }
            }
        }
    }
    tell("ending: running requests may finish");
    gateway.stop();
    Ok(ExitCode::SUCCESS)
}

fn hear(kind: SignalKind) -> Result<Signal, Problem> {
    signal(kind).map_err(|error| Problem::new("signals cannot be heard").because(error))
}

fn as_mut(signal: &mut Result<Signal, Problem>) -> Result<&mut Signal, Problem> {
    signal.as_mut().map_err(|problem| problem.clone())
}

fn reload(gateway: &Gateway, file: &Path, watched: &mut Watched) {
    watched.note();
    let outcome = Config::load(file).and_then(|config| {
        let next = Watched::new(file, &config);
        let warnings = config.warnings().to_vec();
        gateway.reload(config)?;
        Ok((next, warnings))
    });
    match outcome {
        Ok((next, warnings)) => {
            *watched = next;
            for warning in warnings {
                tell(&format!("warning: {warning}"));
            }
            tell(&format!("reloaded {}", file.display()));
        }
        Err(problem) => {
            tell(problem.to_string().trim_end());
            tell("NOT RELOADED: the configuration from before stays in use");
        }
    }
}

/// The files that a configuration is made of, as they were when it was read.
struct Watched {
    files: Vec<(PathBuf, Stamp)>,
}

/// What changes when a file does. A link that is turned to another file counts as well.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl Watched {
    fn new(file: &Path, config: &Config) -> Self {
        let mut paths = vec![file.to_owned()];
        paths.extend(config.files().map(Path::to_owned));
        Self {
            files: paths
                .into_iter()
                .map(|path| {
                    let stamp = stamp(&path);
                    (path, stamp)
                })
                .collect(),
        }
    }

    fn has_changed(&self) -> bool {
        self.files.iter().any(|(path, seen)| stamp(path) != *seen)
    }

    /// A file that cannot be used is complained about once.
    fn note(&mut self) {
        for (path, seen) in &mut self.files {
            *seen = stamp(path);
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = std::fs::metadata(path).ok();
    Stamp(
        metadata
            .and_then(|metadata| Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))),
    )
}

//! `credHelpers` in docker's `config.json`, and the link by which docker finds this program.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Direction, Naming, Plan, foreign, meant, this_program};
use crate::app::App;
use crate::args::InstallDocker;
use crate::config_edit::replace;
use crate::error::CliError;
use crate::json_members::Members;

const LINK: &str = "docker-credential-countersign";
/// The value that leads docker to the link.
const OURS: &str = "\"countersign\"";
/// A configuration file far beyond any that was ever written.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

pub(super) fn run(app: &App, to: Direction, args: &InstallDocker) -> Result<(), CliError> {
    if app
        .settings
        .account
        .as_ref()
        .is_some_and(|account| account.origin.is_typed())
    {
        return Err(
            CliError::usage("docker cannot be told which account to use")
                .why("it starts its helper by name, without arguments")
                .hint("let the registry belong to a profile of that account alone"),
        );
    }
    let hosts = meant(app, &args.hosts, "docker", |layer| layer.docker.as_ref())?;
    let file = config_file()?;
    let mut all = read(&file)?;
    let mut helpers = match all.get("credHelpers") {
        None => Members::default(),
        Some(text) => Members::parse(text).map_err(|_| strange(&file))?,
    };
    let mut plan = Plan::default();
    let shown = file.display();
    for host in hosts.iter().map(ToString::to_string) {
        match (to, helpers.get(&host)) {
            (Direction::Install, Some(OURS)) | (Direction::Uninstall, None) => {}
            (_, Some(other)) if other != OURS => {
                let other = countersign_client::printable(other);
                return Err(foreign(format!("docker has another helper for {host}"))
                    .why(format!("{shown}: credHelpers: \"{host}\": {other}"))
                    .hint("take that line out first"));
            }
            (Direction::Install, _) => {
                helpers.set(&host, OURS.to_owned());
                plan.add(format!("{shown}: + credHelpers: \"{host}\": {OURS}"));
            }
            (Direction::Uninstall, _) => {
                helpers.remove(&host);
                plan.add(format!("{shown}: - credHelpers: \"{host}\": {OURS}"));
            }
        }
    }
    let write = !plan.0.is_empty();
    let link = link(to, args, &helpers, &mut plan)?;
    let naming = Naming::plan(
        app,
        to,
        "docker",
        |layer| layer.docker.as_ref(),
        &args.hosts,
        &mut plan,
    )?;
    if !plan.tell(app, args.print)? {
        return Ok(());
    }
    naming.apply(app)?;
    let not_written = |path: &Path, error: &std::io::Error| {
        CliError::configuration(format!("cannot write {}", path.display())).why(error.to_string())
    };
    if let Some((link, target)) = link {
        let done = match to {
            Direction::Install => symlink(&target, &link),
            Direction::Uninstall => fs::remove_file(&link),
        };
        done.map_err(|error| not_written(&link, &error))?;
    }
    if write {
        if helpers.is_empty() {
            all.remove("credHelpers");
        } else {
            all.set("credHelpers", helpers.render(1));
        }
        let text = format!("{}\n", all.render(0));
        replace(&file, &text, 0o600).map_err(|error| not_written(&file, &error))?;
    }
    Ok(())
}

fn config_file() -> Result<PathBuf, CliError> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let directory = set("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".docker")));
    let directory = directory.ok_or_else(|| {
        CliError::configuration("where docker's configuration is cannot be told").hint("set HOME")
    })?;
    Ok(directory.join("config.json"))
}

fn read(file: &Path) -> Result<Members, CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::configuration(format!("cannot read {}", file.display())).why(error.to_string())
    };
    match fs::metadata(file) {
        Ok(metadata) if metadata.len() > MAX_BYTES || !metadata.is_file() => {
            return Err(strange(file));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Members::default()),
        Err(error) => return Err(unreadable(error)),
    }
    let text = fs::read_to_string(file).map_err(unreadable)?;
    Members::parse(&text).map_err(|_| strange(file))
}

/// What stands in it is not repeated: there may be passwords.
fn strange(file: &Path) -> CliError {
    foreign(format!("{} is not as docker writes it", file.display()))
        .hint("see that it is one JSON object without double names")
}

/// The link to be made or removed, and where it leads.
fn link(
    to: Direction,
    args: &InstallDocker,
    helpers: &Members,
    plan: &mut Plan,
) -> Result<Option<(PathBuf, PathBuf)>, CliError> {
    let target = this_program()?;
    let there = found(args.bin_dir.as_deref(), &target)?;
    match (to, there) {
        (Direction::Install, None) => {
            let directory = match &args.bin_dir {
                Some(directory) => std::path::absolute(directory).map_err(|error| {
                    CliError::usage("--bin-dir is not a path").why(error.to_string())
                })?,
                None => place(&target)?,
            };
            let link = directory.join(LINK);
            if fs::symlink_metadata(&link).is_ok() {
                return Err(foreign(format!("{} is something else", link.display()))
                    .hint("name another directory with --bin-dir"));
            }
            plan.add(format!("+ {} -> {}", link.display(), target.display()));
            Ok(Some((link, target)))
        }
        // Other registries may need it.
        (Direction::Uninstall, Some(link)) if !helpers.values().any(|value| value == OURS) => {
            plan.add(format!("- {}", link.display()));
            Ok(Some((link, target)))
        }
        (Direction::Install, Some(_)) | (Direction::Uninstall, _) => Ok(None),
    }
}

/// The link that there is already, in the directory that was named or on the `PATH`.
fn found(named: Option<&Path>, target: &Path) -> Result<Option<PathBuf>, CliError> {
    let directories: Vec<PathBuf> = match named {
        Some(directory) => vec![directory.to_owned()],
        None => env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect(),
    };
    let real = target.canonicalize().ok();
    for link in directories.iter().map(|directory| directory.join(LINK)) {
        if fs::symlink_metadata(&link).is_err() {
            continue;
        }
        let leads_here = fs::read_link(&link).is_ok() && link.canonicalize().ok() == real;
        if leads_here {
            return Ok(Some(link));
        }
        return Err(foreign(format!("{} is something else", link.display()))
            .why("docker would run that")
            .hint(
                "remove it, or install to a directory that is earlier on the PATH with --bin-dir",
            ));
    }
    Ok(None)
}

/// A directory on the `PATH` that is the person's own, else the one where this program is.
fn place(target: &Path) -> Result<PathBuf, CliError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = |directory: &Path| env::split_paths(&path).any(|other| other == directory);
    let home = env::var_os("HOME").map(PathBuf::from);
    let own = home.map(|home| [home.join(".local/bin"), home.join("bin")]);
    let beside = target.parent().map(Path::to_owned);
    own.into_iter()
        .flatten()
        .chain(beside)
        .find(|directory| directory.is_dir() && on_path(directory))
        .ok_or_else(|| {
            CliError::configuration("there is no directory for the link that docker looks for")
                .why("neither ~/.local/bin nor ~/bin is there and on the PATH")
                .hint("name one with --bin-dir")
        })
}

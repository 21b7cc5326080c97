//! `countersign credential install` and `uninstall`: the configuration of other programs.
//!
//! What is there already is left as it is; what cannot be understood, or is somebody else's, is refused
//! with what to type instead. Doing it twice changes nothing. No secret is written anywhere: what is
//! written is a command that gives one.

mod aws;
mod docker;
mod git;
mod kubernetes;

use std::env;
use std::path::{Path, PathBuf};

use countersign_client::{ExitCategory, SessionName, printable};

use crate::app::App;
use crate::args::InstallProgram;
use crate::config_edit::ConfigEdit;
use crate::error::CliError;
use crate::hosts::{self, Host, Hosts};
use crate::layer::Layer;
use crate::output::{self, shell_word};
use crate::settings::Origin;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Install,
    Uninstall,
}

pub(crate) fn run(app: &App, to: Direction, program: &InstallProgram) -> Result<(), CliError> {
    match program {
        InstallProgram::Git(args) => git::run(app, to, &args.own),
        InstallProgram::Docker(args) => docker::run(app, to, &args.own),
        InstallProgram::Aws(args) => aws::run(app, to, &args.own),
        InstallProgram::Kubernetes(args) => kubernetes::run(app, to, &args.own),
    }
}

/// What is about to be done, told before it is.
#[derive(Debug, Default)]
struct Plan(Vec<String>);

impl Plan {
    fn add(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }

    /// Tells it; whether there is anything to do, and it is to be done.
    fn tell(&self, app: &App, print_only: bool) -> Result<bool, CliError> {
        if self.0.is_empty() {
            app.voice.say("Nothing to change.");
            return Ok(false);
        }
        let mut text = String::new();
        for line in &self.0 {
            text.push_str(&printable(line));
            text.push('\n');
        }
        // What would be done is the artefact; what is done is a message.
        if print_only {
            output::artefact(&text)?;
        } else {
            app.voice.say(text.trim_end());
        }
        Ok(!print_only)
    }
}

/// The profile whose configuration is written.
fn profile(app: &App) -> Result<&str, CliError> {
    app.settings.require_issuer(&app.config)?;
    app.settings.profile_name().ok_or_else(|| {
        CliError::usage("there is no profile to install for").hint("countersign profile add NAME …")
    })
}

/// The account whose token is given, if one was named on the command line or by the directory, in which the
/// other program will not be. What is written for another
/// program stands for itself there, whatever reads it: a shell, an INI file, YAML.
fn account(app: &App) -> Result<Option<&str>, CliError> {
    let here = |origin: &Origin| origin.is_typed() || matches!(origin, Origin::Directory(_));
    let named = app.settings.account.as_ref();
    let Some(account) = named.filter(|account| here(&account.origin)) else {
        return Ok(None);
    };
    let name = account.value.as_str();
    match SessionName::new(&name.to_ascii_lowercase()) {
        Ok(_) => Ok(Some(name)),
        Err(error) => {
            let what = format!("an account cannot be called {}", shell_word(name));
            Err(CliError::usage(what).why(error.to_string()))
        }
    }
}

/// The hosts meant: those given, else those of the profile.
fn meant(app: &App, given: &[Host], program: &str, of: Of) -> Result<Vec<Host>, CliError> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let named = hosts::named(&app.config, app.settings.profile_name(), of);
    named.map(|named| named.hosts).ok_or_else(|| {
        CliError::usage("there is no host to install for")
            .why(format!("the profile names none under `{program}`"))
            .hint(app.command(&format!("credential install {program} HOST")))
    })
}

type Of = fn(&Layer) -> Option<&Hosts>;

/// Lets the person's file name these hosts for the profile, or no longer.
struct Naming<'a> {
    profile: &'a str,
    program: &'static str,
    hosts: Hosts,
    changes: bool,
}

impl<'a> Naming<'a> {
    fn plan(
        app: &'a App,
        to: Direction,
        program: &'static str,
        of: Of,
        meant: &[Host],
        plan: &mut Plan,
    ) -> Result<Self, CliError> {
        let profile = profile(app)?;
        let mut hosts = hosts::named(&app.config, Some(profile), of).unwrap_or_default();
        let mut changes = false;
        let file = app.config.user_path.display();
        for host in meant {
            let known = hosts.hosts.contains(host);
            match to {
                Direction::Install if !known => hosts.hosts.push(host.clone()),
                Direction::Uninstall if known => hosts.hosts.retain(|other| other != host),
                _ => continue,
            }
            changes = true;
            let sign = if to == Direction::Install { '+' } else { '-' };
            plan.add(format!(
                "{file}: {sign} {host} (profile.{profile}.{program}.hosts)"
            ));
        }
        Ok(Self {
            profile,
            program,
            hosts,
            changes,
        })
    }

    fn apply(&self, app: &App) -> Result<(), CliError> {
        if !self.changes {
            return Ok(());
        }
        let mut edit = ConfigEdit::open(&app.config)?;
        edit.set_hosts(self.profile, self.program, &self.hosts)?;
        edit.save()
    }
}

/// Where this program is: by its name where that leads to it, so that an update of it is found.
fn this_program() -> Result<PathBuf, CliError> {
    let real = env::current_exe().map_err(|error| {
        CliError::new(
            ExitCategory::Failure,
            "no_program",
            "where this program is cannot be told",
        )
        .why(error.to_string())
    })?;
    Ok(on_path("countersign", &real).unwrap_or(real))
}

/// The first file of this name on the `PATH`, if it is `real`.
fn on_path(name: &str, real: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let first = env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())?;
    let same = first.canonicalize().ok()? == real.canonicalize().ok()?;
    same.then_some(first)
}

/// The word that other programs start this one by: its name where the `PATH` leads here.
fn word() -> Result<String, CliError> {
    let program = this_program()?;
    let real = env::current_exe().unwrap_or_else(|_| program.clone());
    if on_path("countersign", &real).is_some() {
        return Ok("countersign".to_owned());
    }
    program.into_os_string().into_string().map_err(|_| {
        CliError::configuration("the path of this program is not text")
            .hint("put countersign into a directory on the PATH")
    })
}

/// Something there that is not ours.
fn foreign(what: impl Into<String>) -> CliError {
    CliError::new(ExitCategory::Configuration, "not_ours", what)
}

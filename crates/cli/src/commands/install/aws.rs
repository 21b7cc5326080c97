//! A profile in `~/.aws/config` with a `credential_process`. A section is added and removed as a whole;
//! one that says anything else is the person's.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Direction, Plan, account, foreign, profile, word};
use crate::app::App;
use crate::args::InstallAws;
use crate::aws::AwsSettings;
use crate::config_edit::replace;
use crate::error::CliError;
use crate::ini_sections::{self, Found};
use crate::output::shell_word;

pub(super) fn run(app: &App, to: Direction, args: &InstallAws) -> Result<(), CliError> {
    let file = config_file()?;
    let text = read(&file)?;
    let name = &args.aws_profile;
    let header = match name.as_str() {
        "default" => "default".to_owned(),
        name => format!("profile {name}"),
    };
    let there = match ini_sections::find(&text, &header) {
        Found::Twice => {
            return Err(foreign(format!("{} has [{header}] twice", file.display())));
        }
        Found::Nothing => None,
        Found::Lines(lines) => Some(lines),
    };
    let (mut plan, shown) = (Plan::default(), file.display());
    let changed = match (to, there) {
        (Direction::Install, there) => {
            let lines = lines(app, args)?;
            match there {
                None => {
                    plan.add(format!("{shown}: + [{header}]"));
                    for line in &lines {
                        plan.add(format!("{shown}: + {line}"));
                    }
                    ini_sections::with(&text, &header, &lines)
                }
                Some(there) if there == lines => text.clone(),
                Some(_) => {
                    let process = lines.first().cloned().unwrap_or_default();
                    return Err(foreign(format!("{shown} has a profile {name} already"))
                        .hint(format!("write into it: {process}"))
                        .hint("or give another name with --aws-profile"));
                }
            }
        }
        (Direction::Uninstall, None) => text.clone(),
        (Direction::Uninstall, Some(there)) => {
            if !is_ours(&there) {
                return Err(foreign(format!(
                    "the profile {name} in {shown} has more than what is ours"
                ))
                .hint("take the line with credential_process out of it"));
            }
            plan.add(format!("{shown}: - [{header}]"));
            for line in there {
                plan.add(format!("{shown}: - {line}"));
            }
            ini_sections::without(&text, &header)
        }
    };
    if !plan.tell(app, args.print)? {
        return Ok(());
    }
    replace(&file, &changed, 0o600).map_err(|error| {
        CliError::configuration(format!("cannot write {shown}")).why(error.to_string())
    })
}

/// What the section says.
fn lines(app: &App, args: &InstallAws) -> Result<Vec<String>, CliError> {
    let profile = profile(app)?;
    let settings = AwsSettings {
        role_arn: args.role_arn.clone(),
        region: args.region.clone(),
        ..AwsSettings::default()
    };
    let own = app.settings.aws.as_ref();
    let own = own.map(|setting| setting.value.clone()).unwrap_or_default();
    // A mistake in the role is better told now.
    let all = settings.clone().or(own);
    let role = all.role()?;
    all.endpoint(&role)?;
    let program = word()?;
    let account = account(app)?.map_or_else(String::new, |name| format!(" --account {name}"));
    let mut process = format!(
        "{} -p {profile}{account} credential aws",
        shell_word(&program)
    );
    if let Some(role) = &settings.role_arn {
        let _ = write!(process, " --role-arn {role}");
    }
    if let Some(region) = &settings.region {
        let _ = write!(process, " --region {region}");
    }
    let mut lines = vec![format!("credential_process = {process}")];
    lines.extend(all.region.map(|region| format!("region = {region}")));
    Ok(lines)
}

/// Whether a section says only what `install` writes, for whichever profile and role.
fn is_ours(lines: &[&str]) -> bool {
    let (mut processes, mut others) = (0, 0);
    for line in lines {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        match key.trim() {
            "credential_process" if value.contains(" credential aws") => processes += 1,
            "region" => {}
            _ => others += 1,
        }
    }
    (processes, others) == (1, 0)
}

fn config_file() -> Result<PathBuf, CliError> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    set("AWS_CONFIG_FILE")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".aws/config")))
        .ok_or_else(|| {
            CliError::configuration("where the configuration of AWS is cannot be told")
                .hint("set HOME")
        })
}

fn read(file: &Path) -> Result<String, CliError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(
            CliError::configuration(format!("cannot read {}", file.display()))
                .why(error.to_string()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_install_writes_is_ours() {
        let process = "credential_process = countersign -p work credential aws";
        assert!(is_ours(&[process]));
        assert!(is_ours(&[process, "region = eu-central-1"]));
        for lines in [
            &[][..],
            &["region = a"],
            &[process, "output = json"],
            &["credential_process = other"],
            &[process, process],
        ] {
            assert!(!is_ours(lines), "{lines:?}");
        }
    }
}

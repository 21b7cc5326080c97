//! `countersign-issuer yubikey …`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use countersign_console::Problem;
use countersign_otp::yubico::{KeyFile, MAX_KEY_FILE};
use zeroize::Zeroizing;

use super::{factor_administration, now, print, tell};

/// The name that means standard input.
const STDIN: &str = "-";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import programmed keys from a file in Yubico's CSV form (`-` for standard
    /// input); their owners then claim them on their pages by touching them
    Import {
        file: PathBuf,
        /// Let this person alone claim them
        #[arg(long = "for", value_name = "USERNAME")]
        reserved_for: Option<String>,
    },
    /// List all keys: public id, state (enrolled, reserved, free), user name
    List,
    /// Remove a key, also from whoever signs in with it
    #[command(visible_alias = "rm")]
    Remove { public_id: String },
}

pub(crate) async fn run(command: Command, directory: &Path) -> Result<(), Problem> {
    match command {
        Command::Import { file, reserved_for } => {
            import(&file, reserved_for.as_deref(), directory).await
        }
        Command::List => {
            for key in factor_administration(directory)?.keys_in_stock()? {
                let state = match (&key.username, key.is_enrolled) {
                    (_, true) => "enrolled",
                    (Some(_), false) => "reserved",
                    (None, false) => "free",
                };
                let username = key.username.unwrap_or_else(|| "-".to_owned());
                print(format!("{}\t{state}\t{username}", key.public_id))?;
            }
            Ok(())
        }
        Command::Remove { public_id } => {
            if !factor_administration(directory)?
                .remove_key(&public_id)
                .await?
            {
                return Err(Problem::new("there is no such key")
                    .hint("see what there is: countersign-issuer yubikey list"));
            }
            tell(format!("the key {} is removed", public_id.to_lowercase()));
            Ok(())
        }
    }
}

async fn import(file: &Path, reserved_for: Option<&str>, directory: &Path) -> Result<(), Problem> {
    let name = if file.as_os_str() == STDIN {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    };
    let text = read(file)
        .map_err(|error| Problem::new(format!("{name} cannot be read")).because(error))?;
    // It repeats nothing of what stands in the file.
    let keys = KeyFile::parse(&text).map_err(|error| {
        let problem = Problem::new(format!("{name} was not understood, nothing was imported"));
        let lines = error.to_string();
        let problem = lines.lines().fold(problem, Problem::why);
        problem.hint("export the keys in Yubico's CSV form, one to a line")
    })?;
    for skipped in keys.skipped() {
        tell(format!(
            "line {}: {}, passed over",
            skipped.line, skipped.what
        ));
    }
    let core = factor_administration(directory)?;
    let imported = core
        .import_keys(keys.into_records(), reserved_for, now())
        .await?;
    let Some(imported) = imported else {
        let username = reserved_for.unwrap_or_default();
        return Err(Problem::new(format!("there is no user {username}"))
            .hint("see who there is: countersign-issuer user list"));
    };
    tell(format!(
        "{} imported, to be claimed at /factors by {}",
        count(imported.imported),
        reserved_for.unwrap_or("whoever has them")
    ));
    if imported.in_use > 0 {
        tell(format!("{} in use, left as before", count(imported.in_use)));
    }
    tell("the file has their secrets: keep it where nobody reads it, or remove it");
    Ok(())
}

fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    // One byte more than is taken, so that a longer file is seen as such.
    let limit = MAX_KEY_FILE as u64 + 1;
    let mut text = Zeroizing::new(String::new());
    if file.as_os_str() == STDIN {
        io::stdin().lock().take(limit).read_to_string(&mut text)?;
    } else {
        File::open(file)?.take(limit).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn count(keys: usize) -> String {
    if keys == 1 {
        "1 key".to_owned()
    } else {
        format!("{keys} keys")
    }
}

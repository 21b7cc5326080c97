//! Changing the person's configuration file: everything else in it, comments included, stays.
//!
//! The new file is written beside the old one, flushed to the disk and renamed over it, so that there
//! is a whole file at every moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_client::SignIn;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};

use crate::config::Config;
use crate::error::CliError;
use crate::hosts::Hosts;
use crate::layer::Layer;

/// The person's file, open for changes.
#[derive(Debug)]
pub(crate) struct ConfigEdit {
    path: PathBuf,
    document: DocumentMut,
}

impl ConfigEdit {
    /// Reads the file again, because another process may have changed it meanwhile.
    pub(crate) fn open(config: &Config) -> Result<Self, CliError> {
        Self::at(&config.user_path)
    }

    fn at(path: &Path) -> Result<Self, CliError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => String::new(),
            Err(error) => {
                let what = format!("cannot read {}", path.display());
                return Err(CliError::configuration(what).why(error.to_string()));
            }
        };
        let document = text.parse().map_err(|error: toml_edit::TomlError| {
            CliError::configuration(format!("{} cannot be used", path.display()))
                .why(error.message().to_owned())
        })?;
        Ok(Self {
            path: path.to_owned(),
            document,
        })
    }

    /// Adds a profile, or replaces the one of that name.
    ///
    /// # Errors
    /// When a path in it is not text.
    pub(crate) fn put_profile(&mut self, name: &str, new: &Layer) -> Result<(), CliError> {
        let table = new.to_table()?;
        self.profiles()?.insert(name, Item::Table(table));
        Ok(())
    }

    /// Sets the flow of a profile and leaves the rest of it alone. A profile that only the system
    /// knows is overlaid by one in the person's file that says this and nothing else.
    pub(crate) fn set_flow(&mut self, profile: &str, flow: SignIn) -> Result<(), CliError> {
        let profiles = self.profiles()?;
        if !profiles.contains_key(profile) {
            profiles.insert(profile, Item::Table(Table::new()));
        }
        let table = profiles.get_mut(profile).and_then(Item::as_table_like_mut);
        let Some(table) = table else {
            return Err(CliError::configuration(format!(
                "`profile.{profile}` is not a table"
            )));
        };
        table.insert("flow", value(flow.as_str()));
        Ok(())
    }

    /// Sets which hosts a program may take the token of a profile to. Where they were named elsewhere as
    /// well, this one holds from now on, so it has to name them all.
    pub(crate) fn set_hosts(
        &mut self,
        profile: &str,
        program: &str,
        hosts: &Hosts,
    ) -> Result<(), CliError> {
        let profiles = self.profiles()?;
        let table = profiles
            .entry(profile)
            .or_insert_with(|| Item::Table(Table::new()))
            .as_table_like_mut()
            .ok_or_else(|| {
                CliError::configuration(format!("`profile.{profile}` is not a table"))
            })?;
        let named = table
            .entry(program)
            .or_insert_with(|| Item::Table(Table::new()))
            .as_table_like_mut()
            .ok_or_else(|| {
                CliError::configuration(format!("`profile.{profile}.{program}` is not a table"))
            })?;
        let list: Array = hosts.hosts.iter().map(ToString::to_string).collect();
        named.insert("hosts", value(list));
        if let Some(username) = hosts.given_username() {
            named.insert("username", value(username));
        }
        Ok(())
    }

    fn profiles(&mut self) -> Result<&mut dyn TableLike, CliError> {
        let profiles = self.document.entry("profile").or_insert_with(|| {
            let mut table = Table::new();
            // `[profile.work]` needs no `[profile]` above it.
            table.set_implicit(true);
            Item::Table(table)
        });
        // Such a file would not have been loaded.
        profiles
            .as_table_like_mut()
            .ok_or_else(|| CliError::configuration("`profile` is not a table"))
    }

    /// Removes a profile; returns whether there was one.
    pub(crate) fn remove_profile(&mut self, name: &str) -> bool {
        let profiles = self
            .document
            .get_mut("profile")
            .and_then(Item::as_table_like_mut);
        let removed = profiles.is_some_and(|profiles| profiles.remove(name).is_some());
        if removed && self.document.get("default_profile").and_then(Item::as_str) == Some(name) {
            self.document.remove("default_profile");
        }
        removed
    }

    /// Names the profile that is used when none is.
    pub(crate) fn set_default(&mut self, name: &str) {
        self.document.insert("default_profile", value(name));
    }

    /// Makes sure that a new profile leaves the choice as it is: the first one there is is used when
    /// none is named, and stays the one when a second comes.
    pub(crate) fn keep_choice(&mut self, before: &Config, new: &str) {
        if before
            .sources()
            .any(|source| source.file.default_profile.is_some())
        {
            return;
        }
        match before.profile_names().as_slice() {
            [] => self.set_default(new),
            [only] => self.set_default(only),
            _ => {}
        }
    }

    /// Puts the new file in the place of the old one.
    pub(crate) fn save(&self) -> Result<(), CliError> {
        replace(&self.path, &self.document.to_string(), 0o644).map_err(|error| {
            CliError::new(
                countersign_client::ExitCategory::Storage,
                "config_write",
                format!("cannot write {}", self.path.display()),
            )
            .why(error.to_string())
        })
    }
}

/// Puts `text` in the place of a file, whose mode stays; a new one gets `mode`.
pub(crate) fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    // Many keep their files elsewhere and link to them: the link stays, its target is replaced.
    let path = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let mode = fs::metadata(&path).map_or(mode, |metadata| metadata.mode() & 0o777);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let result = write_new(&temporary, text, mode).and_then(|()| fs::rename(&temporary, &path));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result?;
    File::open(directory)?.sync_all()
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    // Left behind by a process of the same number that was killed.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn new() -> Layer {
        Layer {
            issuer: Some("https://b.example".to_owned()),
            client_id: Some("cli".to_owned()),
            ..Layer::default()
        }
    }

    #[test]
    fn everything_else_in_the_file_stays_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let before =
            "# Mine.\ndefault_profile = \"a\" # for now\n\n[profile.a]\nissuer='https://a' # old\n";
        fs::write(&path, before).unwrap();
        let mut edit = ConfigEdit::at(&path).unwrap();
        edit.put_profile("b", &new()).unwrap();
        edit.save().unwrap();
        let after = fs::read_to_string(&path).unwrap();
        assert_eq!(
            after,
            format!("{before}\n[profile.b]\nissuer = \"https://b.example\"\nclient_id = \"cli\"\n")
        );
        let mut edit = ConfigEdit::at(&path).unwrap();
        assert!(edit.remove_profile("b"));
        assert!(!edit.remove_profile("b"));
        edit.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }

    #[test]
    fn what_was_written_can_be_read_by_the_reader() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/config.toml");
        let mut edit = ConfigEdit::at(&path).unwrap();
        let new = Layer {
            scope: Some(vec!["openid".to_owned(), "a\"b".to_owned()]),
            ..new()
        };
        edit.put_profile("b.c", &new).unwrap();
        edit.set_default("b.c");
        edit.save().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let file: crate::config::ConfigFile = toml::from_str(&text).unwrap();
        assert_eq!(file.default_profile.as_deref(), Some("b.c"));
        assert_eq!(file.profile["b.c"], new);
    }

    #[test]
    fn a_flow_is_set_without_touching_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        fs::write(
            &path,
            "[profile.a]\nissuer = 'https://a' # ours\nflow = 'device'\n",
        )
        .unwrap();
        let mut edit = ConfigEdit::at(&path).unwrap();
        edit.set_flow("a", SignIn::Paste).unwrap();
        edit.set_flow("company", SignIn::Browser).unwrap();
        edit.save().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "[profile.a]\nissuer = 'https://a' # ours\nflow = \"paste\"\n\n\
             [profile.company]\nflow = \"browser\"\n"
        );
    }

    #[test]
    fn a_link_stays_a_link_and_a_mode_stays_a_mode() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("dotfiles.toml");
        let link = directory.path().join("config.toml");
        fs::write(&real, "").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut edit = ConfigEdit::at(&link).unwrap();
        edit.set_default("a");
        edit.save().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_to_string(&real).unwrap(),
            "default_profile = \"a\"\n"
        );
    }

    #[test]
    fn nothing_is_left_beside_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let mut edit = ConfigEdit::at(&path).unwrap();
        edit.set_default("a");
        edit.save().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

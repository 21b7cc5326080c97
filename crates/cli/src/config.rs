//! The configuration files: finding, reading and checking them.
//!
//! `$XDG_CONFIG_HOME/countersign/config.toml` is the person's own, `/etc/countersign/config.d/*.toml`
//! is what a company ships. Both have the same shape:
//!
//! ```toml
//! default_profile = "work"
//!
//! [defaults]                  # for every profile
//! timeout = "10s"
//!
//! [profile.work]
//! issuer = "https://login.example.com"
//! client_id = "cli"
//!
//! [limits]                    # what no other file, variable or flag can widen
//! allowed_flows = ["browser", "device"]
//! ```
//!
//! Not responsible for what can be set (`layer`), for which file wins (`settings`), nor for writing
//! (`config_edit`). No secret ever stands in these files, so they may be shared.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::dirs;
use crate::error::CliError;
use crate::layer::Layer;
use crate::limits::Limits;

/// A configuration file far beyond what a person writes is not read into memory.
const MAX_BYTES: u64 = 1024 * 1024;

/// One configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The profile that is used when none is named.
    pub(crate) default_profile: Option<String>,
    /// What nobody may do, whatever is set anywhere else.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// What holds for every profile.
    #[serde(default)]
    pub(crate) defaults: Layer,
    /// The profiles by name.
    #[serde(default)]
    pub(crate) profile: BTreeMap<String, Layer>,
}

/// A configuration file and where it was.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) file: ConfigFile,
}

/// All configuration there is.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where the person's own file is, or would be.
    pub(crate) user_path: PathBuf,
    pub(crate) user: Option<Source>,
    /// What the system ships, in the order of the file names; a later file wins.
    pub(crate) system: Vec<Source>,
}

impl Config {
    /// Reads what there is. No file at all is fine.
    pub(crate) fn load() -> Result<Self, CliError> {
        let user_path = dirs::config()?.join("config.toml");
        let user = load(&user_path)?;
        let mut system = Vec::new();
        for path in system_files(&dirs::system_config())? {
            system.extend(load(&path)?);
        }
        Ok(Self {
            user_path,
            user,
            system,
        })
    }

    /// Every file, the one that wins first.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.user.iter().chain(self.system.iter().rev())
    }

    /// The names of all profiles, sorted.
    pub(crate) fn profile_names(&self) -> Vec<&str> {
        let names = self.sources().flat_map(|source| source.file.profile.keys());
        let mut names: Vec<&str> = names.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether there is a profile of this name.
    pub(crate) fn has_profile(&self, name: &str) -> bool {
        self.sources()
            .any(|source| source.file.profile.contains_key(name))
    }
}

/// The files of a drop-in directory, sorted; none when there is no directory.
fn system_files(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::configuration(format!("cannot read {}", directory.display()))
            .why(error.to_string())
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one file; `None` when there is none.
fn load(path: &Path) -> Result<Option<Source>, CliError> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        CliError::configuration(format!("cannot read {shown}")).why(error.to_string())
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    // Whoever can write this file chooses where people type their passwords.
    if metadata.mode() & 0o002 != 0 {
        let quoted = path.to_string_lossy();
        return Err(
            CliError::configuration(format!("{shown} is not safe to use"))
                .why("everybody on this computer can change it")
                .hint(format!("chmod o-w {}", crate::output::shell_word(&quoted))),
        );
    }
    // In one read, where the size is what it says.
    let size = metadata.len().min(MAX_BYTES);
    let mut text = String::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(CliError::configuration(format!("{shown} is too large"))
            .why(format!("it has more than {MAX_BYTES} bytes")));
    }
    let file = parse(&text).map_err(|mistake| {
        let at = mistake
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        let what = CliError::configuration(format!("{shown}{at} cannot be used"));
        match mistake.key {
            Some(key) => what.why(format!("{key}: {}", mistake.why)),
            None => what.why(mistake.why),
        }
    })?;
    Ok(Some(Source {
        path: path.to_owned(),
        file,
    }))
}

/// What is wrong with a file, and where. The text of the line is left out on purpose: someone may
/// have put a secret where none belongs.
#[derive(Debug)]
struct Mistake {
    /// From 1.
    line: Option<usize>,
    /// As one would write it in full: `profile.work.flow`. Not there in a text that is not TOML.
    key: Option<String>,
    why: String,
}

/// Reads the text of a file.
fn parse(text: &str) -> Result<ConfigFile, Mistake> {
    toml::from_str(text).map_err(|mut error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        // The list of all that would be known is longer than it is helpful.
        let message = error.message();
        let why = match message.split_once(", expected one of ") {
            Some((unknown, _)) if unknown.starts_with("unknown field") => unknown,
            _ => message,
        };
        let why = why.replace('\n', "; ");
        // The key is told in one way only: as the end of the text for a person, when there is no
        // input to quote from.
        error.set_input(None);
        let shown = error.to_string();
        let key = shown
            .rsplit_once("\nin `")
            .and_then(|(_, end)| end.trim_end().strip_suffix('`'));
        Mistake {
            line,
            key: key.map(str::to_owned),
            why,
        }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;
    use crate::args::When;

    /// A person's file and a system's, from their texts.
    pub(crate) fn config(user: &str, system: &[&str]) -> Config {
        let source = |path: &str, text: &str| Source {
            path: PathBuf::from(path),
            file: toml::from_str(text).unwrap(),
        };
        Config {
            user_path: PathBuf::from("/home/ada/config.toml"),
            user: Some(source("/home/ada/config.toml", user)),
            system: system
                .iter()
                .enumerate()
                .map(|(index, text)| source(&format!("/etc/{index}.toml"), text))
                .collect(),
        }
    }

    #[test]
    fn a_full_file_is_read() {
        let file = parse(
            r#"
            default_profile = "work"
            [defaults]
            timeout = "10s"
            qr = "never"
            [profile.work]
            issuer = "https://login.example.com"
            client_id = "cli"
            scope = ["openid", "offline_access"]
            min_ttl = 90
            [profile.work.param]
            tenant = "blue"
            [profile.work.endpoints]
            revocation_endpoint = "https://login.example.com/revoke"
            "#,
        )
        .unwrap();
        assert_eq!(file.default_profile.as_deref(), Some("work"));
        assert_eq!(file.defaults.timeout, Some(Duration::from_secs(10)));
        assert_eq!(file.defaults.qr, Some(When::Never));
        let work = &file.profile["work"];
        assert_eq!(work.min_ttl, Some(Duration::from_secs(90)));
        assert_eq!(work.param.as_ref().unwrap()["tenant"], "blue");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("[profile.a]\nissuer = \"x\"\nisuer = \"y\"\n", 3, "isuer"),
            ("default_profile = 3", 1, "string"),
            ("\n\n[profile.a]\ntimeout = \"soon\"", 4, "90s"),
            ("\nx x", 2, ""),
            ("[profile.a]\nqr = \"sometimes\"", 2, "auto"),
            (
                "[profile.a]\nclient_secret = \"hunter2\"",
                2,
                "client_secret",
            ),
            ("[profile.a]\nissuer='a'\nissuer='b'", 3, "duplicate"),
        ];
        for (text, line, word) in cases {
            let Mistake { line: at, why, .. } = parse(text).unwrap_err();
            assert_eq!(at, Some(line), "{text}: {why}");
            assert!(why.contains(word), "{text}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn a_value_that_is_wrong_is_named_with_its_key() {
        let cases = [
            ("[profile.a]\nflow = \"divice\"", "profile.a.flow", "device"),
            (
                "[profile.a]\nport = [6363, 99999]",
                "profile.a.port",
                "99999",
            ),
            ("[defaults]\nmax_age = \"soon\"", "defaults.max_age", "90s"),
            ("[profile.a]\ndpop = \"yes\"", "profile.a.dpop", "required"),
            (
                "[limits]\nallowed_flows = [\"auto\"]",
                "limits.allowed_flows",
                "auto",
            ),
        ];
        for (text, key, word) in cases {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.line, Some(2), "{mistake:?}");
            assert_eq!(mistake.key.as_deref(), Some(key), "{mistake:?}");
            assert!(mistake.why.contains(word), "{mistake:?}");
        }
    }

    #[test]
    fn files_of_a_directory_are_taken_in_order_and_others_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["20-b.toml", "10-a.toml", "notes.txt", "30-c.toml.bak"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let files = system_files(directory.path()).unwrap();
        let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["10-a.toml", "20-b.toml"]);
        assert!(
            system_files(&directory.path().join("missing"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_file_that_everybody_can_change_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
        let error = load(&path).unwrap_err();
        assert!(
            error
                .render(crate::output::Paint::Plain)
                .contains("chmod o-w")
        );
    }
}

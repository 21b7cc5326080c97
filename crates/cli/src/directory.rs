//! The profile of a directory: `.countersign.toml`, looked for from the working directory upwards.
//!
//! ```toml
//! profile = "staging"
//! account = "ada@example.com"   # only where there are several
//! ```
//!
//! Such a file may have come with a download. So it can choose among what the person has, and nothing
//! else: no server, no command, no path. It counts only after `countersign trust`, as long as nobody
//! changes it; before that, one line says what it wants. What is wrong with it never stops a command.
//!
//! The nearest file is the only one that is looked at, and the home directory is where the search ends:
//! there, `default_profile` says the same. A file of another user is passed over in silence, because
//! whoever can write to a directory above could bother everybody below.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_client::{Context, Directories, HttpOptions, SessionName, Trust, printable};
use rustix::fs::OFlags;
use serde::Deserialize;

use crate::dirs;
use crate::error::CliError;
use crate::given::{Globals, Overrides};
use crate::output::{Voice, shell_word};
use crate::settings;

/// What the file is called.
pub(crate) const NAME: &str = ".countersign.toml";
/// Two lines and a remark need no more.
const MAX_BYTES: u64 = 4096;
/// Of what is wrong with it, more is not told.
const LONGEST: usize = 100;
/// Further up than anybody works below their home.
const MAX_LEVELS: usize = 64;

/// What a directory says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    /// The file.
    pub(crate) path: PathBuf,
    pub(crate) profile: String,
    pub(crate) account: Option<String>,
}

/// The file's content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    profile: String,
    account: Option<String>,
}

/// A file that was found and may be ours to read.
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

/// What was found.
enum Found {
    Nothing,
    /// A file that somebody else put there.
    Foreign(PathBuf),
    /// A file that cannot be used, and why.
    Unusable(PathBuf, String),
    Candidate(Candidate),
}

/// Lets the directory say which profile is meant, where nobody says it more plainly and the person has
/// agreed to it.
pub(crate) fn look(given: &mut Overrides, globals: &Globals, voice: Voice) {
    // Without such a file there is one failed call a level; here there is none.
    if given.profile.is_some() || globals.no_directory {
        return;
    }
    let Ok(here) = env::current_dir() else {
        return;
    };
    let candidate = match search(&here, dirs::home().as_deref(), from_here) {
        Found::Nothing => return,
        Found::Foreign(path) => {
            voice.detail(1, || format!("{} is not yours; ignored", shown(&path)));
            return;
        }
        Found::Unusable(path, why) => {
            voice.say(&format!("{} is ignored: {why}", shown(&path)));
            return;
        }
        Found::Candidate(candidate) => candidate,
    };
    let path = shown(&candidate.path);
    let directory = match candidate.read() {
        Ok(directory) => directory,
        Err(why) => {
            voice.say(&format!("{path} is ignored: {why}"));
            return;
        }
    };
    match context().and_then(|context| Ok(context.trust(&candidate.path, &candidate.bytes)?)) {
        Ok(Trust::Given) => given.directory = Some(directory),
        Ok(trust) => {
            let changed = match trust {
                Trust::ToOther => " and has changed since you trusted it",
                _ => "",
            };
            let parent = candidate.path.parent().unwrap_or(Path::new("/"));
            let parent = parent.to_string_lossy();
            voice.say(&format!(
                "{path} wants {}{changed}; to let it: countersign trust {}",
                directory.wish(),
                printable(&shell_word(&parent))
            ));
        }
        Err(error) => voice.say(&format!("{path} is ignored: {}", error.summary())),
    }
}

/// Where trust is kept. Nothing is opened for it.
pub(crate) fn context() -> Result<Context, CliError> {
    let directories: Directories = dirs::state_and_cache()?;
    Ok(Context::new(directories, HttpOptions::default()))
}

/// The file that counts in `here`, which is the working directory.
///
/// # Errors
/// When there is none, or it cannot be used.
pub(crate) fn nearest(here: &Path) -> Result<Candidate, CliError> {
    usable(search(here, dirs::home().as_deref(), from_here), here)
}

/// The file in this very directory.
///
/// # Errors
/// As [`nearest`].
pub(crate) fn in_directory(directory: &Path) -> Result<Candidate, CliError> {
    let found = open(&directory.join(NAME)).unwrap_or(Found::Nothing);
    usable(found, directory)
}

fn usable(found: Found, here: &Path) -> Result<Candidate, CliError> {
    match found {
        Found::Candidate(candidate) => Ok(candidate),
        Found::Nothing => {
            let what = format!("there is no {NAME} for {}", shown(here));
            Err(CliError::configuration(what)
                .hint(format!("echo 'profile = \"NAME\"' > {NAME}"))
                .hint("countersign profile list"))
        }
        Found::Foreign(path) => {
            let what = format!("{} cannot be trusted", shown(&path));
            Err(CliError::configuration(what).why("it belongs to another user"))
        }
        Found::Unusable(path, why) => {
            let what = format!("{} cannot be trusted", shown(&path));
            Err(CliError::configuration(what).why(why))
        }
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Goes up from `here` until there is a file, or the home. Whether there is one in the directory so many
/// levels up is for `is_there` to say.
fn search(here: &Path, home: Option<&Path>, is_there: impl Fn(usize, &Path) -> bool) -> Found {
    let below_home = |directory: &&Path| Some(*directory) != home;
    let directories = here.ancestors().take_while(below_home).take(MAX_LEVELS);
    for (level, directory) in directories.enumerate() {
        if !is_there(level, directory) {
            continue;
        }
        if let Some(found) = open(&directory.join(NAME)) {
            return found;
        }
    }
    Found::Nothing
}

/// Asks by `../../…`: the system has the working directory open, and goes a short way from there. This is
/// on the path of everybody who has no such file, and costs them half of what whole paths would.
fn from_here(level: usize, _: &Path) -> bool {
    let path = format!("{}{NAME}", "../".repeat(level));
    Path::new(&path).symlink_metadata().is_ok()
}

/// Looks at one path; `None` when there is nothing.
fn open(path: &Path) -> Option<Found> {
    let unusable = |why: &str| Some(Found::Unusable(path.to_owned(), why.to_owned()));
    // A pipe must not be waited for, and a link leads to what somebody else can change.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match file {
        Ok(file) => file,
        Err(error) => return closed(path, &error),
    };
    let Ok(found) = file.metadata() else {
        return unusable("it cannot be examined");
    };
    let owner = found.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Some(Found::Foreign(path.to_owned()));
    }
    if !found.is_file() {
        return unusable("it is not a file");
    }
    if found.mode() & 0o002 != 0 {
        return unusable("everybody on this computer can change it (chmod o-w)");
    }
    match read(file) {
        Ok(bytes) if bytes.len() as u64 > MAX_BYTES => unusable("it is too large"),
        Ok(bytes) => Some(Found::Candidate(Candidate {
            path: path.to_owned(),
            bytes,
        })),
        Err(_) => unusable("it cannot be read"),
    }
}

/// What it means that a path could not be opened.
fn closed(path: &Path, error: &io::Error) -> Option<Found> {
    match error.kind() {
        // Not there, or in a directory that is closed to us: then nobody can have meant us.
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied => None,
        _ => {
            let link = path
                .symlink_metadata()
                .is_ok_and(|found| found.is_symlink());
            let why = if link {
                "it is a link"
            } else {
                "it cannot be opened"
            };
            Some(Found::Unusable(path.to_owned(), why.to_owned()))
        }
    }
}

fn read(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Candidate {
    /// What the file says, or why it cannot be used. Of its text nothing is repeated but names.
    pub(crate) fn read(&self) -> Result<Directory, String> {
        let text = std::str::from_utf8(&self.bytes).map_err(|_| "it is not text".to_owned())?;
        let content: Content = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            let why: String = error.message().chars().take(LONGEST).collect();
            format!("line {line}: {}", printable(&why.replace('\n', "; ")))
        })?;
        if settings::session_name(&content.profile).is_err() {
            return Err("what it says cannot be the name of a profile".to_owned());
        }
        let is_name = |account: &String| SessionName::new(&account.to_ascii_lowercase()).is_ok();
        if !content.account.as_ref().is_none_or(is_name) {
            return Err("what it says cannot be the name of an account".to_owned());
        }
        Ok(Directory {
            path: self.path.clone(),
            profile: content.profile,
            account: content.account,
        })
    }
}

impl Directory {
    /// In words: profile `staging` and account `ada`.
    pub(crate) fn wish(&self) -> String {
        match &self.account {
            None => format!("profile `{}`", self.profile),
            Some(account) => format!("profile `{}` and account `{account}`", self.profile),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn path_of(found: Found) -> Option<PathBuf> {
        match found {
            Found::Candidate(candidate) => Some(candidate.path),
            _ => None,
        }
    }

    fn find(here: &Path, home: Option<&Path>) -> Found {
        search(here, home, |_, directory| {
            directory.join(NAME).symlink_metadata().is_ok()
        })
    }

    fn why(found: Option<Found>) -> String {
        match found {
            Some(Found::Unusable(_, why)) => why,
            _ => panic!("it is not refused"),
        }
    }

    #[test]
    fn the_nearest_counts_and_the_home_is_where_it_ends() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let deep = home.join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        let put = |directory: &Path| fs::write(directory.join(NAME), "profile = 'x'").unwrap();
        put(&home);
        assert_eq!(path_of(find(&deep, Some(&home))), None);
        assert_eq!(path_of(find(&home, Some(&home))), None);
        assert_eq!(path_of(find(&deep, None)), Some(home.join(NAME)));
        put(&home.join("a"));
        let upper = home.join("a").join(NAME);
        assert_eq!(path_of(find(&deep, Some(&home))), Some(upper));
        // One that cannot be used hides those above: nobody is given another profile than they see.
        fs::create_dir(deep.join(NAME)).unwrap();
        assert_eq!(path_of(find(&deep, Some(&home))), None);
    }

    #[test]
    fn what_is_not_a_plain_private_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        assert!(open(&path).is_none());
        symlink("/etc/passwd", &path).unwrap();
        assert_eq!(why(open(&path)), "it is a link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(why(open(&path)), "it is not a file");
        fs::remove_dir(&path).unwrap();
        // Nobody is at the other end of it.
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(why(open(&path)), "it is not a file");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "#".repeat(5000)).unwrap();
        assert_eq!(why(open(&path)), "it is too large");
        fs::write(&path, "profile = 'a'").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(why(open(&path)).contains("chmod o-w"));
    }

    #[test]
    fn it_chooses_among_what_there_is_and_says_nothing_else() {
        let read = |text: &str| {
            let candidate = Candidate {
                path: PathBuf::from("/p"),
                bytes: text.as_bytes().to_vec(),
            };
            candidate.read()
        };
        let said = read("profile = 'a'\naccount = 'Ada@example.com'\n").unwrap();
        assert_eq!(said.wish(), "profile `a` and account `Ada@example.com`");
        for text in [
            "",
            "account = 'a'",
            "profile = 'a'\nissuer = 'https://evil.example'",
            "profile = 'a'\nbrowser = 'reboot'",
            "profile = 'a'\n[profile.a]\nissuer = 'https://evil.example'",
            "profile = 'a@b'",
            "profile = '../a'",
            "profile = \"a\\u001b[2J\"",
            "profile = 'a'\naccount = '../b'",
            "profile = ''",
        ] {
            let why = read(text).unwrap_err();
            assert!(!why.contains(['\u{1b}', '\n']), "{why:?}");
            assert!(!why.contains("evil"), "{why}");
        }
        assert!(read("\n\nprofile = 1").unwrap_err().starts_with("line 3"));
    }
}

//! A desk to sit at: a home, an authorization server, and a record of all that was typed and printed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_testkit::{Finished, Home, Program, Provider, bin};

use crate::scrub::{scrub, scrub_addresses};

/// A home, an authorization server, and a record.
pub(crate) struct Desk {
    pub(crate) home: Home,
    pub(crate) provider: Provider,
    transcript: String,
    environment: Vec<(String, String)>,
    hidden: Vec<(String, String)>,
    directory: Option<PathBuf>,
}

impl Desk {
    /// An empty home and a well-behaved server.
    pub(crate) fn new() -> Self {
        Self::at(Provider::start())
    }

    /// An empty home and this server.
    pub(crate) fn at(provider: Provider) -> Self {
        Self {
            home: Home::new(),
            provider,
            transcript: String::new(),
            environment: Vec::new(),
            hidden: Vec::new(),
            directory: None,
        }
    }

    /// As `new`, with a profile for the server.
    pub(crate) fn with_profile() -> Self {
        let desk = Self::new();
        let issuer = desk.provider.issuer();
        desk.configure(&format!(
            "[profile.default]\nissuer = \"{issuer}\"\nclient_id = \"cli\"\n"
        ));
        desk
    }

    /// As `with_profile`, and someone has signed in.
    pub(crate) fn signed_in() -> Self {
        let desk = Self::with_profile();
        desk.program("login").run().expect_code(0);
        desk
    }

    /// Sees to it that `countersign-keyring` is beside the program. Otherwise it is there or not by the
    /// order in which things were built.
    pub(crate) fn has_keyring_program(&mut self) {
        let path = bin("countersign-keyring").display().to_string();
        self.hide(&path, "PROGRAMS/countersign-keyring");
        let version = concat!("countersign-keyring ", env!("CARGO_PKG_VERSION"));
        self.hide(version, "countersign-keyring VERSION");
    }

    /// Writes the person's configuration file.
    pub(crate) fn configure(&self, text: &str) {
        self.write(&self.home.config_dir().join("config.toml"), text);
    }

    /// Writes a file that a company ships.
    pub(crate) fn configure_system(&self, name: &str, text: &str) {
        self.write(&self.system_dir().join(name), text);
    }

    fn write(&self, path: &Path, text: &str) {
        let directory = path.parent().expect("a file is in a directory");
        fs::create_dir_all(directory).expect("the home can be written");
        let text = text.replace("ISSUER", &self.provider.issuer());
        fs::write(path, text).expect("the home can be written");
    }

    /// Where the files that a company ships are.
    pub(crate) fn system_dir(&self) -> PathBuf {
        self.home.path().join("etc")
    }

    /// Sets a variable for everything that is run from now on.
    pub(crate) fn export(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.transcript, "$ export {name}={value}\n");
        let home = format!("{}/", self.home.path().display());
        let value = value
            .replace("ISSUER", &self.provider.issuer())
            .replace("HOME/", &home);
        self.environment.push((name.to_owned(), value));
    }

    /// The same without a record, for what is different in every run.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Works in a directory below the home from now on, which is made if need be.
    pub(crate) fn change_directory(&mut self, path: &str) {
        let _ = writeln!(self.transcript, "$ cd ~/{path}\n");
        let directory = self.home.path().join(path);
        fs::create_dir_all(&directory).expect("the home can be written");
        self.directory = Some(directory);
    }

    /// Writes a file of the working directory, and shows it.
    pub(crate) fn write_here(&mut self, name: &str, text: &str) {
        let directory = self.directory.clone().expect("somebody has gone there");
        let _ = writeln!(self.transcript, "$ cat {name}\n{text}");
        self.write(&directory.join(name), text);
    }

    /// Takes a variable away again.
    pub(crate) fn unset(&mut self, name: &str) {
        let _ = writeln!(self.transcript, "$ unset {name}\n");
        self.environment.retain(|(known, _)| known != name);
    }

    /// The program with arguments, separated by blanks. `ISSUER` in them is the server.
    pub(crate) fn program(&self, arguments: &str) -> Program {
        self.wrapped(|command| command, arguments)
    }

    /// The same, started by another program: `wrap` gets the whole command, and says what to start.
    pub(crate) fn wrapped(
        &self,
        wrap: impl FnOnce(Vec<String>) -> Vec<String>,
        arguments: &str,
    ) -> Program {
        let issuer = self.provider.issuer();
        let words = arguments
            .split_ascii_whitespace()
            .map(|word| word.replace("ISSUER", &issuer));
        let own = env!("CARGO_BIN_EXE_countersign").to_owned();
        let command = wrap(std::iter::once(own).chain(words).collect());
        let (first, others) = command.split_first().expect("there is a program to start");
        let mut program = Program::new(first)
            .home(&self.home)
            .env("COUNTERSIGN_TEST_SYSTEM_CONFIG_DIR", self.system_dir())
            .args(others);
        for (name, value) in &self.environment {
            program = program.env(name, value);
        }
        match &self.directory {
            Some(directory) => program.dir(directory),
            None => program,
        }
    }

    /// Runs the program, as a script does, and records what it printed.
    pub(crate) fn run(&mut self, arguments: &str) -> Finished {
        self.record(arguments, self.program(arguments))
    }

    /// As `run`, with something on standard input, which is recorded as well.
    pub(crate) fn ask(&mut self, arguments: &str, question: &str) -> Finished {
        for line in question.lines() {
            let _ = writeln!(self.transcript, "< {line}");
        }
        let program = self.program(arguments).stdin(question);
        self.record(arguments, program)
    }

    /// Runs a program that was made by hand, and records what it printed as that of `arguments`.
    pub(crate) fn record(&mut self, arguments: &str, program: Program) -> Finished {
        let done = program.run();
        self.no_secret_is_in(&done.stderr);
        // A token may be on standard output when it was asked for, and never otherwise.
        let wanted = arguments.contains("token") || arguments.contains("credential");
        if !wanted || done.code() != Some(0) {
            self.no_secret_is_in(&done.stdout);
        }
        let _ = writeln!(self.transcript, "$ countersign {arguments}");
        self.transcript.push_str(&self.scrubbed(&done.stdout));
        for line in self.scrubbed(&done.stderr).lines() {
            let _ = writeln!(self.transcript, "{}", format!("2> {line}").trim_end());
        }
        let _ = match (done.code(), done.signal()) {
            (Some(0), _) => writeln!(self.transcript),
            (Some(code), _) => writeln!(self.transcript, "[exit {code}]\n"),
            (None, signal) => writeln!(self.transcript, "[signal {signal:?}]\n"),
        };
        done
    }

    /// Runs the program without a record; gives its standard output.
    pub(crate) fn run_silently(&self, arguments: &str) -> String {
        self.program(arguments).run().stdout
    }

    /// Shows something that is different in every run under another name.
    pub(crate) fn hide(&mut self, text: &str, name: &str) {
        self.hidden.push((text.to_owned(), name.to_owned()));
    }

    /// Says in the record what happens between two commands.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = writeln!(self.transcript, "# {text}");
    }

    /// Adds something to the record that is not a command's output.
    pub(crate) fn show(&mut self, text: &str) {
        let text = self.scrubbed(text);
        let _ = writeln!(self.transcript, "{text}");
    }

    /// Adds what a screen showed at another desk to the record.
    pub(crate) fn show_screen_of(&mut self, other: &Self, text: &str) {
        let text = scrub_addresses(&other.scrubbed(text));
        let _ = writeln!(self.transcript, "{text}");
    }

    /// Adds what a screen showed to the record.
    pub(crate) fn show_screen(&mut self, text: &str) {
        let text = scrub_addresses(&self.scrubbed(text));
        let _ = writeln!(self.transcript, "{text}");
    }

    /// Panics when one of the secrets that the server handed out is in `text`.
    pub(crate) fn no_secret_is_in(&self, text: &str) {
        for secret in self.provider.secrets() {
            assert!(!text.contains(&secret), "a secret was printed:\n{text}");
        }
    }

    fn scrubbed(&self, text: &str) -> String {
        let home = self.home.path().to_string_lossy().into_owned();
        let mut text = text
            .replace(&self.provider.issuer(), "ISSUER")
            .replace(&home, "HOME");
        for secret in self.provider.secrets() {
            let name = if secret.contains('.') {
                "ID-TOKEN"
            } else if secret.starts_with("secret-code") {
                "CODE"
            } else {
                "ACCESS-TOKEN"
            };
            text = text.replace(&secret, name);
        }
        for (text_there, name) in &self.hidden {
            text = text.replace(text_there, name);
        }
        scrub(&text)
    }

    /// Compares the record with the file of this name.
    #[track_caller]
    pub(crate) fn check(self, name: &str) {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            fs::write(&path, &self.transcript).expect("the sources can be written");
            return;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if let Some(difference) = first_difference(&expected, &self.transcript) {
            panic!(
                "{name}.txt: {difference}\n\nThe whole session:\n{}\n\
                 If this is how it should be: UPDATE_TRANSCRIPTS=1 cargo test -p countersign",
                self.transcript
            );
        }
    }
}

/// The first line that differs, in words.
fn first_difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let (mut left, mut right) = (expected.lines(), found.lines());
    for number in 1.. {
        let (expected, found) = (left.next(), right.next());
        if expected != found {
            return Some(format!(
                "line {number}: expected {expected:?}, found {found:?}"
            ));
        }
        if expected.is_none() {
            break;
        }
    }
    Some("the ends of the lines differ".to_owned())
}

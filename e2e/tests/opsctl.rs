//! The example `opsctl` at a terminal, with its API and the real `countersign-issuer`: everything that a
//! person can do when they are asked for a one-time password.
//!
//! What they see is kept in `tests/transcripts`; `UPDATE_TRANSCRIPTS=1 cargo test -p countersign-e2e
//! --test opsctl` writes the files anew.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use countersign_e2e::Issuer;
use countersign_otp::yubico::{Secrets, sim::SimulatedKey};
use countersign_testkit::{
    Finished, Home, HttpServer, Left, Program, Reply, Running, Terminal, bin,
};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(90);
const SIGTERM: i32 = 15;
const PROMPT: &str = "please enter yubikey OTP: ";

/// A person who is signed in, their key, the API, and a record of what they saw.
struct Scene {
    home: Home,
    key: SimulatedKey,
    address: String,
    subject: String,
    transcript: String,
    // Last: the others end before it does.
    issuer: Issuer,
    state: TempDir,
    api: Option<Running>,
}

impl Scene {
    fn new() -> Self {
        let issuer = Issuer::start();
        issuer.administer(
            "client add opsctl --redirect-uri http://127.0.0.1/callback --any-audience",
        );
        let mut scene = Self {
            home: Home::new(),
            key: key("ccccccccccce", 1),
            address: String::new(),
            subject: String::new(),
            transcript: String::new(),
            issuer,
            state: tempfile::tempdir().unwrap(),
            api: None,
        };
        let api = scene.api_program("serve").start();
        scene.address = api.wait_for_stdout(|text| Some(text.split_once('\n')?.0.to_owned()));
        scene.api = Some(api);
        scene.subject = scene.signs_in(&scene.address);
        let line = "1,ccccccccccce,010101010101,01010101010101010101010101010101,,,\n";
        let enrol = scene.api_program("enrol").args([&scene.subject, "yubikey"]);
        enrol.stdin(line).run().expect_code(0);
        scene
    }

    fn api_program(&self, command: &str) -> Program {
        Program::new(bin("opsctl-api"))
            .arg(command)
            .env("OPSCTL_ISSUER", self.issuer.issuer())
            .env("OPSCTL_LISTEN", "127.0.0.1:0")
            .env("OPSCTL_STATE", self.state.path())
            .limit(Duration::from_secs(300))
    }

    fn environment(&self, program: Program, api: &str) -> Program {
        program
            .home(&self.home)
            .env("OPSCTL_ISSUER", self.issuer.issuer())
            .env("OPSCTL_API", api)
            .env("COUNTERSIGN_NO_BROWSER", "1")
            .limit(LIMIT)
    }

    /// As a script runs it: with no terminal that could be opened.
    fn alone(&self, arguments: &str) -> Program {
        let program = Program::new("/usr/bin/setsid").args(["--fork", "--wait"]);
        let program = program.arg(bin("opsctl"));
        let program = program.args(arguments.split_ascii_whitespace());
        self.environment(program, &self.address)
    }

    /// As a person runs it. With something on standard input, if `piped` says so.
    fn types(&self, api: &str, piped: Option<&str>, arguments: &str) -> Terminal {
        let mut program = Program::new("/usr/bin/setsid").args(["--ctty", "--wait"]);
        if let Some(text) = piped {
            let path = self.home.path().join("piped");
            fs::write(&path, text).unwrap();
            let shell = "exec < \"$1\"; shift; exec \"$@\"";
            program = program.args(["/bin/sh", "-c", shell, "sh"]).arg(path);
        }
        let program = program.arg(bin("opsctl"));
        let program = program.args(arguments.split_ascii_whitespace());
        self.environment(program, api).at_terminal()
    }

    /// Signs in for this API, and answers who has.
    fn signs_in(&self, api: &str) -> String {
        let program = Program::new(bin("opsctl")).arg("login");
        let login = self.environment(program, api).start();
        let shown = login.wait_for_stderr(|text| {
            let find = |words: &str| text.lines().find(|line| line.contains(words));
            let code = find("Your one-time code: ")?.split_whitespace().last()?;
            let address = find("user_code=")?.trim();
            text.ends_with('\n')
                .then(|| (address.to_owned(), code.to_owned()))
        });
        self.issuer.approve(&shown.0, &shown.1);
        let done = login.finish().expect_code(0);
        let who = "signed in as Ada Lovelace <ada@example.com>\n  subject  ";
        let subject = done.stdout.trim_end().strip_prefix(who);
        subject.expect("it says who").to_owned()
    }

    /// The next password of the person's key.
    fn touch(&mut self) -> String {
        self.key.press(7).expose().to_owned()
    }

    /// The person deletes a resource and types each of these when they are asked.
    fn deletes(&mut self, title: &str, name: &str, passwords: &[&str], code: i32) -> String {
        let command = format!("delete resource {name}");
        let terminal = self.types(&self.address, None, &command);
        let left = answered(terminal, passwords);
        self.note(title, &command, &left, code);
        left.text
    }

    fn note(&mut self, title: &str, command: &str, left: &Left, code: i32) {
        assert_eq!(left.status.code(), Some(code), "{title}\n{}", left.text);
        assert_eq!(left.next_line, "\n", "{title}");
        self.write(title, command, &left.text, code);
    }

    fn note_finished(&mut self, title: &str, command: &str, done: &Finished) {
        let code = done.code().unwrap();
        self.write(
            title,
            command,
            &format!("{}{}", done.stdout, done.stderr),
            code,
        );
    }

    fn write(&mut self, title: &str, command: &str, text: &str, code: i32) {
        let text = text.replace(&self.address, "API");
        let text = text.trim_end();
        let _ = writeln!(
            self.transcript,
            "# {title}\n$ opsctl {command}\n{text}\n[exit {code}]\n"
        );
    }

    /// What there still is.
    fn listed(&self) -> String {
        self.alone("list").run().expect_code(0).stdout
    }

    /// Compares the record with the file of this name.
    fn check(self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = path.join(format!("tests/transcripts/{name}.txt"));
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            fs::write(&path, &self.transcript).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(self.transcript, expected, "{name}.txt");
    }
}

fn key(public_id: &str, digit: u8) -> SimulatedKey {
    let secrets = Secrets::new([digit; 6], [digit; 16]);
    SimulatedKey::new(public_id.parse().unwrap(), secrets)
}

/// Types each of these passwords when it is asked for. None of them is ever shown.
fn answered(mut terminal: Terminal, passwords: &[&str]) -> Left {
    for (round, password) in passwords.iter().enumerate() {
        terminal.see_that(PROMPT, |text| {
            let asked = text.matches(PROMPT.trim_end()).count();
            asked == round + 1 && text.ends_with(PROMPT.trim_end())
        });
        terminal.types(&format!("{password}\n"));
    }
    let left = terminal.end();
    for password in passwords {
        assert!(!left.written.contains(password), "{}", left.written);
    }
    left
}

#[test]
fn a_password_deletes_one_resource_and_another_or_none_does_not() {
    let mut scene = Scene::new();
    assert_eq!(scene.listed(), "barfoo\nfoobar\nquux\n");

    let first = scene.touch();
    scene.deletes("A touch.", "foobar", &[&first], 0);
    assert_eq!(scene.listed(), "barfoo\nquux\n");
    let log = scene.api.as_ref().unwrap().stderr();
    let noted = format!(
        "\"Ada Lovelace\" ({}) deleted \"foobar\" with \"Yubikey ccccccccccce\"",
        scene.subject
    );
    assert!(log.contains(&noted), "{log}");
    assert!(!log.contains(&first), "{log}");

    let next = scene.touch();
    let title = "The same password once more, and then another.";
    scene.deletes(title, "barfoo", &[&first, &next], 0);
    assert_eq!(scene.listed(), "quux\n");

    let other = key("ccccccccccvv", 2).press(7).expose().to_owned();
    let next = scene.touch();
    let title = "Somebody else's key, and then the right one; but there is no such resource.";
    scene.deletes(title, "nothing", &[&other, &next], 1);

    let mut wrong = key("ccccccccccce", 3);
    let mut forged = || wrong.press(7).expose().to_owned();
    let three = [forged(), forged(), forged()];
    let three = three.each_ref().map(String::as_str);
    let title = "Three wrong ones: a key that says it is hers.";
    scene.deletes(title, "quux", &three, 8);
    let title = "Three more; from the sixth on nobody looks.";
    scene.deletes(title, "quux", &three, 8);
    let right = scene.touch();
    let title = "Now the right one does not help.";
    scene.deletes(title, "quux", &[&right], 8);
    assert_eq!(scene.listed(), "quux\n");
    scene.check("opsctl-passwords");
}

#[test]
fn nobody_types_or_nobody_is_there() {
    let mut scene = Scene::new();
    let command = "delete resource foobar";

    // Begun, and not ended: nothing of it may become the shell's next command.
    let mut terminal = scene.types(&scene.address, None, command);
    terminal.see(PROMPT.trim_end());
    terminal.types("cccccc\x03");
    let left = terminal.end();
    scene.note("Ctrl-C after six letters.", command, &left, 130);

    let mut terminal = scene.types(&scene.address, None, command);
    terminal.see(PROMPT.trim_end());
    terminal.types("cccccc");
    terminal.see("******");
    terminal.terminate();
    let left = terminal.end();
    assert_eq!(left.status.signal(), Some(SIGTERM), "{}", left.text);
    assert_eq!(left.next_line, "\n");

    let right = scene.touch();
    let piped = format!("{right}\n");
    let mut terminal = scene.types(&scene.address, Some(&piped), command);
    terminal.see(PROMPT.trim_end());
    terminal.types("\x04");
    let left = terminal.end();
    let title =
        "A password in a pipe is not looked at: the person at the terminal is asked, and says no.";
    scene.note(title, command, &left, 8);

    let done = scene.alone(command).run().expect_code(8);
    scene.note_finished("No terminal.", command, &done);
    let done = scene.alone(command).stdin(piped).run().expect_code(8);
    scene.note_finished("No terminal, and a password in a pipe.", command, &done);
    assert_eq!(scene.listed(), "barfoo\nfoobar\nquux\n");

    // The same password is still good: nobody has sent it.
    scene.deletes("It is still good.", "foobar", &[&right], 0);

    let slow = HttpServer::start();
    let asks = "Bearer error=\"insufficient_user_authentication\", otp_challenge=\"c\", \
                otp_methods=\"yubikey\", otp_expires_in=\"1\"";
    let asks = Reply::new(401).with_header("www-authenticate", asks);
    slow.on("DELETE", "/resources/foobar", asks);
    scene.signs_in(&slow.origin());
    let mut terminal = scene.types(&slow.origin(), None, command);
    terminal.see(PROMPT.trim_end());
    terminal.types("rm -rf");
    let mut left = terminal.end();
    left.text = left.text.replace(&slow.origin(), "API").replace('*', "");
    scene.note(
        "Nobody is there: the challenge is good for a second.",
        command,
        &left,
        6,
    );
    assert_eq!(slow.requests().len(), 1);

    let home = Home::new();
    let program = Program::new(bin("opsctl")).args(["list"]).home(&home);
    scene.note_finished(
        "Nobody is signed in.",
        "list",
        &program.run().expect_code(4),
    );
    scene.check("opsctl-nobody");
}

/// What stands in a guide as a part of the example is a part of the example.
#[test]
fn the_guides_show_the_example_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    // Where a line is broken, and how far it is indented, is the formatter's business.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let guide = read("docs/embedding.md");
    let mut shown = 0;
    for after in guide.split("<!-- from ").skip(1) {
        let (path, rest) = after.split_once(" -->").unwrap();
        let block = rest.trim_start().strip_prefix("```rust\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        for piece in block.split("// …\n") {
            assert!(
                words(&read(path)).contains(&words(piece)),
                "{path}:\n{piece}"
            );
        }
        shown += 1;
    }
    assert_eq!(shown, 2);
}

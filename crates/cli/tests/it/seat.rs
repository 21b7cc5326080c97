//! A seat at a terminal: the real program on a pseudo-terminal, and a screen that shows what it wrote.

#![expect(clippy::unwrap_used, reason = "what is set up for a test may panic")]

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::desk::Desk;

const PATIENCE: Duration = Duration::from_secs(30);

/// A place at a desk, before anything is typed.
pub(crate) struct Seat<'a> {
    desk: &'a Desk,
    size: (u16, u16),
    variables: Vec<(String, OsString)>,
    /// Whether the terminal controls the program, so that its keys send signals.
    controls: bool,
    /// What is on standard input in the place of the keyboard.
    piped: Option<String>,
    /// Where standard output goes.
    prints_to: Option<PathBuf>,
}

/// A program at a terminal.
pub(crate) struct Seated {
    child: Child,
    keyboard: File,
    /// The program's side, which a shell would read from once the program has ended.
    shell: File,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Gives everything that was written, as it was written.
    reader: JoinHandle<Vec<u8>>,
}

/// What is left of it.
pub(crate) struct Left {
    pub(crate) status: ExitStatus,
    /// What the screen shows.
    pub(crate) text: String,
    /// Row and column.
    pub(crate) cursor: (u16, u16),
    /// Everything that was written, escape sequences included.
    pub(crate) written: String,
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has a size")
}

impl<'a> Seat<'a> {
    /// At a terminal of 80 columns and 24 rows, in no particular environment.
    pub(crate) fn at(desk: &'a Desk) -> Self {
        Self {
            desk,
            size: (80, 24),
            variables: Vec::new(),
            controls: false,
            piped: None,
            prints_to: None,
        }
    }

    pub(crate) fn size(mut self, columns: u16, rows: u16) -> Self {
        self.size = (columns, rows);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Puts programs of these names into the only directory of the `PATH`. Each notes the address it
    /// is asked to open, which `opened` finds.
    pub(crate) fn browsers(self, names: &[&str]) -> Self {
        let directory = self.desk.home.path().join("bin");
        fs::create_dir_all(&directory).unwrap();
        for name in names {
            let path = directory.join(name);
            let note = self.desk.home.path().join("opened");
            // Renamed into its place, so that nobody reads half of it.
            let script = format!(
                "#!/bin/sh\nfor last; do :; done\nprintf '%s' \"$last\" > {0}.new\n/bin/mv {0}.new {0}\n",
                note.display()
            );
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        self.env("PATH", directory)
    }

    /// Makes the terminal the one that controls the program.
    pub(crate) fn controlling(mut self) -> Self {
        self.controls = true;
        self
    }

    /// Has something in a file on standard input, as a shell would put it there.
    pub(crate) fn piping(mut self, text: &str) -> Self {
        self.piped = Some(text.to_owned());
        self
    }

    /// Has standard output written to a file.
    pub(crate) fn printing_to(mut self, path: PathBuf) -> Self {
        self.prints_to = Some(path);
        self
    }

    /// Types a command.
    pub(crate) fn types(self, arguments: &str) -> Seated {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let (columns, rows) = self.size;
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size).unwrap();
        let programs_end = other_end(&controller);
        let piped = self.piped.map(|text| {
            let path = self.desk.home.path().join("piped");
            fs::write(&path, text).unwrap();
            path
        });
        let mut command = if self.controls {
            let mut command = Command::new("/usr/bin/setsid");
            command.args(["--ctty", "--wait"]);
            // It takes the terminal from its standard input; so the program's own comes after that.
            if let Some(path) = &piped {
                let shell = "exec < \"$1\"; shift; exec \"$@\"";
                command.args(["/bin/sh", "-c", shell, "sh"]).arg(path);
            }
            command.arg("/usr/bin/env");
            command
        } else {
            Command::new("/usr/bin/env")
        };
        // Whoever runs the tests in the background has its programs ignore Ctrl-C, and a program started
        // by one that ignores it ignores it as well. A shell at a terminal does not.
        command
            .arg("--default-signal=HUP,INT,QUIT,TERM")
            .arg(env!("CARGO_BIN_EXE_countersign"));
        let issuer = self.desk.provider.issuer();
        command
            .args(
                arguments
                    .split_ascii_whitespace()
                    .map(|word| word.replace("ISSUER", &issuer)),
            )
            .env_clear()
            .envs(self.desk.home.environment())
            .env("TERM", "xterm-256color")
            .env("COUNTERSIGN_TEST_SYSTEM_CONFIG_DIR", self.desk.system_dir())
            .envs(self.variables)
            .stdin(Stdio::from(programs_end.try_clone().unwrap()))
            .stderr(Stdio::from(programs_end.try_clone().unwrap()))
            .stdout(Stdio::null());
        if let Some(path) = piped.filter(|_| !self.controls) {
            command.stdin(File::open(path).unwrap());
        }
        if let Some(path) = self.prints_to {
            command.stdout(File::create(path).unwrap());
        }
        let child = command.spawn().unwrap();
        // The command holds the program's side of the terminal: as long as it does, there is no end.
        drop(command);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            cells(rows),
            cells(columns),
            100,
        )));
        let mut output = File::from(controller.try_clone().unwrap());
        let reader = thread::spawn({
            let screen = Arc::clone(&screen);
            move || {
                let mut written = Vec::new();
                let mut piece = [0_u8; 4096];
                // Once nobody has the other side open, reading is an error.
                while let Ok(count @ 1..) = output.read(&mut piece) {
                    let piece = piece.get(..count).unwrap_or_default();
                    screen.lock().unwrap().process(piece);
                    written.extend_from_slice(piece);
                }
                written
            }
        });
        Seated {
            child,
            keyboard: File::from(controller),
            shell: programs_end,
            screen,
            reader,
        }
    }
}

fn other_end(controller: &OwnedFd) -> File {
    let name = ptsname(controller, Vec::new()).unwrap();
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed())
        .open(name.to_str().unwrap())
        .unwrap()
}

impl Seated {
    /// What the screen shows.
    pub(crate) fn text(&self) -> String {
        let text = self.screen.lock().unwrap().screen().contents();
        text.trim_end().to_owned()
    }

    /// Looks at the screen itself.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.screen.lock().unwrap().screen())
    }

    /// Waits until one of `words` is on the screen.
    pub(crate) fn see_one(&self, words: &[&str]) -> String {
        self.see_that(&format!("{words:?}"), |text| {
            words.iter().any(|words| text.contains(words))
        })
    }

    /// Waits until `words` are on the screen.
    pub(crate) fn see(&self, words: &str) -> String {
        self.see_one(&[words])
    }

    /// Waits for the address that the person is to open.
    pub(crate) fn address(&self) -> String {
        self.see("Enter:");
        let text = self.text();
        let address = text.lines().find(|line| line.contains("/authorize?"));
        address.expect("the address is on the screen").to_owned()
    }

    /// Waits until the screen is as it should be.
    pub(crate) fn see_that(&self, what: &str, seen: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text();
            if seen(&text) {
                return text;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{what} is not on the screen:\n{text}"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Types these characters.
    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Types a line.
    pub(crate) fn types_line(&mut self, text: &str) {
        self.types(&format!("{text}\n"));
    }

    /// Interrupts the program, as another one would.
    pub(crate) fn interrupt(&self) {
        self.signals(Signal::INT);
    }

    /// Sends the program a signal.
    pub(crate) fn signals(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the program.
    pub(crate) fn end(mut self) -> Left {
        let status = self.child.wait().unwrap();
        let modes = tcgetattr(&self.shell).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG),
            "the terminal is as it was: {modes:?}"
        );
        drop(self.shell);
        let written = self.reader.join().unwrap();
        let screen = self.screen.lock().unwrap();
        Left {
            status,
            text: screen.screen().contents().trim_end().to_owned(),
            cursor: screen.screen().cursor_position(),
            written: String::from_utf8_lossy(&written).into_owned(),
        }
    }

    /// Waits for the end of the program and answers what a shell would then read of what had been
    /// typed, when the person presses Enter.
    pub(crate) fn end_and_read_on(mut self) -> (Left, String) {
        let status = self.child.wait().unwrap();
        self.keyboard.write_all(b"\n").unwrap();
        let mut line = [0_u8; 8192];
        let count = self.shell.read(&mut line).unwrap();
        let line = String::from_utf8_lossy(line.get(..count).unwrap()).into_owned();
        let mut left = self.end();
        left.status = status;
        (left, line)
    }
}

/// The address that a browser was asked to open, once it was.
pub(crate) fn opened(desk: &Desk) -> String {
    let begun = Instant::now();
    let note = desk.home.path().join("opened");
    loop {
        if let Ok(address) = fs::read_to_string(&note) {
            return address;
        }
        assert!(begun.elapsed() < PATIENCE, "no browser was opened");
        thread::sleep(Duration::from_millis(2));
    }
}

//! A person at a terminal: the real program on a pseudo-terminal, a screen that shows what it wrote,
//! and keys to press.
//!
//! Not responsible for: whether the terminal controls the program. Whoever needs that starts it through
//! `setsid --ctty --wait`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcgetpgrp, tcsetwinsize};

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;
const GLANCE: Duration = Duration::from_millis(2);

/// A program at a terminal of 80 columns and 24 rows. It is killed when the value is dropped.
pub struct Terminal {
    name: OsString,
    child: Child,
    keyboard: File,
    /// The program's side, which a shell would read from once the program has ended.
    shell: Option<File>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Gives everything that was written, as it was written.
    reader: Option<JoinHandle<Vec<u8>>>,
    end: Instant,
}

/// What is left when it has ended.
#[derive(Debug)]
pub struct Left {
    /// How it ended.
    pub status: ExitStatus,
    /// What the screen shows.
    pub text: String,
    /// Everything that was written, escape sequences included.
    pub written: String,
    /// What a shell would then read when the person presses Enter, line break included.
    pub next_line: String,
}

impl Terminal {
    pub(crate) fn start(name: OsString, mut command: Command, limit: Duration) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&controller).expect("the terminal is ours");
        unlockpt(&controller).expect("the terminal is ours");
        let size = Winsize {
            ws_col: COLUMNS,
            ws_row: ROWS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size).expect("a terminal has a size");
        let programs_end = other_end(&controller);
        let end = || Stdio::from(programs_end.try_clone().expect("the terminal is open"));
        command.stdin(end()).stdout(end()).stderr(end());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{} does not start: {error}", name.display()),
        };
        // The command holds the program's side of the terminal: as long as it does, there is no end.
        drop(command);
        let cells = |count| NonZero::new(count).expect("a terminal has a size");
        let screen = vt100::Parser::new(cells(ROWS), cells(COLUMNS), 100);
        let screen = Arc::new(Mutex::new(screen));
        let mut output = File::from(controller.try_clone().expect("the terminal is open"));
        let reader = thread::spawn({
            let screen = Arc::clone(&screen);
            move || {
                let mut written = Vec::new();
                let mut piece = [0_u8; 4096];
                // Once nobody has the other side open, reading is an error.
                while let Ok(count @ 1..) = output.read(&mut piece) {
                    let piece = piece.get(..count).unwrap_or_default();
                    lock(&screen).process(piece);
                    written.extend_from_slice(piece);
                }
                written
            }
        });
        Self {
            name,
            child,
            keyboard: File::from(controller),
            shell: Some(programs_end),
            screen,
            reader: Some(reader),
            end: Instant::now() + limit,
        }
    }

    /// What the screen shows.
    pub fn text(&self) -> String {
        lock(&self.screen).screen().contents().trim_end().to_owned()
    }

    /// Waits until `words` are on the screen.
    ///
    /// # Panics
    /// When they do not come.
    pub fn see(&self, words: &str) -> String {
        self.see_that(words, |text| text.contains(words))
    }

    /// Waits until the screen is as it should be.
    ///
    /// # Panics
    /// When it does not become so.
    pub fn see_that(&self, what: &str, seen: impl Fn(&str) -> bool) -> String {
        loop {
            let text = self.text();
            if seen(&text) {
                return text;
            }
            assert!(
                Instant::now() < self.end,
                "{what:?} is not on the screen:\n{text}"
            );
            thread::sleep(GLANCE);
        }
    }

    /// Types these characters.
    ///
    /// # Panics
    /// When there is no terminal any more.
    pub fn types(&mut self, text: &str) {
        let written = self.keyboard.write_all(text.as_bytes());
        written.expect("the terminal is open");
    }

    /// Ends what is in front at the terminal by SIGTERM, which has to be what the terminal controls.
    ///
    /// # Panics
    /// When there is nothing.
    pub fn terminate(&self) {
        let front = tcgetpgrp(&self.keyboard).expect("something is in front");
        kill_process_group(front, Signal::TERM).expect("it is still there");
    }

    /// Waits for the end of the program, which has to leave the terminal as it was.
    ///
    /// # Panics
    /// When it does not, or does not end in time.
    pub fn end(mut self) -> Left {
        let status = self.wait();
        let mut shell = self.shell.take().expect("it is dropped here");
        let modes = tcgetattr(&shell).expect("the terminal is open").local_modes;
        assert!(
            modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG),
            "the terminal is as it was: {modes:?}"
        );
        self.types("\n");
        let mut line = [0_u8; 8192];
        let count = shell.read(&mut line).expect("the terminal is open");
        drop(shell);
        let reader = self.reader.take().expect("it is joined here");
        let written = reader.join().expect("it only reads");
        let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Left {
            status,
            text: self.text(),
            written: text_of(&written),
            next_line: text_of(line.get(..count).unwrap_or_default()),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < self.end => thread::sleep(GLANCE),
                other => panic!(
                    "no end of {}: {other:?}\n{}",
                    self.name.display(),
                    self.text()
                ),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn lock(screen: &Mutex<vt100::Parser>) -> MutexGuard<'_, vt100::Parser> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn other_end(controller: &OwnedFd) -> File {
    let name = ptsname(controller, Vec::new()).expect("a terminal has a name");
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed())
        .open(name.to_str().expect("its name is plain"))
        .expect("the terminal is ours")
}

//! What a person sees at a terminal: the real program on a pseudo-terminal, and a screen that shows
//! what it wrote.

#![expect(clippy::unwrap_used, reason = "what is set up for a test may panic")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::desk::Desk;

const PATIENCE: Duration = Duration::from_secs(30);

/// A program at a terminal.
struct Seat {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<vt100::Parser>>,
    reader: JoinHandle<()>,
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has a size")
}

impl Seat {
    fn new(desk: &Desk, arguments: &str, columns: u16, rows: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let programs_end = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let issuer = desk.provider.issuer();
        command
            .args(
                arguments
                    .split_ascii_whitespace()
                    .map(|word| word.replace("ISSUER", &issuer)),
            )
            .env_clear()
            .envs(desk.home.environment())
            .env("TERM", "xterm-256color")
            .env("COUNTERSIGN_TEST_SYSTEM_CONFIG_DIR", "/nowhere")
            .stdin(Stdio::from(programs_end.try_clone().unwrap()))
            .stderr(Stdio::from(programs_end))
            .stdout(Stdio::null());
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
                let mut piece = [0_u8; 4096];
                // Once nobody has the other side open, reading is an error.
                while let Ok(count @ 1..) = output.read(&mut piece) {
                    screen
                        .lock()
                        .unwrap()
                        .process(piece.get(..count).unwrap_or_default());
                }
            }
        });
        Self {
            child,
            keyboard: File::from(controller),
            screen,
            reader,
        }
    }

    fn text(&self) -> String {
        let text = self.screen.lock().unwrap().screen().contents();
        text.trim_end().to_owned()
    }

    /// Waits until `words` are on the screen.
    fn see(&self, words: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text();
            if text.contains(words) {
                return text;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{words:?} is not on the screen:\n{text}"
            );
            thread::yield_now();
        }
    }

    fn type_line(&mut self, text: &str) {
        writeln!(self.keyboard, "{text}").unwrap();
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// The end of the program, and what the screen then shows.
    fn end(mut self) -> (ExitStatus, String, (u16, u16)) {
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        let screen = self.screen.lock().unwrap();
        let text = screen.screen().contents().trim_end().to_owned();
        (status, text, screen.screen().cursor_position())
    }
}

#[test]
fn a_login_on_an_ordinary_terminal() {
    let mut desk = Desk::with_profile();
    desk.provider.pending_polls(1);
    let seat = Seat::new(&desk, "login --color never", 80, 24);
    let waiting = seat.see("Waiting for approval of WDJB-MJHT … 9:5");
    assert!(
        waiting.lines().count() <= 23,
        "nothing has left the screen:\n{waiting}"
    );
    let (status, text, cursor) = seat.end();
    assert_eq!(status.code(), Some(0));
    assert!(!text.contains("Waiting"), "the line is gone:\n{text}");
    assert_eq!(cursor.1, 0, "the cursor is at the start of a line");
    desk.show(&without_qr(&text));
    desk.check("terminal-24-rows");
}

#[test]
fn a_login_on_a_large_terminal_and_on_a_narrow_one() {
    let mut desk = Desk::with_profile();
    for (columns, rows) in [(80, 45), (30, 45)] {
        desk.note(&format!("{columns} columns, {rows} rows"));
        let (status, text, _) = Seat::new(&desk, "login --color never", columns, rows).end();
        assert_eq!(status.code(), Some(0));
        desk.show(&without_qr(&text));
    }
    desk.check("terminal-sizes");
}

#[test]
fn without_a_profile_a_person_is_asked() {
    let mut desk = Desk::new();
    let mut seat = Seat::new(&desk, "login --qr never --color never", 80, 24);
    seat.see("Issuer URL:");
    let issuer = desk.provider.issuer();
    seat.type_line(&issuer);
    seat.see("Client id [cli]:");
    seat.type_line("");
    let (status, text, _) = seat.end();
    assert_eq!(status.code(), Some(0), "{text}");
    desk.show(&text);
    desk.run("profile list").expect_code(0);
    desk.check("terminal-first-time");
}

#[test]
fn nothing_is_asked_when_asking_is_forbidden() {
    let mut desk = Desk::new();
    let (status, text, _) = Seat::new(&desk, "--no-input login --color never", 80, 24).end();
    assert_eq!(status.code(), Some(7));
    desk.show(&text);
    desk.check("terminal-no-input");
}

#[test]
fn ctrl_c_leaves_a_clean_terminal() {
    let desk = Desk::with_profile();
    desk.provider.pending_polls(1000);
    let seat = Seat::new(&desk, "login", 80, 24);
    seat.see("Waiting for approval");
    seat.interrupt();
    let (status, text, cursor) = seat.end();
    // A shell reports this as 130.
    assert_eq!(status.signal(), Some(2), "{status:?}");
    assert_eq!(cursor.1, 0, "the cursor is at the start of a line:\n{text}");
    assert!(desk.program("status").run().code() == Some(4));
}

#[test]
fn the_qr_code_on_the_screen_is_black_on_white_whatever_the_terminal() {
    let desk = Desk::with_profile();
    desk.provider.pending_polls(1000);
    let seat = Seat::new(&desk, "login", 80, 24);
    seat.see("Waiting for approval");
    {
        let parser = seat.screen.lock().unwrap();
        // The first row of the code, below two lines of text: its border.
        let cell = parser.screen().cell(3, 10).unwrap();
        assert_eq!(cell.fgcolor(), vt100::Color::Idx(16));
        assert_eq!(cell.bgcolor(), vt100::Color::Idx(231));
        // Beside it the terminal's own colours.
        let beside = parser.screen().cell(3, 70).unwrap();
        assert_eq!(beside.bgcolor(), vt100::Color::Default);
    }
    seat.interrupt();
    seat.end();
}

/// The QR code is different in every run, because the port is in it.
fn without_qr(text: &str) -> String {
    let is_qr = |line: &str| line.contains(['█', '▀', '▄']);
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines() {
        if !is_qr(line) {
            lines.push(line);
        } else if lines.last() != Some(&"(QR code)") {
            lines.push("(QR code)");
        }
    }
    lines.join("\n")
}

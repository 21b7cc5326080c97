//! What the PAM module costs the program that loads it, beside the library that a module would load to
//! speak HTTPS by itself.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use tempfile::TempDir;

use crate::report::{self, Row, Target};

/// `Done` with the verdict `Success`, no text and no reference: what the shortest of daemons says.
const GRANTED: &[u8] = b"\0\0\0\x11\x83\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0";

/// Loads the module, and calls it beside a daemon that answers at once.
pub(crate) fn measure(binaries: &Path, rounds: usize) -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let program = compile(&directory)?;
    // Installed, as every other program that is measured.
    let module = directory.path().join("pam_countersign.so");
    fs::copy(binaries.join("../pam/libpam_countersign.so"), &module)?;
    let ours = loaded(&program, &module, rounds)?;
    let curl = loaded(&program, Path::new("libcurl.so.4"), rounds)?;
    let hook = account(&program, &module, &directory, rounds.max(20) * 10)?;
    #[expect(clippy::cast_precision_loss, reason = "the size of a file fits")]
    let size = fs::metadata(&module)?.len() as f64;

    report::title("the PAM module, in the program that loads it");
    let millis = |name: &str, micros: f64, target| {
        Row::millis(name, Duration::from_secs_f64(micros / 1e6), target)
    };
    let times = curl.micros / ours.micros;
    report::targets(&[
        Row::bytes("its file", size, Target::AtMost(350.0 * 1024.0)),
        millis("to load it", ours.micros, Target::AtMost(2.0)),
        Row::mebibytes("memory after that", ours.kibibytes, Target::AtMost(1.0)),
        Row::times("to load libcurl, beside that", times, Target::AtLeast(1.0)),
        Row::mebibytes(
            "memory of libcurl, beside ours",
            curl.kibibytes.saturating_sub(ours.kibibytes),
            Target::AtLeast(0.0),
        ),
        millis("a hook that asks a daemon", hook, Target::AtMost(1.0)),
    ]);
    Ok(())
}

fn compile(directory: &TempDir) -> io::Result<PathBuf> {
    let source = directory.path().join("pam.c");
    fs::write(&source, include_str!("pam.c"))?;
    let program = directory.path().join("pam");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-o"]).arg(&program).arg(source);
    output(cc.args(["-l:libpam.so.0", "-ldl"]))?;
    Ok(program)
}

#[derive(Clone, Copy, Debug)]
struct Loaded {
    micros: f64,
    kibibytes: u64,
}

/// The medians of many processes that load a library.
fn loaded(program: &Path, library: &Path, rounds: usize) -> io::Result<Loaded> {
    let mut times = Vec::with_capacity(rounds);
    let mut memory = Vec::with_capacity(rounds);
    // The first run pays for the file cache.
    for round in 0..=rounds {
        let text = output(Command::new(program).arg("load").arg(library))?;
        let (micros, kibibytes) = text.trim().split_once(' ').ok_or_else(not_a_figure)?;
        if round > 0 {
            times.push(micros.parse().map_err(io::Error::other)?);
            memory.push(kibibytes.parse().map_err(io::Error::other)?);
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    memory.sort_unstable();
    let middle = rounds / 2;
    Ok(Loaded {
        micros: *times.get(middle).ok_or_else(not_a_figure)?,
        kibibytes: *memory.get(middle).ok_or_else(not_a_figure)?,
    })
}

/// How long a hook takes in which a daemon is asked, in microseconds.
fn account(program: &Path, module: &Path, directory: &TempDir, times: usize) -> io::Result<f64> {
    let socket = directory.path().join("pam.sock");
    let listener = UnixListener::bind(&socket)?;
    // It ends with this process.
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        for mut stream in listener.incoming().flatten() {
            if stream.read(&mut bytes).is_ok() {
                let _ = stream.write_all(GRANTED);
            }
        }
    });
    let services = directory.path().join("pam.d");
    fs::create_dir(&services)?;
    let (module, socket) = (module.display(), socket.display());
    let stack = format!("account required {module} socket={socket}\n");
    fs::write(services.join("bench"), stack)?;
    let mut command = Command::new(program);
    command.arg("account").arg(services).arg(times.to_string());
    output(&mut command)?
        .trim()
        .parse()
        .map_err(io::Error::other)
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{command:?}: {said}")));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

fn not_a_figure() -> io::Error {
    io::Error::other("it printed no figure")
}

//! Other people's proxies as real processes, configured by our guides, word for word.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Issuer, PATIENCE};

/// The blocks of this language in a guide.
pub(crate) fn blocks(guide: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = guide.split(&fence).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// The text with what only this machine knows: each of these has to stand in it.
pub(crate) fn fill(text: &str, places: &[(&str, &str)]) -> String {
    places.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replace(from, to)
    })
}

/// The configuration of the gateway in a guide, with the issuer of the tests, and more routes.
pub(crate) fn gateway(guide: &str, places: &[(&str, &str)], more: &str) -> String {
    let toml = blocks(guide, "toml").remove(0);
    let toml = toml.replace("https://id.example.com", &Issuer::get().url());
    let admin = (
        "\"127.0.0.1:9443\"",
        "\"127.0.0.1:0\"\nworkers = 1\ndrain = \"2s\"",
    );
    fill(&fill(&toml, &[admin]), places) + more
}

/// A port that was free a moment ago.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A process that answers on an address, and ends with the test.
pub(crate) struct Stranger {
    child: Child,
}

impl Stranger {
    pub(crate) fn start(command: &mut Command, log: &Path, address: SocketAddr) -> Self {
        let output = fs::File::create(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stranger = Self { child };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let ended = stranger.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{command:?} does not answer: {}",
                fs::read_to_string(log).unwrap()
            );
            thread::sleep(Duration::from_millis(20));
        }
        stranger
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It has processes of its own, and ends them when it is asked to end.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

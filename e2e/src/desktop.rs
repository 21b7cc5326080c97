//! A desktop as far as a login notices one: a terminal, and a browser that is opened by a command.

use std::time::Duration;

use countersign_testkit::{HttpServer, Reply, Running};

use crate::Cli;

const LIMIT: Duration = Duration::from_secs(60);

/// Where `countersign` finds a command that opens the browser, which tells the test the address.
#[derive(Debug)]
pub struct Desktop {
    opened: HttpServer,
}

/// A login that has opened the browser.
#[derive(Debug)]
pub struct Opened {
    /// The program. What both streams show comes on its standard output.
    pub process: Running,
    /// What the browser was told to open.
    pub address: String,
    /// The command waits for its answer; without one it would say that it failed.
    _desktop: Desktop,
}

impl Desktop {
    /// One on which nothing was opened yet.
    pub fn new() -> Self {
        let opened = HttpServer::start();
        opened.on("POST", "/open", Reply::new(204));
        Self { opened }
    }

    /// The command that opens the browser.
    fn command(&self) -> String {
        let tell = self.opened.url("/open");
        format!("curl --silent --data-urlencode address=%s {tell}")
    }

    /// Types `countersign login` with these arguments, and waits until the browser was opened by it. The
    /// browser is asked for by name, because the machine that runs the tests may be no desktop.
    ///
    /// # Panics
    /// When it was not.
    pub fn login(self, cli: &Cli, arguments: &str) -> Opened {
        let process = cli
            .command_at_terminal(&format!("login --flow browser {arguments}"))
            .env("COUNTERSIGN_BROWSER", self.command())
            .start();
        let came = self.opened.wait_for_requests(1, LIMIT);
        assert!(came, "no browser was opened: {}", process.stdout());
        let requests = self.opened.requests();
        let address = requests.last().and_then(|it| it.form_value("address"));
        Opened {
            process,
            address: address.expect("the command sends it"),
            _desktop: self,
        }
    }
}

impl Default for Desktop {
    fn default() -> Self {
        Self::new()
    }
}

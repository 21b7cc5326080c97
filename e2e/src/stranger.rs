//! Implementations of the same standards by other people.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_testkit::{Browser, Page, Program, Running};
use serde_json::Value;

use crate::{Person, Seen};

/// A script of `e2e/node`, with its packages.
///
/// # Panics
/// When the packages are not installed; the message says how.
pub fn node(script: &str) -> Program {
    let directory = here("node");
    assert!(
        directory.join("node_modules").is_dir(),
        "the npm packages are missing: run `cargo xtask test`, or `npm ci` in {}",
        directory.display()
    );
    Program::new("node")
        .arg(directory.join(script))
        .dir(directory)
}

/// A script of `e2e/python`, run by the system's own Python, for which the packages are Debian's.
///
/// # Panics
/// When the packages are not installed; the message says how.
pub fn python(script: &str) -> Program {
    assert!(
        Path::new("/usr/lib/python3/dist-packages/authlib").is_dir(),
        "Authlib is missing: run `cargo xtask test`, or `apt-get install python3-authlib \
         python3-requests`"
    );
    let directory = here("python");
    Program::new("/usr/bin/python3")
        .arg(directory.join(script))
        .dir(directory)
}

fn here(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)
}

/// npm's `oidc-provider`, running on a loopback port until the value is dropped.
#[derive(Debug)]
pub struct NodeProvider {
    issuer: String,
    process: Running,
}

impl NodeProvider {
    /// Starts it with the options that `provider.mjs` describes.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(options: &Value) -> Self {
        let process = node("provider.mjs")
            .arg(options.to_string())
            .limit(Duration::from_secs(120))
            .start();
        let line = process.wait_for_stdout(|text| text.lines().next().map(str::to_owned));
        let ready: Value = serde_json::from_str(&line).expect("provider.mjs prints JSON");
        let issuer = ready
            .get("issuer")
            .and_then(Value::as_str)
            .expect("an issuer")
            .to_owned();
        Self { issuer, process }
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What it complained about so far.
    pub fn complaints(&self) -> String {
        self.process.stderr()
    }

    /// What it says about a token, when the client asks (RFC 7662).
    ///
    /// # Panics
    /// When it does not answer with JSON.
    pub fn introspect(&self, token: &str) -> Value {
        introspect(&format!("{}/token/introspection", self.issuer), token)
    }

    /// Plays the person: opens the complete verification address, confirms the code, signs in as
    /// this account and consents. Returns the last page.
    ///
    /// # Panics
    /// When a page is not the one that comes next.
    pub fn approve(&self, verification_uri_complete: &str, account: &str) -> Page {
        let mut browser = Browser::new();
        let page = browser.get(verification_uri_complete);
        // The first page has the code filled in and submits itself by script.
        let page = browser.submit(&page, &page.form_with("user_code"), &[]);
        let page = if page.text().contains("Confirm Device") {
            browser.submit(&page, &page.form_with("confirm"), &[])
        } else {
            page
        };
        let login = [("login", account), ("password", "any")];
        let page = browser.submit(&page, &page.form_with("login"), &login);
        let page = browser.submit(&page, &page.form_with("prompt"), &[]);
        assert!(
            page.text().contains("Sign-in Success"),
            "not approved: {}",
            page.text()
        );
        page
    }

    /// Plays the person whom an application has sent to the authorization endpoint: signs in as this
    /// account where need be, consents, and goes back to the application, whose page is returned.
    ///
    /// # Panics
    /// When a page is not the one that comes next.
    pub fn authorize(&self, browser: &mut Browser, address: &str, account: &str) -> Page {
        let mut page = browser.get(address);
        if page.text().contains("Sign-in") {
            let login = [("login", account), ("password", "any")];
            page = browser.submit(&page, &page.form_with("login"), &login);
        }
        browser.submit(&page, &page.form_with("prompt"), &[])
    }

    /// As `authorize`, in a real browser.
    ///
    /// # Panics
    /// When a page is not the one that comes next.
    pub fn authorize_in(&self, person: &Person, address: &str, account: &str) -> Seen {
        let seen = person.open(address);
        if seen.heading == "Sign-in" {
            person.fill(&[("login", account), ("password", "any")]);
            person.press("Sign-in");
        }
        person.press_and_leave("Continue")
    }

    /// Plays a person who is sent to the authorization endpoint and cancels there.
    ///
    /// # Panics
    /// When a page is not the one that comes next.
    pub fn cancel(&self, browser: &mut Browser, address: &str) -> Page {
        let page = browser.get(address);
        browser.get(page.link_to("/abort").as_str())
    }

    /// As `approve`, but the person aborts where the code is to be confirmed.
    ///
    /// # Panics
    /// When a page is not the one that comes next.
    pub fn deny(&self, verification_uri_complete: &str) -> Page {
        let mut browser = Browser::new();
        let page = browser.get(verification_uri_complete);
        let page = browser.submit(&page, &page.form_with("user_code"), &[]);
        browser.submit(&page, &page.form_with("confirm"), &[("abort", "yes")])
    }
}

/// What a server says about a token, when the client `cli` asks for it at this address.
pub(crate) fn introspect(endpoint: &str, token: &str) -> Value {
    let done = Program::new("curl")
        .args(["--silent", "--data-urlencode", "client_id=cli"])
        .arg("--data-urlencode")
        .arg(format!("token={token}"))
        .arg(endpoint)
        .run()
        .expect_code(0);
    match serde_json::from_str(&done.stdout) {
        Ok(answer) => answer,
        Err(error) => panic!("{endpoint}: {error}: {}", done.stdout),
    }
}

/// A stranger that plays a client: a script that prints one line of JSON for each step.
#[derive(Debug)]
pub struct Steps {
    process: Running,
    read: usize,
}

impl Steps {
    /// Starts the script.
    pub fn start(script: Program) -> Self {
        Self {
            process: script.start(),
            read: 0,
        }
    }

    /// The next line, which must be of this step.
    ///
    /// # Panics
    /// When another step comes, or none.
    pub fn expect(&mut self, step: &str) -> Value {
        let at = self.read;
        let line = self.process.wait_for_stdout(|text| {
            let whole = text.rsplit_once('\n').map(|(lines, _)| lines)?;
            whole.lines().nth(at).map(str::to_owned)
        });
        self.read += 1;
        let facts: Value = match serde_json::from_str(&line) {
            Ok(facts) => facts,
            Err(error) => panic!("{error} in {line}"),
        };
        assert_eq!(facts.get("step"), Some(&Value::from(step)), "{line}");
        facts
    }

    /// Waits for the script's good end.
    ///
    /// # Panics
    /// When it fails.
    pub fn finish(self) {
        self.process.finish().expect_code(0);
    }
}

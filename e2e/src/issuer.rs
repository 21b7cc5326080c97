//! The real `countersign-issuer`, with one user, and that user at its pages.

use std::path::Path;
use std::time::{Duration, Instant};

use countersign_testkit::{Browser, Page, Program, Running, bin};
use serde_json::Value;
use tempfile::TempDir;

use crate::stranger::introspect;
use crate::{Person, Prompt, Seen};

const PASSWORD: &str = "a sentence nobody guesses";

/// A running issuer on a free loopback port; it ends with the value.
#[derive(Debug)]
pub struct Issuer {
    state: TempDir,
    process: Running,
    origin: String,
}

impl Issuer {
    /// Starts an issuer with durable storage that knows the user `ada` and the client `cli`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As `start`, with more arguments for `serve`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_with(arguments: &[&str]) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        Program::new(bin("countersign-issuer"))
            .args([
                "user",
                "add",
                "ada",
                "--name",
                "Ada Lovelace",
                "--email",
                "ada@example.com",
            ])
            .arg("--state-dir")
            .arg(state.path())
            .stdin(format!("{PASSWORD}\n"))
            .run()
            .expect_code(0);
        let process = serve(&state, "127.0.0.1:0", arguments);
        let origin = process.wait_for_stdout(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("issuer="))?;
            text.ends_with('\n').then(|| line.to_owned())
        });
        Self {
            state,
            process,
            origin,
        }
    }

    /// Goes away: nobody answers any more.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.origin
    }

    /// Where it keeps its state, for an administrator's command that has more than words.
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Waits until it can sign with RS256: it makes that key after its start, in the background.
    ///
    /// # Panics
    /// When that takes more than a minute.
    pub fn wait_for_rs256(&self) {
        let begin = Instant::now();
        let address = format!("{}/.well-known/openid-configuration", self.origin);
        let ready = |document: &str| {
            let metadata: Value = serde_json::from_str(document).unwrap_or_default();
            metadata
                .get("id_token_signing_alg_values_supported")
                .and_then(Value::as_array)
                .is_some_and(|algorithms| algorithms.iter().any(|it| it == "RS256"))
        };
        while !ready(&Browser::new().get(&address).body) {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "no RS256 after a minute"
            );
        }
    }

    /// What it says about a token, when the client `cli` asks (RFC 7662).
    ///
    /// # Panics
    /// When it does not answer with JSON.
    pub fn introspect(&self, token: &str) -> Value {
        introspect(&format!("{}/introspect", self.origin), token)
    }

    /// Runs an administrator's command (`client add …`, arguments separated by spaces) and returns
    /// what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn administer(&self, arguments: &str) -> String {
        Program::new(bin("countersign-issuer"))
            .args(arguments.split_whitespace())
            .arg("--state-dir")
            .arg(self.state.path())
            .run()
            .expect_code(0)
            .stdout
    }

    /// What it says about the last renewals of somebody's logins: another text after each.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn renewals(&self, username: &str) -> String {
        self.administer(&format!("grant list {username}"))
    }

    /// Adds somebody, with what `user add` is told beside their name. Their password is that of `ada`.
    ///
    /// # Panics
    /// When that fails.
    pub fn add_person(&self, name: &str, more: &[&str]) {
        Program::new(bin("countersign-issuer"))
            .args(["user", "add", name])
            .args(more)
            .arg("--state-dir")
            .arg(self.state.path())
            .stdin(format!("{PASSWORD}\n"))
            .run()
            .expect_code(0);
    }

    /// Plays a person who reads a prompt: opens its address, types the code, signs in and approves, in
    /// whatever order that is asked. The page of the approval is returned.
    ///
    /// # Panics
    /// When there is nothing to approve.
    pub fn approve_typed(&self, person: &str, prompt: &Prompt) -> Page {
        assert_eq!(prompt.address, format!("{}/device", self.origin));
        let mut browser = Browser::new();
        let mut page = browser.get(&prompt.address);
        for _ in 0..4 {
            let has = |name: &str| page.forms().iter().any(|form| form.has(name));
            if has("decision") {
                let form = page.form_with("decision");
                browser.submit(&page, &form, &[("decision", "approve")]);
                return page;
            }
            page = if has("password") {
                let values = [("username", person), ("password", PASSWORD)];
                browser.submit(&page, &page.form_with("password"), &values)
            } else {
                let values = [("user_code", prompt.code.as_str())];
                browser.submit(&page, &page.form_with("user_code"), &values)
            };
        }
        panic!("nothing to approve: {}", page.text());
    }

    /// Plays the person: opens the address, signs in, compares the code and approves.
    ///
    /// # Panics
    /// When a page is not the one that comes next, or shows another code.
    pub fn approve(&self, address: &str, code: &str) -> Page {
        self.decide(address, code, "approve")
    }

    /// As `approve`, but the person denies.
    ///
    /// # Panics
    /// When a page is not the one that comes next, or shows another code.
    pub fn deny(&self, address: &str, code: &str) -> Page {
        self.decide(address, code, "deny")
    }

    /// Plays the person whom an application has sent to `/authorize`: signs in where need be, decides
    /// (`approve`, `deny`), and goes back to the application, whose page is returned.
    ///
    /// # Panics
    /// When a page is not the one that comes next.
    pub fn authorize(&self, browser: &mut Browser, address: &str, decision: &str) -> Page {
        let page = browser.get(address);
        let signs_in = page.forms().iter().any(|form| form.has("username"));
        let page = if signs_in {
            let credentials = [("username", "ada"), ("password", PASSWORD)];
            browser.submit(&page, &page.form_with("username"), &credentials)
        } else {
            page
        };
        browser.submit(
            &page,
            &page.form_with("decision"),
            &[("decision", decision)],
        )
    }

    /// As `authorize`, in a real browser.
    ///
    /// # Panics
    /// When a page is not the one that comes next.
    pub fn authorize_in(&self, person: &Person, address: &str, decision: &str) -> Seen {
        let mut seen = person.open(address);
        if seen.heading == "Sign in" {
            person.fill(&[("username", "ada"), ("password", PASSWORD)]);
            seen = person.press("Sign in");
        }
        assert_eq!(seen.heading, "Approve this sign-in?", "{}", seen.text);
        person.press_and_leave(if decision == "approve" {
            "Approve"
        } else {
            "Deny"
        })
    }

    /// Sets an authenticator up for `ada`, on the pages; no session of hers is left.
    ///
    /// # Panics
    /// When a page is not the one that comes next.
    pub fn set_up_authenticator(&self) -> Authenticator {
        let mut browser = Browser::new();
        let page = browser.get(&format!("{}/sign-in?for=factors", self.origin));
        let credentials = [("username", "ada"), ("password", PASSWORD)];
        browser.submit(&page, &page.form_with("username"), &credentials);
        let page = browser.get(&format!("{}/factors/totp?for=factors", self.origin));
        let secret = page.body.split_once("class=\"command secret\">");
        let secret = secret.and_then(|(_, rest)| rest.split_once('<'));
        let (secret, _) = secret.expect("the page shows the secret");
        let authenticator = Authenticator {
            secret: secret.to_owned(),
        };
        let code = authenticator.code("now");
        let page = browser.submit(&page, &page.form_with("code"), &[("code", &code)]);
        assert!(
            page.text().contains("Your recovery codes"),
            "{}",
            page.text()
        );
        let page = browser.get(&self.origin);
        browser.submit(
            &page,
            &page.form_with("everywhere"),
            &[("everywhere", "yes")],
        );
        authenticator
    }

    /// Plays the person at the page of a request, whatever it asks for, and approves it. What was
    /// asked for on the way: `password`, `code`.
    ///
    /// # Panics
    /// When a page is none of these.
    pub fn do_as_asked(
        &self,
        browser: &mut Browser,
        address: &str,
        authenticator: Option<&Authenticator>,
    ) -> Vec<&'static str> {
        assert!(address.starts_with(&self.origin), "{address} is elsewhere");
        let mut asked = Vec::new();
        let mut page = browser.get(address);
        while asked.len() < 5 {
            let has = |name: &str| page.forms().iter().any(|form| form.has(name));
            page = if has("username") {
                asked.push("password");
                let credentials = [("username", "ada"), ("password", PASSWORD)];
                browser.submit(&page, &page.form_with("username"), &credentials)
            } else if has("code") {
                asked.push("code");
                let authenticator = authenticator.expect("somebody with an authenticator");
                // The one after this, which is taken as well: this one may be used up.
                let code = authenticator.code("now + 30 seconds");
                browser.submit(&page, &page.form_with("code"), &[("code", &code)])
            } else {
                let decision = if page.text().contains("This needs a second factor") {
                    "unmet"
                } else {
                    "approve"
                };
                let form = page.form_with("decision");
                browser.submit(&page, &form, &[("decision", decision)]);
                return asked;
            };
        }
        panic!("it asks again and again: {asked:?}");
    }

    fn decide(&self, address: &str, code: &str, decision: &str) -> Page {
        assert!(
            address.starts_with(&self.origin),
            "{address} is not the issuer's"
        );
        let mut browser = Browser::new();
        let page = browser.get(address);
        let credentials = [("username", "ada"), ("password", PASSWORD)];
        let page = browser.submit(&page, &page.form_with("username"), &credentials);
        assert!(
            page.text().contains(code),
            "another code is shown: {}",
            page.text()
        );
        browser.submit(
            &page,
            &page.form_with("decision"),
            &[("decision", decision)],
        )
    }
}

/// `oathtool`, which has learned the secret from a page.
#[derive(Debug)]
pub struct Authenticator {
    secret: String,
}

impl Authenticator {
    /// The code of a time, in the words of `oathtool`.
    fn code(&self, time: &str) -> String {
        let shown = Program::new("oathtool")
            .args(["--totp", "--base32", "--now", time, "-"])
            .stdin(format!("{}\n", self.secret))
            .run()
            .expect_code(0);
        shown.stdout.trim().to_owned()
    }
}

fn serve(state: &TempDir, listen: &str, more: &[&str]) -> Running {
    Program::new(bin("countersign-issuer"))
        .args(["serve", "--listen", listen, "--state-dir"])
        .arg(state.path())
        .args(more)
        .limit(Duration::from_secs(300))
        .start()
}

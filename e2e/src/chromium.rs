//! A real Chromium, and persons at it, driven by `e2e/browser/driver.js`.
//!
//! One Chromium serves all tests of a process: starting it takes longer than most of them.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use countersign_testkit::{Program, Running};
use serde_json::{Value, json};

/// All tests of a process together take less.
const LIMIT: Duration = Duration::from_secs(240);

/// The script that drives a Chromium, or is a test of pages.
///
/// # Panics
/// When its packages are not installed; the message says how.
pub fn browser_script(script: &str) -> Program {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        directory.join("node_modules/puppeteer-core").is_dir(),
        "the browser's driver is not installed: run `cargo xtask test`, or `npm ci` in e2e/browser"
    );
    Program::new("node").arg(script).dir(directory).limit(LIMIT)
}

/// A person at a browser that nobody else has used.
#[derive(Debug)]
pub struct Person {
    name: String,
    among_strangers: bool,
    script: bool,
    left: bool,
}

/// What the person sees.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What stands in the address bar.
    pub url: String,
    /// The status of the page, if it was just loaded.
    pub status: Option<u64>,
    /// The heading.
    pub heading: String,
    /// Everything that can be read.
    pub text: String,
}

/// Started when first needed. It ends with this process, whose end of its standard input closes then.
fn driver() -> &'static Running {
    static DRIVER: OnceLock<Running> = OnceLock::new();
    DRIVER.get_or_init(|| {
        let running = browser_script("driver.js").listening().start();
        running.wait_for_stdout(|text| outcome(text, 0));
        running
    })
}

/// The line that answers this command.
fn outcome(lines: &str, id: u64) -> Option<Value> {
    let (whole, _) = lines.rsplit_once('\n')?;
    whole
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|outcome| outcome.get("id") == Some(&json!(id)))
}

impl Person {
    /// A person who has never been anywhere.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("person-{number}"),
            among_strangers: false,
            script: false,
            left: false,
        }
    }

    /// One who visits pages that are not ours, of which nothing is expected.
    pub fn among_strangers() -> Self {
        let mut person = Self::new();
        person.among_strangers = true;
        person
    }

    /// One whose browser runs scripts, which none of the issuer's pages and none of the program's has.
    pub fn with_scripts() -> Self {
        let mut person = Self::new();
        person.script = true;
        person
    }

    /// Opens an address, as if typed.
    ///
    /// # Panics
    /// When there is no page.
    pub fn open(&self, url: &str) -> Seen {
        self.see(json!({ "act": "open", "url": url }))
    }

    /// Types into the fields of these names.
    ///
    /// # Panics
    /// When there is no such field.
    pub fn fill(&self, fields: &[(&str, &str)]) {
        let fields: serde_json::Map<String, Value> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        self.act(json!({ "act": "fill", "fields": fields }));
    }

    /// Presses the button with this text, and looks at the page that it leads to.
    ///
    /// # Panics
    /// When there is no such button, or it leads nowhere.
    pub fn press(&self, button: &str) -> Seen {
        self.see(json!({ "act": "press", "button": button }))
    }

    /// Presses the button with this text, waits until the browser has left for another origin by
    /// itself, and looks at the page there.
    ///
    /// # Panics
    /// When there is no such button, or the browser stays.
    pub fn press_and_leave(&self, button: &str) -> Seen {
        self.see(json!({ "act": "pressAndLeave", "button": button }))
    }

    /// Looks at the page once more.
    pub fn look(&self) -> Seen {
        self.see(json!({ "act": "look" }))
    }

    /// Examines how the page looks, and leaves pictures of it in `target/screenshots`.
    ///
    /// # Panics
    /// When it does not fit a narrow screen, or some people could not read it.
    pub fn looks_right(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
        self.act(json!({ "act": "looksRight", "folder": folder, "name": name }));
    }

    /// Ends the visit.
    ///
    /// # Panics
    /// When the browser complained of anything on the way: a violated policy, a failed or foreign
    /// request, an error of a script.
    pub fn leave(mut self) {
        self.left = true;
        let left = self.act(json!({ "act": "leave" }));
        let complaints = left.get("complaints");
        assert!(
            self.among_strangers || complaints == Some(&json!([])),
            "{left}"
        );
    }

    fn see(&self, command: Value) -> Seen {
        let seen = self.act(command);
        let text = |name: &str| {
            let text = seen.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Seen {
            url: text("url"),
            status: seen.get("status").and_then(Value::as_u64),
            heading: text("heading"),
            text: text("text"),
        }
    }

    fn act(&self, mut command: Value) -> Value {
        static NEXT: Mutex<u64> = Mutex::new(1);
        let id = {
            let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
            let id = *next;
            *next += 1;
            if let Some(members) = command.as_object_mut() {
                members.insert("id".to_owned(), json!(id));
                members.insert("person".to_owned(), json!(self.name));
                members.insert("script".to_owned(), json!(self.script));
            }
            // While the lock is held, so that lines do not mix.
            driver().tell(&command.to_string());
            id
        };
        let outcome = driver().wait_for_stdout(|lines| outcome(lines, id));
        match outcome.get("seen") {
            Some(seen) => seen.clone(),
            None => panic!("{}: {outcome}", self.name),
        }
    }
}

impl Default for Person {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // A test that forgets to leave would not hear the complaints.
        assert!(
            self.left || std::thread::panicking(),
            "{} did not leave",
            self.name
        );
    }
}

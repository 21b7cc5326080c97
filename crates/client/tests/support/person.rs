//! Somebody at a desk: a terminal, a browser, and a clipboard between them.

use std::collections::{HashMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use countersign_client::{
    AuthorizationPrompt, DevicePrompt, Error, Fallback, Login, Notice, PasteRefused, Prompt,
    Secret, Session,
};
use url::Url;

use super::{Recorder, Server, World};

type Doing = Box<dyn FnOnce(&Desk) + Send>;

/// What the person sees in the terminal, and does in the browser.
#[derive(Default)]
pub(crate) struct Person {
    pub(crate) seen: Recorder,
    pub(crate) refused: Vec<PasteRefused>,
    pub(crate) offers: Vec<Fallback>,
    accepts: bool,
    hesitates: bool,
    pastes: bool,
    server: Option<Arc<Server>>,
    doing: Option<Doing>,
    busy: Option<JoinHandle<()>>,
    clipboard: Arc<Mutex<VecDeque<String>>>,
    pages: Arc<Mutex<Vec<String>>>,
}

/// Where the person sits.
pub(crate) struct Desk {
    pub(crate) shown: AuthorizationPrompt,
    pub(crate) server: Arc<Server>,
    clipboard: Arc<Mutex<VecDeque<String>>>,
    pages: Arc<Mutex<Vec<String>>>,
}

impl Person {
    /// Somebody who reads, and does nothing.
    pub(crate) fn idle() -> Self {
        Self::default()
    }

    /// Somebody who does `doing` when a page is to be opened.
    pub(crate) fn who(doing: impl FnOnce(&Desk) + Send + 'static) -> Self {
        Self {
            doing: Some(Box::new(doing)),
            ..Self::default()
        }
    }

    /// Somebody who signs in, in a browser on this computer.
    pub(crate) fn who_signs_in() -> Self {
        Self::who(|desk| {
            let back = desk.sign_in();
            desk.open(&back);
        })
    }

    /// The same, and can paste.
    pub(crate) fn pasting(mut self) -> Self {
        self.pastes = true;
        self
    }

    /// The same, and takes every other way that is offered.
    pub(crate) fn accepting(mut self) -> Self {
        self.accepts = true;
        self
    }

    /// The same, and looks at each offer until nobody needs an answer any more.
    pub(crate) fn hesitating(mut self) -> Self {
        self.hesitates = true;
        self
    }

    /// Goes through a login, and gets up when it is over.
    pub(crate) fn go_through(
        mut self,
        world: &World,
        login: &Login,
    ) -> (Result<Session, Error>, Self) {
        self.server = Some(Arc::clone(&world.server));
        let outcome = login.run(&mut self);
        if let Some(busy) = self.busy.take() {
            busy.join().unwrap();
        }
        (outcome, self)
    }

    /// What the browser was shown, in order.
    pub(crate) fn pages(&self) -> Vec<String> {
        self.pages.lock().unwrap().clone()
    }

    /// Everything that was said to the person.
    pub(crate) fn heard(&self) -> String {
        let Recorder {
            notices, devices, ..
        } = &self.seen;
        format!(
            "{notices:?} {devices:?} {:?} {:?} {:?}",
            self.offers,
            self.refused,
            self.pages()
        )
    }
}

impl Desk {
    /// Opens the page and approves: the address that the browser ends on.
    pub(crate) fn sign_in(&self) -> Url {
        self.server.visit(&self.shown.url)
    }

    /// Opens an address on this computer, and looks at what is shown.
    pub(crate) fn open(&self, address: &Url) -> String {
        let page = get(address);
        self.pages.lock().unwrap().push(page.clone());
        page
    }

    /// Copies something, and pastes it into the terminal.
    pub(crate) fn paste(&self, text: &str) {
        self.clipboard.lock().unwrap().push_back(text.to_owned());
    }
}

impl Prompt for Person {
    fn show_device(&mut self, device: &DevicePrompt) {
        self.seen.show_device(device);
    }

    fn show_authorization(&mut self, authorization: &AuthorizationPrompt) {
        self.seen.show_authorization(authorization);
        let Some(doing) = self.doing.take() else {
            return;
        };
        let desk = Desk {
            shown: authorization.clone(),
            server: Arc::clone(self.server.as_ref().unwrap()),
            clipboard: Arc::clone(&self.clipboard),
            pages: Arc::clone(&self.pages),
        };
        self.busy = Some(thread::spawn(move || doing(&desk)));
    }

    fn takes_paste(&self) -> bool {
        self.pastes
    }

    fn pasted(&mut self) -> Option<Secret> {
        let line = self.clipboard.lock().unwrap().pop_front();
        line.map(Secret::new)
    }

    fn paste_refused(&mut self, refused: &PasteRefused) {
        self.refused.push(*refused);
    }

    fn offer(&mut self, fallback: &Fallback) -> bool {
        self.offers.push(fallback.clone());
        self.accepts
    }

    fn offer_meanwhile(&mut self, fallback: &Fallback, settled: &mut dyn FnMut() -> bool) -> bool {
        let begin = Instant::now();
        while self.hesitates && !settled() {
            assert!(begin.elapsed() < Duration::from_secs(20), "asked for ever");
            thread::sleep(Duration::from_millis(1));
        }
        self.offer(fallback)
    }

    fn waiting(&mut self, remaining: Duration) {
        self.seen.waiting(remaining);
    }

    fn notice(&mut self, notice: &Notice) {
        self.seen.notice(notice);
    }

    fn finished(&mut self) {
        self.seen.finished();
    }

    fn cancelled(&self) -> bool {
        self.seen.cancelled()
    }
}

/// What a browser gets from an address on this computer; nothing when nobody listens there.
pub(crate) fn get(address: &Url) -> String {
    let host = address.host_str().unwrap();
    let port = address.port().unwrap();
    let Ok(mut stream) = TcpStream::connect((host.trim_matches(['[', ']']), port)) else {
        return String::new();
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let query = address.query().unwrap_or_default();
    let request = format!(
        "GET {}?{query} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n",
        address.path()
    );
    let mut answer = String::new();
    let got = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer));
    match got {
        Ok(_) => answer,
        Err(_) => String::new(),
    }
}

/// The parameters of an address.
pub(crate) fn query(address: &str) -> HashMap<String, String> {
    let address = Url::parse(address).unwrap();
    address.query_pairs().into_owned().collect()
}

//! An authorization server in memory, and a clock that moves when told: what the tests of the client
//! share. No sockets, no waiting.

#![allow(dead_code, reason = "each test program uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

pub(crate) mod code;
pub(crate) mod person;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use countersign_client::{
    AuthorizationPrompt, Browser, Clock, Context, DevicePrompt, Directories, Environment,
    HttpOptions, Login, Notice, Prompt, SessionName, Timestamp, Transport,
};
use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, SigningKey, base64url};
use countersign_oauth::{HttpRequest, HttpResponse, Method, TransportError};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const ISSUER: &str = "https://id.example.com";

/// When every test begins: 21 November 2026, in seconds since 1970.
pub(crate) const START: i64 = 1_795_219_200;

/// A clock that moves when it is told to, and when somebody sleeps.
#[derive(Debug)]
pub(crate) struct FakeClock {
    clocks: Mutex<(Timestamp, Duration)>,
    /// Whether sleeping lets others do something: a browser on another thread.
    yields: AtomicBool,
    is_crowded: AtomicBool,
}

impl FakeClock {
    pub(crate) fn new() -> Self {
        Self {
            clocks: Mutex::new((Timestamp::from_secs(START), Duration::ZERO)),
            yields: AtomicBool::new(false),
            is_crowded: AtomicBool::new(false),
        }
    }

    /// From now on, whoever sleeps really waits a moment, whatever the time it takes here.
    pub(crate) fn yields(&self) {
        self.yields.store(true, Ordering::SeqCst);
    }

    /// From now on many threads wait for one: each really waits, and lets little time pass here, so
    /// that together they do not use up the time of one that gets no processor.
    pub(crate) fn is_crowded(&self) {
        self.is_crowded.store(true, Ordering::SeqCst);
    }

    /// Lets seconds pass on both clocks.
    pub(crate) fn pass(&self, seconds: u64) {
        self.sleep(Duration::from_secs(seconds));
    }

    /// Moves the time of day; the monotonic clock does not notice.
    pub(crate) fn jump(&self, seconds: i64) {
        let mut clocks = self.clocks.lock().unwrap();
        clocks.0 = Timestamp::from_millis(clocks.0.as_millis() + seconds * 1000);
    }

    pub(crate) fn seconds(&self) -> i64 {
        self.now().as_secs()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.clocks.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.clocks.lock().unwrap().1
    }

    fn sleep(&self, duration: Duration) {
        if self.yields.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let duration = if self.is_crowded.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
            duration.min(Duration::from_millis(1))
        } else {
            duration
        };
        let mut clocks = self.clocks.lock().unwrap();
        *clocks = (clocks.0 + duration, clocks.1 + duration);
    }
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) form: HashMap<String, String>,
    pub(crate) authorization: Option<String>,
    /// The DPoP proof.
    pub(crate) proof: Option<String>,
    pub(crate) at: i64,
}

/// What to do with the next request to a path instead of answering it.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The request gets no answer.
    Transport(TransportError),
    /// An answer of another kind.
    Answer(u16, Value),
    /// An answer that is no JSON.
    Text(u16, &'static str),
    /// The answer is lost on the way back: the server has acted on the request.
    Lost,
}

type Edit = Box<dyn FnMut(&mut Value) + Send>;

/// The server. Refresh tokens are good once, and one that is used twice ends its whole family.
pub(crate) struct Server {
    pub(crate) clock: Arc<FakeClock>,
    state: Mutex<State>,
    token_requests: AtomicUsize,
}

struct State {
    signing: SigningKey,
    published: Vec<Value>,
    seen: Vec<Seen>,
    faults: HashMap<&'static str, VecDeque<Fault>>,
    always: HashMap<&'static str, Fault>,
    edits: HashMap<&'static str, Vec<Edit>>,
    id_token_edits: Vec<Edit>,
    headers: Vec<(String, String)>,
    pending: usize,
    issued: usize,
    /// Whether each has been used, and the key it is bound to.
    refresh_tokens: HashMap<String, (bool, Option<String>)>,
    family_dead: bool,
    /// What the server's clock shows more than ours, in seconds.
    pub(crate) ahead: i64,
    access_lifetime: u64,
    renews_id_token: bool,
    code: code::Codes,
}

impl Server {
    pub(crate) fn new(clock: &Arc<FakeClock>) -> Arc<Self> {
        let signing = new_key();
        Arc::new(Self {
            clock: Arc::clone(clock),
            token_requests: AtomicUsize::new(0),
            state: Mutex::new(State {
                published: vec![signing.public_jwk()],
                signing,
                seen: Vec::new(),
                faults: HashMap::new(),
                always: HashMap::new(),
                edits: HashMap::new(),
                id_token_edits: Vec::new(),
                headers: Vec::new(),
                pending: 1,
                issued: 0,
                refresh_tokens: HashMap::new(),
                family_dead: false,
                ahead: 0,
                access_lifetime: 600,
                renews_id_token: true,
                code: code::Codes::default(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        self.state()
            .seen
            .iter()
            .filter(|seen| seen.path == path)
            .cloned()
            .collect()
    }

    pub(crate) fn all_seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub(crate) fn next(&self, path: &'static str, fault: Fault) {
        self.state()
            .faults
            .entry(path)
            .or_default()
            .push_back(fault);
    }

    pub(crate) fn always(&self, path: &'static str, fault: Fault) {
        self.state().always.insert(path, fault);
    }

    pub(crate) fn recover(&self) {
        self.state().always.clear();
    }

    /// Nothing answers any more.
    pub(crate) fn go_down(&self) {
        for path in [
            "/.well-known/openid-configuration",
            "/jwks",
            "/device",
            "/token",
            "/revoke",
            "/userinfo",
        ] {
            let reason = "connection refused".to_owned();
            self.always(path, Fault::Transport(TransportError::Connect { reason }));
        }
    }

    /// Changes every answer of a path that would have been a success.
    pub(crate) fn edit(&self, path: &'static str, edit: impl FnMut(&mut Value) + Send + 'static) {
        self.state()
            .edits
            .entry(path)
            .or_default()
            .push(Box::new(edit));
    }

    /// Changes the claims of every ID token.
    pub(crate) fn edit_id_token(&self, edit: impl FnMut(&mut Value) + Send + 'static) {
        self.state().id_token_edits.push(Box::new(edit));
    }

    pub(crate) fn header(&self, name: &str, value: &str) {
        self.state()
            .headers
            .push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn pending(&self, polls: usize) {
        self.state().pending = polls;
    }

    pub(crate) fn ahead(&self, seconds: i64) {
        self.state().ahead = seconds;
    }

    pub(crate) fn access_lifetime(&self, seconds: u64) {
        self.state().access_lifetime = seconds;
    }

    pub(crate) fn renews_no_id_token(&self) {
        self.state().renews_id_token = false;
    }

    /// Signs with a new key and publishes it beside the old.
    pub(crate) fn rotate_keys(&self) {
        let mut state = self.state();
        state.signing = new_key();
        let public = state.signing.public_jwk();
        state.published.push(public);
    }

    /// Signs with a key that is not published.
    pub(crate) fn sign_with_unpublished_key(&self) {
        self.state().signing = new_key();
    }

    /// The person ends the session at the server.
    pub(crate) fn end_session(&self) {
        self.state().family_dead = true;
    }

    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> String {
        self.state().signing.sign(typ, claims).unwrap()
    }
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256, ring::provider()).unwrap()
}

impl Transport for Server {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        assert!(!limit.is_zero(), "nobody asks for an answer in no time");
        let form: HashMap<String, String> = request
            .body
            .as_ref()
            .map(|body| {
                url::form_urlencoded::parse(body.expose().as_bytes())
                    .into_owned()
                    .collect()
            })
            .unwrap_or_default();
        let path = request.url.path().to_owned();
        let header = |wanted: &str| {
            let mut all = request.headers.iter();
            let found = all.find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.expose().to_owned())
        };
        let at = self.clock.seconds();
        let seen = Seen {
            path: path.clone(),
            form,
            authorization: header("authorization"),
            proof: header("dpop"),
            at,
        };
        let mut state = self.state();
        state.seen.push(seen.clone());
        let fault = state
            .faults
            .get_mut(path.as_str())
            .and_then(VecDeque::pop_front)
            .or_else(|| state.always.get(path.as_str()).cloned());
        let fault = match fault {
            Some(Fault::Transport(error)) => return Err(error),
            Some(Fault::Answer(status, body)) => return Ok(state.answer(at, status, &body)),
            Some(Fault::Text(status, text)) => {
                let mut answer = state.answer(at, status, &Value::Null);
                answer.headers.retain(|(name, _)| name != "content-type");
                answer.body = text.as_bytes().to_vec();
                return Ok(answer);
            }
            other => other,
        };
        if path == "/token" {
            self.token_requests.fetch_add(1, Ordering::SeqCst);
        }
        let (status, mut body) = match (request.method, path.as_str()) {
            (Method::Get, "/.well-known/openid-configuration") => (200, state.metadata()),
            (Method::Get, "/jwks") => (200, json!({ "keys": state.published })),
            (Method::Post, "/device") => (200, device_authorization()),
            (Method::Post, "/token") => state.token(&seen),
            (Method::Post, "/par") => state.push(&seen),
            (Method::Post, "/revoke") => {
                state.family_dead = true;
                (200, json!({}))
            }
            (Method::Get, "/userinfo") => state.userinfo(&seen),
            _ => (404, json!({ "error": "not_found" })),
        };
        if status == 200 {
            for edit in state.edits.get_mut(path.as_str()).into_iter().flatten() {
                edit(&mut body);
            }
        }
        match fault {
            Some(Fault::Lost) => Err(TransportError::Closed),
            _ => Ok(state.answer(at, status, &body)),
        }
    }
}

impl State {
    fn answer(&self, at: i64, status: u16, body: &Value) -> HttpResponse {
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("date".to_owned(), http_date(at + self.ahead)),
        ];
        headers.extend(self.headers.clone());
        HttpResponse {
            status,
            headers,
            body: body.to_string().into_bytes(),
        }
    }

    fn token(&mut self, asked: &Seen) -> (u16, Value) {
        let refused = |error: &str| (400, json!({ "error": error }));
        let form = &asked.form;
        let thumbprint = match self.proved(asked, "POST", None) {
            Ok(thumbprint) => thumbprint,
            Err(refusal) => return refusal,
        };
        if let Err(refusal) = self.authenticated(asked) {
            return refusal;
        }
        if let Some(refusal) = self.lacks_proof(thumbprint.as_deref()) {
            return refusal;
        }
        let mut nonce = None;
        let renewal = match form["grant_type"].as_str() {
            "urn:ietf:params:oauth:grant-type:device_code" => {
                if self.pending > 0 {
                    self.pending -= 1;
                    return refused("authorization_pending");
                }
                self.family_dead = false;
                false
            }
            "authorization_code" => match self.redeem(form, thumbprint.as_deref()) {
                Ok(asked_with) => {
                    self.family_dead = false;
                    nonce = Some(asked_with);
                    false
                }
                Err(refusal) => return refusal,
            },
            "client_credentials" => {
                self.issued += 1;
                let body = json!({
                    "access_token": format!("secret-access-{}", self.issued),
                    "token_type": token_type(thumbprint.is_some()),
                    "expires_in": self.access_lifetime,
                });
                return (200, body);
            }
            "urn:ietf:params:oauth:grant-type:token-exchange" => {
                self.issued += 1;
                let body = json!({
                    "access_token": format!("secret-exchanged-{}", self.issued),
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                    "token_type": token_type(thumbprint.is_some()),
                    "expires_in": self.access_lifetime,
                });
                return (200, body);
            }
            "refresh_token" => {
                match self.refresh_tokens.get_mut(&form["refresh_token"]) {
                    // Used before: somebody has stolen it, or a client is careless.
                    Some((spent @ false, bound)) if *bound == thumbprint => *spent = true,
                    _ => self.family_dead = true,
                }
                if self.family_dead {
                    return refused("invalid_grant");
                }
                true
            }
            _ => return refused("unsupported_grant_type"),
        };
        self.issued += 1;
        let access_token = format!("secret-access-{}", self.issued);
        let refresh_token = format!("secret-refresh-{}", self.issued);
        self.refresh_tokens
            .insert(refresh_token.clone(), (false, thumbprint.clone()));
        let mut body = json!({
            "access_token": access_token, "token_type": token_type(thumbprint.is_some()),
            "expires_in": self.access_lifetime, "refresh_token": refresh_token,
        });
        if !renewal || self.renews_id_token {
            let now = asked.at + self.ahead;
            let digest = ring::provider().sha256(access_token.as_bytes());
            let mut claims = json!({
                "iss": ISSUER, "sub": "ada", "aud": "cli", "iat": now, "exp": now + 600,
                "at_hash": base64url::encode(&digest[..16]),
                "name": "Ada Lovelace", "email": "ada@example.com",
            });
            if let Some(nonce) = nonce {
                claims["nonce"] = nonce.into();
            }
            for edit in &mut self.id_token_edits {
                edit(&mut claims);
            }
            body["id_token"] = self.signing.sign("JWT", &claims).unwrap().into();
        }
        (200, body)
    }

    fn userinfo(&mut self, asked: &Seen) -> (u16, Value) {
        let authorization = asked.authorization.clone().unwrap_or_default();
        if let Some(token) = authorization.strip_prefix("DPoP ")
            && let Err(refusal) = self.proved(asked, "GET", Some(token))
        {
            return refusal;
        }
        (200, json!({ "sub": "ada", "name": "Ada Lovelace" }))
    }
}

fn token_type(bound: bool) -> &'static str {
    if bound { "DPoP" } else { "Bearer" }
}

fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "token_endpoint": format!("{ISSUER}/token"),
        "device_authorization_endpoint": format!("{ISSUER}/device"),
        "jwks_uri": format!("{ISSUER}/jwks"),
        "userinfo_endpoint": format!("{ISSUER}/userinfo"),
        "revocation_endpoint": format!("{ISSUER}/revoke"),
    })
}

fn device_authorization() -> Value {
    json!({
        "device_code": "secret-device-code", "user_code": "WDJB-MJHT", "expires_in": 600, "interval": 5,
        "verification_uri": format!("{ISSUER}/go"),
        "verification_uri_complete": format!("{ISSUER}/go?user_code=WDJB-MJHT"),
    })
}

/// The date as HTTP writes it. The days of these tests are all in November 2026.
fn http_date(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(86_400);
    let day = seconds.div_euclid(86_400) - START.div_euclid(86_400) + 21;
    assert!((1..=30).contains(&day), "the tests take place in one month");
    format!(
        "Sat, {day:02} Nov 2026 {:02}:{:02}:{:02} GMT",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// A prompt that remembers what it was told.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) devices: Vec<DevicePrompt>,
    pub(crate) authorizations: Vec<AuthorizationPrompt>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) remaining: Vec<Duration>,
    pub(crate) finished: usize,
    /// Stops the login after being shown the time this often.
    pub(crate) patience: Option<usize>,
}

impl Prompt for Recorder {
    fn show_device(&mut self, device: &DevicePrompt) {
        self.devices.push(device.clone());
    }

    fn show_authorization(&mut self, authorization: &AuthorizationPrompt) {
        self.authorizations.push(authorization.clone());
    }

    fn waiting(&mut self, remaining: Duration) {
        self.remaining.push(remaining);
    }

    fn notice(&mut self, notice: &Notice) {
        self.notices.push(notice.clone());
    }

    fn finished(&mut self) {
        self.finished += 1;
    }

    fn cancelled(&self) -> bool {
        self.patience
            .is_some_and(|patience| self.remaining.len() >= patience)
    }
}

/// A server, a clock, and an empty home for one test.
pub(crate) struct World {
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) server: Arc<Server>,
    pub(crate) home: TempDir,
    pub(crate) context: Context,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(FakeClock::new());
        let server = Server::new(&clock);
        let home = tempfile::tempdir().unwrap();
        let directories = Directories::new(home.path().join("state"), home.path().join("cache"));
        let context = Context::new(directories, HttpOptions::default())
            .with_clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .with_transport(Arc::clone(&server) as Arc<dyn Transport>);
        Self {
            clock,
            server,
            home,
            context,
        }
    }

    pub(crate) fn name() -> SessionName {
        SessionName::new("default").unwrap()
    }

    /// A login from a place without a browser, at a server that offers the device grant alone.
    pub(crate) fn login(&self) -> Login {
        Login::new(ISSUER, "cli")
            .unwrap()
            .session_name(Self::name())
            .context(self.context.clone())
            .environment(Environment::default())
            .browser(Browser::Never)
    }

    /// A world whose server has a page for browsers as well.
    pub(crate) fn with_browser() -> Self {
        let world = Self::new();
        world.server.offers_code();
        world.clock.yields();
        world
    }

    /// Whatever is said and kept holds no secret.
    pub(crate) fn assert_discreet(said: &str) {
        assert!(!said.contains("secret-"), "{said}");
    }

    /// A world in which somebody has signed in.
    pub(crate) fn signed_in() -> Self {
        let world = Self::new();
        world.login().run(&mut Recorder::default()).unwrap();
        world
    }

    /// The file of the session.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.home.path().join("state/sessions/default.json")
    }
}

//! An issuer in memory, and browsers that talk to its router without a socket.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use countersign_issuer::core::{
    AskedSignIn, ClientCredentials, Core, DeviceRequest, KeyServers, Keys, NewAccount, Policy,
    SecondFactorPolicy, StartedDevice, Tokens,
};
use countersign_issuer::http::{self as issuer_http, AppState, Peer, Settings};
use countersign_issuer::storage::Memory;
use countersign_jose::{Timestamp, crypto};
use countersign_oauth::{Issuer, Secret};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tower_service::Service as _;
use url::form_urlencoded;

pub(crate) const ORIGIN: &str = "http://127.0.0.1:4455";
pub(crate) const PASSWORD: &str = "a sentence nobody guesses";

/// When every issuer here begins, in milliseconds since 1970.
pub(crate) const BEGINNING: i64 = 1_800_000_000_000;

/// An issuer with the account `ada` and the client `cli`.
pub(crate) struct Site {
    pub(crate) core: Arc<Core>,
    router: Router,
    clock: Arc<AtomicI64>,
    issuer: url::Url,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::at(ORIGIN).await
    }

    pub(crate) async fn at(issuer: &str) -> Self {
        let site = Self::without_accounts(issuer).await;
        site.add("ada").await;
        site
    }

    /// An issuer that asks for second factors at other times, with `ada`.
    pub(crate) async fn asking(second_factor: SecondFactorPolicy) -> Self {
        let change = |policy: &mut Policy| policy.second_factor = second_factor;
        let site = Self::made(ORIGIN, change, |core| core).await;
        site.add("ada").await;
        site
    }

    /// An issuer that asks these about keys which it does not know, with `ada`.
    pub(crate) async fn with_key_servers(servers: Arc<dyn KeyServers>) -> Self {
        let site = Self::made(ORIGIN, |_| {}, |core| core.with_key_servers(servers)).await;
        site.add("ada").await;
        site
    }

    pub(crate) async fn without_accounts(issuer: &str) -> Self {
        Self::made(issuer, |_| {}, |core| core).await
    }

    async fn made(
        issuer: &str,
        change: impl FnOnce(&mut Policy),
        finish: impl FnOnce(Core) -> Core,
    ) -> Self {
        let clock = Arc::new(AtomicI64::new(BEGINNING));
        let keys = Keys::generate(crypto::aws_lc::provider()).unwrap();
        let mut policy = Policy::new(Issuer::parse(issuer).unwrap());
        change(&mut policy);
        let core = Core::new(Box::new(Memory::new()), keys, policy);
        let core = Arc::new(finish(core));
        let issuer = url::Url::parse(issuer).unwrap();
        let time = Arc::clone(&clock);
        let now = move || Timestamp::from_millis(time.load(Ordering::Relaxed));
        let state = AppState::new(Arc::clone(&core), Settings::new(issuer.clone()), now);
        let router = issuer_http::router(&state);
        let site = Self {
            core,
            router,
            clock,
            issuer,
        };
        site.core.ensure_default_client(site.now()).await.unwrap();
        site
    }

    pub(crate) async fn add(&self, username: &str) {
        let account = NewAccount {
            username: username.to_owned(),
            name: None,
            email: None,
            password: Secret::from(PASSWORD.to_owned()),
        };
        self.core
            .add_account(account, Vec::new(), self.now())
            .await
            .unwrap()
            .unwrap();
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::Relaxed))
    }

    pub(crate) fn wait(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    /// A device login, begun by a terminal.
    pub(crate) async fn device(&self) -> StartedDevice {
        self.device_claiming(None, None).await
    }

    pub(crate) async fn device_claiming(
        &self,
        host: Option<&str>,
        command: Option<&str>,
    ) -> StartedDevice {
        self.begin(host, command, AskedSignIn::default()).await
    }

    /// A device login that asks something of the sign-in.
    pub(crate) async fn device_asking(&self, sign_in: AskedSignIn) -> StartedDevice {
        self.begin(None, None, sign_in).await
    }

    async fn begin(
        &self,
        host: Option<&str>,
        command: Option<&str>,
        sign_in: AskedSignIn,
    ) -> StartedDevice {
        let request = DeviceRequest {
            credentials: credentials(),
            scope: Some("openid email offline_access".to_owned()),
            resources: Vec::new(),
            audiences: Vec::new(),
            sign_in,
            peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
            claimed_host: host.map(str::to_owned),
            claimed_command: command.map(str::to_owned),
        };
        self.core.start_device(request, self.now()).await.unwrap()
    }

    /// What a poll for `device` is answered: `"tokens"`, or the error's code.
    pub(crate) async fn poll(&self, device: &StartedDevice) -> String {
        // Polls that keep the interval are never told to slow down.
        self.wait(device.interval);
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
            .append_pair("client_id", "cli")
            .append_pair("device_code", device.device_code.expose())
            .finish();
        let answer = self.browser().send("POST", "/token", &[], Some(body)).await;
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        json["error"].as_str().unwrap_or("tokens").to_owned()
    }

    /// Approves a new device login in `browser` and redeems it.
    async fn log_in(&self, browser: &mut Browser<'_>) -> Tokens {
        let device = self.device().await;
        let code = ("user_code", device.user_code.as_str());
        browser
            .post("/device/decision", &[code, ("decision", "approve")])
            .await;
        self.core
            .redeem_device(&credentials(), device.device_code.expose(), &[], self.now())
            .await
            .unwrap()
    }

    /// The refresh token of a new device login.
    pub(crate) async fn log_in_a_terminal(&self, browser: &mut Browser<'_>) -> Secret {
        self.log_in(browser).await.refresh_token.unwrap()
    }

    /// The ID token of a new device login.
    pub(crate) async fn log_in_for_an_id_token(&self, browser: &mut Browser<'_>) -> Secret {
        self.log_in(browser).await.id_token.unwrap()
    }

    /// The access token of a new device login.
    pub(crate) async fn log_in_for_an_access_token(&self, browser: &mut Browser<'_>) -> Secret {
        self.log_in(browser).await.access_token
    }

    /// Whether a terminal can renew its login with this token. Asking twice is no reuse: the
    /// clock stands still, so the second answer falls into the grace of the first.
    pub(crate) async fn renews(&self, token: &Secret) -> bool {
        let now = self.now();
        let renewed = self
            .core
            .refresh(&credentials(), token.expose(), None, &[], now)
            .await;
        renewed.is_ok()
    }

    /// A browser that was never here.
    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser {
            site: self,
            cookie: None,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// A browser in which `ada` has signed in.
    pub(crate) async fn signed_in(&self) -> Browser<'_> {
        let mut browser = self.browser();
        browser.sign_in("ada").await;
        browser
    }
}

fn credentials() -> ClientCredentials {
    ClientCredentials::public("cli")
}

/// A browser: keeps one cookie and sends forms as browsers do.
#[derive(Clone)]
pub(crate) struct Browser<'a> {
    site: &'a Site,
    /// `name=value`.
    pub(crate) cookie: Option<String>,
    pub(crate) peer: IpAddr,
}

impl Browser<'_> {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.get_from("none", path).await
    }

    /// Follows a link from `site`, in the words of `Sec-Fetch-Site`.
    pub(crate) async fn get_from(&mut self, site: &str, path: &str) -> Answer {
        self.send("GET", path, &[("sec-fetch-site", site)], None)
            .await
    }

    /// Opens a page and sends its form back with these values.
    pub(crate) async fn post(&mut self, path: &str, values: &[(&str, &str)]) -> Answer {
        let token = self.csrf().await;
        self.post_with(path, &[&[("csrf", token.as_str())], values].concat())
            .await
    }

    /// Sends a form without a look at any page first.
    pub(crate) async fn post_with(&mut self, path: &str, values: &[(&str, &str)]) -> Answer {
        let origin = self.site.issuer.origin().ascii_serialization();
        let headers = [
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(values)
            .finish();
        self.send("POST", path, &headers, Some(body)).await
    }

    /// The token that this browser's forms carry now.
    pub(crate) async fn csrf(&mut self) -> String {
        let path = format!("{}/device", self.site.issuer.path().trim_end_matches('/'));
        self.get(&path).await.field("csrf")
    }

    pub(crate) async fn sign_in(&mut self, username: &str) -> Answer {
        let answer = self
            .post(
                "/sign-in",
                &[("username", username), ("password", PASSWORD)],
            )
            .await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        answer
    }

    pub(crate) async fn is_signed_in(&mut self) -> bool {
        self.get("/").await.body.contains("You are signed in")
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let authority = &self.site.issuer[url::Position::BeforeHost..url::Position::AfterPort];
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(header::HOST, authority);
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.extension(Peer(self.peer));
        let request = request.body(Body::from(body.unwrap_or_default())).unwrap();
        let response = self.site.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        if let Some(set) = parts.headers.get(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            let pair = set.split(';').next().unwrap();
            self.cookie = (!set.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

/// What a browser was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Where the browser is sent.
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.header("location")
    }

    /// Where the page that was answered sends the browser by itself.
    pub(crate) fn goes_on_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.header("refresh").strip_prefix("0;url=").unwrap()
    }

    /// The value of a hidden field.
    pub(crate) fn field(&self, name: &str) -> String {
        let begin = format!("name=\"{name}\" value=\"");
        let rest = self
            .body
            .split_once(&begin)
            .unwrap_or_else(|| panic!("{name}: {}", self.body));
        rest.1.split_once('"').unwrap().0.to_owned()
    }

    pub(crate) fn shows(&self, text: &str) -> bool {
        self.body.contains(text)
    }
}

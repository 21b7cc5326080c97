//! What the provider knows, and its answer to one request.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use url::Url;

use super::Endpoint;
use super::client::Demands;
use super::code::{Approval, Parameters};
use crate::{Key, Reply, Request, Signature};

type Edit = Box<dyn FnMut(&mut Value) + Send>;
type EditToken = Box<dyn FnMut(&mut Value, &mut Value) + Send>;
type EditResponse = Box<dyn FnMut(&mut Parameters) + Send>;
type Check = Box<dyn FnMut(&Request) -> Option<Reply> + Send>;
type Delivery = Box<dyn FnMut(&Request, Reply) -> Reply + Send>;

pub(super) struct State {
    pub(super) issuer: String,
    /// Addresses that the issuer's own name does not lead to.
    pub(super) elsewhere: HashMap<Endpoint, String>,
    /// All of them are published; the last one signs.
    pub(super) keys: Vec<Key>,
    pub(super) signature: Signature,
    pub(super) pending_polls: usize,
    pub(super) refresh_when_asked: bool,
    pub(super) refresh_tokens_stay: bool,
    pub(super) demands: Demands,
    pub(super) tells_the_time: bool,
    pub(super) device_codes: HashMap<String, Grant>,
    pub(super) codes: HashMap<String, Approval>,
    pub(super) pushed: HashMap<String, Parameters>,
    pub(super) denial: Option<Parameters>,
    pub(super) refresh_tokens: HashMap<String, Grant>,
    /// Refresh tokens that were replaced.
    pub(super) spent: HashMap<String, Spent>,
    /// How long a spent token brings its successor again; after that it ends the whole login. `None`: it
    /// is refused, and nothing else happens.
    pub(super) grace: Option<Duration>,
    /// How many logins were ended by a token that was used again.
    pub(super) reuses: usize,
    /// Access tokens that are good only with the key of this thumbprint.
    pub(super) bound: HashMap<String, String>,
    /// The `jti` of every proof so far.
    pub(super) proofs: HashSet<String>,
    pub(super) secrets: Vec<String>,
    pub(super) checks: HashMap<Endpoint, Vec<Check>>,
    pub(super) deliveries: HashMap<Endpoint, Delivery>,
    pub(super) edits: HashMap<Endpoint, Vec<Edit>>,
    pub(super) id_token_edits: Vec<EditToken>,
    pub(super) response_edits: Vec<EditResponse>,
    pub(super) first: HashMap<Endpoint, VecDeque<Reply>>,
    pub(super) always: HashMap<Endpoint, Reply>,
}

/// What somebody has approved.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    pub(super) polls: usize,
    /// Of the key that the tokens are bound to.
    pub(super) thumbprint: Option<String>,
}

/// What became of a refresh token.
#[derive(Clone, Debug)]
pub(super) struct Spent {
    pub(super) successor: String,
    pub(super) at: Instant,
}

/// An OAuth error (RFC 6749, section 5.2).
pub(super) fn refused(status: u16, error: &str) -> Reply {
    Reply::json(status, &json!({ "error": error }))
}

impl State {
    pub(super) fn new(issuer: String, elsewhere: &[(Endpoint, &str)]) -> Self {
        let elsewhere = elsewhere
            .iter()
            .map(|(endpoint, url)| (*endpoint, (*url).to_owned()));
        Self {
            issuer,
            elsewhere: elsewhere.collect(),
            keys: vec![Key::generate("key-1")],
            signature: Signature::Good,
            pending_polls: 0,
            refresh_when_asked: false,
            refresh_tokens_stay: false,
            demands: Demands::default(),
            tells_the_time: false,
            device_codes: HashMap::new(),
            codes: HashMap::new(),
            pushed: HashMap::new(),
            denial: None,
            refresh_tokens: HashMap::new(),
            spent: HashMap::new(),
            grace: None,
            reuses: 0,
            bound: HashMap::new(),
            proofs: HashSet::new(),
            secrets: Vec::new(),
            checks: HashMap::new(),
            deliveries: HashMap::new(),
            edits: HashMap::new(),
            id_token_edits: Vec::new(),
            response_edits: Vec::new(),
            first: HashMap::new(),
            always: HashMap::new(),
        }
    }

    pub(super) fn answer(&mut self, endpoint: Endpoint, request: &Request) -> Reply {
        let reply = self.answer_untimed(endpoint, request);
        if self.tells_the_time {
            return reply.with_header("date", &http_date(unix_now()));
        }
        reply
    }

    fn answer_untimed(&mut self, endpoint: Endpoint, request: &Request) -> Reply {
        if let Some(reply) = self.first.get_mut(&endpoint).and_then(VecDeque::pop_front) {
            return reply;
        }
        if let Some(reply) = self.always.get(&endpoint) {
            return reply.clone();
        }
        let mut checks = self.checks.get_mut(&endpoint).into_iter().flatten();
        if let Some(reply) = checks.find_map(|check| check(request)) {
            return reply;
        }
        let answer = match endpoint {
            Endpoint::OpenIdConfiguration | Endpoint::OauthMetadata => Ok(self.metadata()),
            Endpoint::Jwks => Ok(json!({
                "keys": self.keys.iter().map(Key::jwk).collect::<Vec<_>>(),
            })),
            Endpoint::Authorization => return self.authorize(request),
            Endpoint::PushedAuthorization => self.push(request),
            Endpoint::DeviceAuthorization => self.authorize_device(request),
            Endpoint::Token => self.token(request),
            Endpoint::Userinfo => self.userinfo(request),
            Endpoint::Revocation => return self.revoke(request),
        };
        let nonce = self.demands.dpop_nonce.clone();
        match answer {
            Ok(mut body) => {
                for edit in self.edits.get_mut(&endpoint).into_iter().flatten() {
                    edit(&mut body);
                }
                let created = endpoint == Endpoint::PushedAuthorization;
                let mut reply = Reply::json(if created { 201 } else { 200 }, &body)
                    .with_header("cache-control", "no-store");
                if let Some(nonce) = nonce {
                    reply = reply.with_header("dpop-nonce", &nonce);
                }
                match self.deliveries.get_mut(&endpoint) {
                    Some(deliver) => deliver(request, reply),
                    None => reply,
                }
            }
            Err(reply) => reply,
        }
    }

    pub(super) fn url(&self, endpoint: Endpoint) -> String {
        match self.elsewhere.get(&endpoint) {
            Some(url) => url.clone(),
            None => endpoint.url(&self.issuer),
        }
    }

    pub(super) fn path(&self, endpoint: Endpoint) -> String {
        let url = self.url(endpoint);
        match Url::parse(&url) {
            Ok(url) => url.path().to_owned(),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    fn metadata(&self) -> Value {
        let at = |endpoint| self.url(endpoint);
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": at(Endpoint::Authorization),
            "pushed_authorization_request_endpoint": at(Endpoint::PushedAuthorization),
            "require_pushed_authorization_requests": self.demands.par,
            "device_authorization_endpoint": at(Endpoint::DeviceAuthorization),
            "token_endpoint": at(Endpoint::Token),
            "jwks_uri": at(Endpoint::Jwks),
            "userinfo_endpoint": at(Endpoint::Userinfo),
            "revocation_endpoint": at(Endpoint::Revocation),
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "response_types_supported": ["code"],
            "grant_types_supported": [
                "authorization_code", "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
            ],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": [self.demands.authentication.method()],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "dpop_signing_alg_values_supported": ["ES256"],
        })
    }

    fn authorize_device(&mut self, request: &Request) -> Result<Value, Reply> {
        let client_id = self.authenticate(request)?;
        let device_code = self.secret("device");
        let grant = Grant {
            client_id,
            scope: request.form_value("scope").unwrap_or_default(),
            nonce: request.form_value("nonce"),
            polls: 0,
            thumbprint: None,
        };
        self.device_codes.insert(device_code.clone(), grant);
        Ok(json!({
            "device_code": device_code,
            "user_code": "WDJB-MJHT",
            "verification_uri": format!("{}/device", self.issuer),
            "verification_uri_complete": format!("{}/device?user_code=WDJB-MJHT", self.issuer),
            "expires_in": 600,
            "interval": 1,
        }))
    }

    /// The person behind a token. Bearer tokens are not looked at; those that are bound to a key are.
    fn userinfo(&mut self, request: &Request) -> Result<Value, Reply> {
        let field = request.header("authorization").unwrap_or_default();
        let token = field.split_once(' ').map_or("", |(_, token)| token);
        if let Some(expected) = self.bound.get(token).cloned() {
            let thumbprint = self.proof(request, Endpoint::Userinfo)?;
            if !field.starts_with("DPoP ") || thumbprint != Some(expected) {
                return Err(refused(401, "invalid_token"));
            }
        }
        Ok(json!({ "sub": "ada", "name": "Ada Lovelace", "email": "ada@example.com" }))
    }

    fn revoke(&mut self, request: &Request) -> Reply {
        if let Some(token) = request.form_value("token") {
            self.refresh_tokens.remove(&token);
        }
        Reply::new(200)
    }

    /// A new secret that says in its own text what it is, so that a leak is recognised at sight.
    pub(super) fn secret(&mut self, what: &str) -> String {
        let mut bytes = [0_u8; 16];
        SystemRandom::new()
            .fill(&mut bytes)
            .expect("the system has random numbers");
        let secret = format!("secret-{what}-{:032x}", u128::from_be_bytes(bytes));
        self.secrets.push(secret.clone());
        secret
    }
}

/// Seconds since 1970.
pub(super) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A time as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS
        .iter()
        .cycle()
        .nth(usize::try_from(days % 7).unwrap_or(0));
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while let Some(length) = lengths.get(month).filter(|length| day >= **length) {
        day -= length;
        month += 1;
    }
    format!(
        "{}, {:02} {} {year} {:02}:{:02}:{:02} GMT",
        weekday.unwrap_or(&"Thu"),
        day + 1,
        MONTHS.get(month).unwrap_or(&"Jan"),
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[test]
fn a_date_is_written_as_http_has_it() {
    // The example of RFC 9110, section 5.6.7.
    assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(http_date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
}

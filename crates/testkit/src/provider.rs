//! A scripted OpenID provider: well behaved until it is told not to be.
//!
//! It serves discovery at both well-known places, a key set, the device grant, refresh with
//! rotation, userinfo and revocation, and approves by itself. A test then spoils one thing: a
//! member of a document (`edit`), a claim (`edit_id_token`), the signature (`sign_with`), or a
//! whole answer (`first`, `always`).
//!
//! Not responsible for: being secure, or having pages.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use crate::signing::{Key, Signature, at_hash};
use crate::{HttpServer, Reply, Request};

/// What the provider serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration` (OpenID Connect Discovery).
    OpenIdConfiguration,
    /// `/.well-known/oauth-authorization-server` (RFC 8414).
    OauthMetadata,
    /// `/jwks`.
    Jwks,
    /// `/device_authorization` (RFC 8628, section 3.1).
    DeviceAuthorization,
    /// `/token`.
    Token,
    /// `/userinfo`.
    Userinfo,
    /// `/revoke` (RFC 7009).
    Revocation,
}

impl Endpoint {
    const ALL: [Self; 7] = [
        Self::OpenIdConfiguration,
        Self::OauthMetadata,
        Self::Jwks,
        Self::DeviceAuthorization,
        Self::Token,
        Self::Userinfo,
        Self::Revocation,
    ];

    /// The path below the issuer.
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenIdConfiguration => "/.well-known/openid-configuration",
            Self::OauthMetadata => "/.well-known/oauth-authorization-server",
            Self::Jwks => "/jwks",
            Self::DeviceAuthorization => "/device_authorization",
            Self::Token => "/token",
            Self::Userinfo => "/userinfo",
            Self::Revocation => "/revoke",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::DeviceAuthorization | Self::Token | Self::Revocation => "POST",
            Self::OpenIdConfiguration | Self::OauthMetadata | Self::Jwks | Self::Userinfo => "GET",
        }
    }
}

type Edit = Box<dyn FnMut(&mut Value) + Send>;
type EditToken = Box<dyn FnMut(&mut Value, &mut Value) + Send>;

/// A scripted provider on a free port of 127.0.0.1. The subject is always `ada`.
pub struct Provider {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

struct State {
    issuer: String,
    /// All of them are published; the last one signs.
    keys: Vec<Key>,
    signature: Signature,
    pending_polls: usize,
    device_codes: HashMap<String, Grant>,
    refresh_tokens: HashMap<String, Grant>,
    secrets: Vec<String>,
    edits: HashMap<Endpoint, Vec<Edit>>,
    id_token_edits: Vec<EditToken>,
    first: HashMap<Endpoint, VecDeque<Reply>>,
    always: HashMap<Endpoint, Reply>,
}

#[derive(Clone)]
struct Grant {
    client_id: String,
    scope: String,
    nonce: Option<String>,
    polls: usize,
}

impl Provider {
    /// Starts a well-behaved provider.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub fn start() -> Self {
        let server = HttpServer::start();
        let state = Arc::new(Mutex::new(State {
            issuer: server.origin(),
            keys: vec![Key::generate("key-1")],
            signature: Signature::Good,
            pending_polls: 0,
            device_codes: HashMap::new(),
            refresh_tokens: HashMap::new(),
            secrets: Vec::new(),
            edits: HashMap::new(),
            id_token_edits: Vec::new(),
            first: HashMap::new(),
            always: HashMap::new(),
        }));
        for endpoint in Endpoint::ALL {
            let state = Arc::clone(&state);
            server.on_fn(endpoint.method(), endpoint.path(), move |request| {
                lock(&state).answer(endpoint, request)
            });
        }
        Self { server, state }
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> String {
        self.server.origin()
    }

    /// The server beneath, with everything that was asked of it.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }

    /// What was asked of one endpoint so far.
    pub fn requests(&self, endpoint: Endpoint) -> Vec<Request> {
        self.server.requests_to(endpoint.path())
    }

    /// Every secret handed out so far (device codes, tokens): none of them may ever be printed.
    pub fn secrets(&self) -> Vec<String> {
        lock(&self.state).secrets.clone()
    }

    /// Changes each JSON answer of an endpoint that would have been a success.
    pub fn edit<F>(&self, endpoint: Endpoint, edit: F)
    where
        F: FnMut(&mut Value) + Send,
        F: 'static,
    {
        lock(&self.state)
            .edits
            .entry(endpoint)
            .or_default()
            .push(Box::new(edit));
    }

    /// Changes the header and claims of each ID token before it is signed.
    pub fn edit_id_token<F>(&self, edit: F)
    where
        F: FnMut(&mut Value, &mut Value) + Send,
        F: 'static,
    {
        lock(&self.state).id_token_edits.push(Box::new(edit));
    }

    /// Signs ID tokens in this way from now on.
    pub fn sign_with(&self, signature: Signature) {
        lock(&self.state).signature = signature;
    }

    /// Signs with a new key from now on; the old ones stay published.
    pub fn rotate_keys(&self) {
        let mut state = lock(&self.state);
        let kid = format!("key-{}", state.keys.len() + 1);
        state.keys.push(Key::generate(&kid));
    }

    /// Says `authorization_pending` so many times for each device code before approving it.
    pub fn pending_polls(&self, count: usize) {
        lock(&self.state).pending_polls = count;
    }

    /// Answers the next requests to an endpoint with these replies, then behaves again.
    pub fn first(&self, endpoint: Endpoint, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.state)
            .first
            .entry(endpoint)
            .or_default()
            .extend(replies);
    }

    /// Answers every request to an endpoint with this reply.
    pub fn always(&self, endpoint: Endpoint, reply: Reply) {
        lock(&self.state).always.insert(endpoint, reply);
    }

    /// Behaves again at this endpoint: takes back `first`, `always` and `edit`.
    pub fn behave(&self, endpoint: Endpoint) {
        let mut state = lock(&self.state);
        state.first.remove(&endpoint);
        state.always.remove(&endpoint);
        state.edits.remove(&endpoint);
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self::start()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, endpoint: Endpoint, request: &Request) -> Reply {
        if let Some(reply) = self.first.get_mut(&endpoint).and_then(VecDeque::pop_front) {
            return reply;
        }
        if let Some(reply) = self.always.get(&endpoint) {
            return reply.clone();
        }
        let answer = match endpoint {
            Endpoint::OpenIdConfiguration | Endpoint::OauthMetadata => Ok(self.metadata()),
            Endpoint::Jwks => Ok(json!({
                "keys": self.keys.iter().map(Key::jwk).collect::<Vec<_>>(),
            })),
            Endpoint::DeviceAuthorization => Ok(self.authorize_device(request)),
            Endpoint::Token => self.token(request),
            Endpoint::Userinfo => Ok(json!({
                "sub": "ada", "name": "Ada Lovelace", "email": "ada@example.com",
            })),
            Endpoint::Revocation => return self.revoke(request),
        };
        match answer {
            Ok(mut body) => {
                for edit in self.edits.get_mut(&endpoint).into_iter().flatten() {
                    edit(&mut body);
                }
                Reply::json(200, &body).with_header("cache-control", "no-store")
            }
            Err(error) => Reply::json(400, &json!({ "error": error })),
        }
    }

    fn metadata(&self) -> Value {
        let at = |endpoint: Endpoint| format!("{}{}", self.issuer, endpoint.path());
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": format!("{}/authorize", self.issuer),
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
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
        })
    }

    fn authorize_device(&mut self, request: &Request) -> Value {
        let device_code = self.secret("device");
        let grant = Grant {
            client_id: request.form_value("client_id").unwrap_or_default(),
            scope: request.form_value("scope").unwrap_or_default(),
            nonce: request.form_value("nonce"),
            polls: 0,
        };
        self.device_codes.insert(device_code.clone(), grant);
        json!({
            "device_code": device_code,
            "user_code": "WDJB-MJHT",
            "verification_uri": format!("{}/device", self.issuer),
            "verification_uri_complete": format!("{}/device?user_code=WDJB-MJHT", self.issuer),
            "expires_in": 600,
            "interval": 1,
        })
    }

    fn token(&mut self, request: &Request) -> Result<Value, &'static str> {
        match request.form_value("grant_type").as_deref() {
            Some("urn:ietf:params:oauth:grant-type:device_code") => {
                let code = request.form_value("device_code").ok_or("invalid_request")?;
                let grant = self.device_codes.get_mut(&code).ok_or("invalid_grant")?;
                if grant.polls < self.pending_polls {
                    grant.polls += 1;
                    return Err("authorization_pending");
                }
                // A device code is redeemed once.
                let grant = self.device_codes.remove(&code).ok_or("invalid_grant")?;
                Ok(self.tokens(&grant))
            }
            Some("refresh_token") => {
                let token = request
                    .form_value("refresh_token")
                    .ok_or("invalid_request")?;
                let mut grant = self.refresh_tokens.remove(&token).ok_or("invalid_grant")?;
                grant.nonce = None;
                Ok(self.tokens(&grant))
            }
            _ => Err("unsupported_grant_type"),
        }
    }

    fn tokens(&mut self, grant: &Grant) -> Value {
        let access_token = self.secret("access");
        let refresh_token = self.secret("refresh");
        self.refresh_tokens
            .insert(refresh_token.clone(), grant.clone());
        let id_token = self.id_token(grant, &access_token);
        self.secrets.push(id_token.clone());
        json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 600,
            "refresh_token": refresh_token,
            "id_token": id_token,
            "scope": grant.scope,
        })
    }

    fn id_token(&mut self, grant: &Grant, access_token: &str) -> String {
        let now = unix_now();
        let mut header = json!({ "typ": "JWT" });
        let mut claims = json!({
            "iss": self.issuer, "sub": "ada", "aud": grant.client_id,
            "iat": now, "exp": now + 600, "auth_time": now,
            "at_hash": at_hash(access_token),
            "name": "Ada Lovelace", "email": "ada@example.com",
        });
        if let (Some(claims), Some(nonce)) = (claims.as_object_mut(), &grant.nonce) {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        for edit in &mut self.id_token_edits {
            edit(&mut header, &mut claims);
        }
        let key = self.keys.last().expect("there is always a key");
        key.sign(&header, &claims, self.signature)
    }

    fn revoke(&mut self, request: &Request) -> Reply {
        if let Some(token) = request.form_value("token") {
            self.refresh_tokens.remove(&token);
        }
        Reply::new(200)
    }

    /// A new secret that says in its own text what it is, so that a leak is recognised at sight.
    fn secret(&mut self, what: &str) -> String {
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
fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn ask(provider: &Provider, endpoint: Endpoint, form: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", provider.server().port())).unwrap();
        write!(
            stream,
            "{} {} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{form}",
            endpoint.method(),
            endpoint.path(),
            form.len(),
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn device_login(provider: &Provider) -> (u16, Value) {
        let form = "client_id=cli&scope=openid";
        let (_, device) = ask(provider, Endpoint::DeviceAuthorization, form);
        let code = device["device_code"].as_str().unwrap();
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        ask(
            provider,
            Endpoint::Token,
            &format!("grant_type={grant}&device_code={code}"),
        )
    }

    /// Verifies with the published keys and returns the claims.
    fn verify(provider: &Provider, token: &str) -> Option<Value> {
        let (_, jwks) = ask(provider, Endpoint::Jwks, "");
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let good = jwks["keys"].as_array().unwrap().iter().any(|jwk| {
            let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            let point = [vec![4], part("x"), part("y")].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(input.as_bytes(), &signature)
                .is_ok()
        });
        let claims = URL_SAFE_NO_PAD
            .decode(input.split('.').nth(1).unwrap())
            .unwrap();
        good.then(|| serde_json::from_slice(&claims).unwrap())
    }

    #[test]
    fn a_device_code_brings_tokens_once() {
        let provider = Provider::start();
        let (status, tokens) = device_login(&provider);
        assert_eq!(status, 200);
        let claims = verify(&provider, tokens["id_token"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&claims["aud"], &claims["iss"]),
            (&json!("cli"), &json!(provider.issuer()))
        );
        let again = String::from_utf8(provider.requests(Endpoint::Token)[0].body.clone()).unwrap();
        let (status, answer) = ask(&provider, Endpoint::Token, &again);
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
        assert_eq!(provider.secrets().len(), 4);
    }

    #[test]
    fn polls_stay_pending_as_often_as_asked() {
        let provider = Provider::start();
        provider.pending_polls(1);
        let (status, answer) = device_login(&provider);
        assert_eq!(
            (status, &answer["error"]),
            (400, &json!("authorization_pending"))
        );
        let poll = String::from_utf8(provider.requests(Endpoint::Token)[0].body.clone()).unwrap();
        assert_eq!(ask(&provider, Endpoint::Token, &poll).0, 200);
    }

    #[test]
    fn a_refresh_token_is_rotated_and_can_be_revoked() {
        let provider = Provider::start();
        let (_, tokens) = device_login(&provider);
        let refresh = |token: &Value| {
            let form = format!(
                "grant_type=refresh_token&refresh_token={}",
                token.as_str().unwrap()
            );
            ask(&provider, Endpoint::Token, &form)
        };
        let (status, next) = refresh(&tokens["refresh_token"]);
        assert_eq!(status, 200);
        assert_eq!(refresh(&tokens["refresh_token"]).0, 400);
        let form = format!("token={}", next["refresh_token"].as_str().unwrap());
        assert_eq!(ask(&provider, Endpoint::Revocation, &form).0, 200);
        assert_eq!(refresh(&next["refresh_token"]).0, 400);
    }

    #[test]
    fn what_is_spoiled_is_spoiled_and_can_be_mended() {
        let provider = Provider::start();
        provider.edit(Endpoint::OpenIdConfiguration, |metadata| {
            metadata["issuer"] = json!("x");
        });
        provider.first(Endpoint::Jwks, [Reply::new(503)]);
        provider.always(Endpoint::Userinfo, Reply::new(500));
        assert_eq!(
            ask(&provider, Endpoint::OpenIdConfiguration, "").1["issuer"],
            json!("x")
        );
        assert_eq!(ask(&provider, Endpoint::Jwks, "").0, 503);
        assert_eq!(ask(&provider, Endpoint::Jwks, "").0, 200);
        assert_eq!(ask(&provider, Endpoint::Userinfo, "").0, 500);
        provider.behave(Endpoint::Userinfo);
        assert_eq!(ask(&provider, Endpoint::Userinfo, "").0, 200);
    }

    #[test]
    fn only_good_signatures_verify_and_rotated_keys_do() {
        for (signature, good) in [
            (Signature::Good, true),
            (Signature::Corrupt, false),
            (Signature::Unsecured, false),
            (Signature::HmacWithPublicKey, false),
            (Signature::ForeignKey, false),
        ] {
            let provider = Provider::start();
            provider.sign_with(signature);
            provider.rotate_keys();
            let (_, tokens) = device_login(&provider);
            let verified = verify(&provider, tokens["id_token"].as_str().unwrap());
            assert_eq!(verified.is_some(), good, "{signature:?}");
        }
    }

    #[test]
    fn claims_and_header_can_be_edited_before_signing() {
        let provider = Provider::start();
        provider.edit_id_token(|header, claims| {
            header["kid"] = json!("unknown");
            claims["aud"] = json!(["other"]);
        });
        let (_, tokens) = device_login(&provider);
        let token = tokens["id_token"].as_str().unwrap();
        assert_eq!(verify(&provider, token).unwrap()["aud"], json!(["other"]));
        let header = URL_SAFE_NO_PAD
            .decode(token.split('.').next().unwrap())
            .unwrap();
        assert!(String::from_utf8(header).unwrap().contains("\"unknown\""));
    }
}

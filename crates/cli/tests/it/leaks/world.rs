//! A person with secrets of every kind, and the servers that they meet.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_testkit::{
    ClientAuthentication, Endpoint, Finished, HttpServer, Program, Reply, Request,
};
use serde_json::{Value, json};

use super::canary::{Canary, Kind, none_in};
use super::commands::{DOCKER_SECRET, Run};
use crate::desk::Desk;

const CLIENT_SECRET: &str = "canary+client/secret&%=9f3b";
const AWS_SECRET: &str = "canary-aws-secret-access-key-77ab";
const AWS_SESSION: &str = "canary-aws-session-token-77ab";

/// How a client proves who it is, and its tokens whose they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Client {
    Secret,
    /// With a key of its own, and tokens that are bound to another.
    Keys,
}

/// How the servers misbehave, each time with everything that they were sent in their answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Text,
    Html,
    Redirect,
    ErrorCode,
    ErrorDescription,
    Challenge,
    WrongTypes,
    Garbage,
    CutOff,
}

impl Fault {
    pub(crate) const ALL: [Self; 9] = [
        Self::Text,
        Self::Html,
        Self::Redirect,
        Self::ErrorCode,
        Self::ErrorDescription,
        Self::Challenge,
        Self::WrongTypes,
        Self::Garbage,
        Self::CutOff,
    ];

    /// The answer to this request; `None` where there is nothing wrong.
    fn answer(self, request: &Request) -> Option<Reply> {
        let echo = echo(request);
        let coded: String = url::form_urlencoded::byte_serialize(echo.as_bytes()).collect();
        let reply = match self {
            Self::None => return None,
            Self::Text => Reply::text(500, "text/plain", format!("cannot: {echo}")),
            Self::Html => Reply::text(500, "text/html", format!("<title>{echo}</title>")),
            Self::Redirect => Reply::redirect(302, &format!("https://example.com/?{coded}")),
            Self::ErrorCode => Reply::json(400, &json!({ "error": echo })),
            Self::ErrorDescription => Reply::json(
                400,
                &json!({ "error": "invalid_request", "error_description": echo, "error_uri": echo }),
            ),
            Self::Challenge => {
                let field = format!("Bearer error=\"invalid_token\", error_description=\"{echo}\"");
                Reply::new(401).with_header("www-authenticate", &field)
            }
            Self::WrongTypes => Reply::json(
                200,
                &json!({
                    "access_token": { echo.clone(): echo }, "token_type": echo, "expires_in": echo,
                    "sub": [echo], "device_code": 1, "issuer": echo,
                }),
            ),
            Self::Garbage => Reply::text(200, &format!("text/{coded}"), echo),
            Self::CutOff => {
                let body = json!({ "token_type": "Bearer", "access_token": echo }).to_string();
                let length = body.len();
                Reply::text(200, "application/json", body).cut_after(length - 8)
            }
        };
        Some(reply)
    }
}

/// Everything secret that came with a request, as it came and in the clear.
fn echo(request: &Request) -> String {
    let mut parts: Vec<String> = request.form().into_iter().map(|(_, value)| value).collect();
    for name in ["authorization", "dpop"] {
        let Some(value) = request.header(name) else {
            continue;
        };
        parts.push(value.to_owned());
        let credentials = value.strip_prefix("Basic ").and_then(|coded| {
            let decoded = STANDARD.decode(coded).ok()?;
            let decoded = String::from_utf8(decoded).ok()?;
            let (_, secret) = decoded.split_once(':')?;
            let pair = format!("a={secret}");
            let plain = url::form_urlencoded::parse(pair.as_bytes()).next();
            plain.map(|(_, value)| value.into_owned())
        });
        parts.extend(credentials);
    }
    parts.push(String::from_utf8_lossy(&request.body).into_owned());
    parts.join(" ")
}

/// The person, their computer, and the servers.
pub(crate) struct World {
    pub(crate) desk: Desk,
    pub(crate) canary: Canary,
    api: HttpServer,
    fault: Arc<Mutex<Fault>>,
    client: Client,
}

impl World {
    pub(crate) fn of(client: Client) -> Self {
        let mut desk = Desk::new();
        desk.has_keyring_program();
        let mut canary = Canary::default();
        canary.knows(Kind::Own, DOCKER_SECRET);
        canary.knows(Kind::Aws, AWS_SECRET);
        canary.knows(Kind::Aws, AWS_SESSION);
        let credentials = desk.home.path().join("credentials");
        let who = match client {
            Client::Secret => {
                canary.knows(Kind::Own, CLIENT_SECRET);
                write_private(&credentials, CLIENT_SECRET);
                let secret = CLIENT_SECRET.to_owned();
                desk.provider
                    .demand_authentication(ClientAuthentication::SecretBasic(secret));
                "client_secret_file"
            }
            Client::Keys => {
                let key = rcgen::KeyPair::generate().expect("the system has random numbers");
                let pem = key.serialize_pem();
                for line in pem.lines().filter(|line| !line.starts_with('-')) {
                    canary.knows(Kind::Own, line);
                }
                write_private(&credentials, &pem);
                desk.provider
                    .edit(Endpoint::OpenIdConfiguration, |document| {
                        document["token_endpoint_auth_methods_supported"] =
                            json!(["private_key_jwt"]);
                    });
                desk.provider.demand_dpop();
                "client_key_file"
            }
        };
        let fault = Arc::new(Mutex::new(Fault::None));
        let api = servers(&fault);
        desk.configure(&format!(
            "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n{who} = \"{}\"\n\
             git = {{ hosts = [\"git.example.com\"] }}\ndocker = {{ hosts = [\"git.example.com\"] }}\n\
             aws = {{ role_arn = \"arn:aws:iam::123456789012:role/a\", sts_endpoint = \"{}\" }}\n",
            credentials.display(),
            api.url("/sts"),
        ));
        for endpoint in [
            Endpoint::Token,
            Endpoint::Userinfo,
            Endpoint::Revocation,
            Endpoint::DeviceAuthorization,
            Endpoint::PushedAuthorization,
        ] {
            let fault = Arc::clone(&fault);
            desk.provider.check(endpoint, move |request| {
                fault.lock().expect("nobody panics with it").answer(request)
            });
        }
        Self {
            desk,
            canary,
            api,
            fault,
            client,
        }
    }

    /// Signs in, with tokens that have to be renewed by each command that needs one.
    pub(crate) fn sign_in_to_a_short_token(&mut self) {
        let short = Arc::new(Mutex::new(true));
        let is_short = Arc::clone(&short);
        self.desk.provider.edit(Endpoint::Token, move |answer| {
            if *is_short.lock().expect("nobody panics with it") {
                answer["expires_in"] = json!(0);
            }
        });
        self.desk.program("login").run().expect_code(0);
        *short.lock().expect("nobody panics with it") = false;
        self.learn_binding_key();
    }

    /// Takes note of the key that the session's tokens are bound to.
    pub(crate) fn learn_binding_key(&mut self) {
        let file = self.desk.home.state_dir().join("sessions/default.json");
        let text = fs::read_to_string(file).expect("there is a session");
        let session: Value = serde_json::from_str(&text).expect("a session is JSON");
        let mut open: Vec<Value> = session
            .pointer("/record/dpop")
            .cloned()
            .into_iter()
            .collect();
        let bound = matches!(self.client, Client::Keys);
        assert_eq!(bound, !open.is_empty(), "where the key is has changed");
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) if text.len() > 40 => self.canary.knows(Kind::Own, &text),
                Value::Object(members) => open.extend(members.into_iter().map(|(_, value)| value)),
                _ => {}
            }
        }
    }

    pub(crate) fn misbehave(&self, fault: Fault) {
        *self.fault.lock().expect("nobody panics with it") = fault;
    }

    /// The program for a run, at the highest verbosity, perhaps within another.
    pub(crate) fn program(
        &self,
        run: &Run,
        wrap: impl FnOnce(Vec<String>) -> Vec<String>,
    ) -> Program {
        let arguments = run
            .arguments
            .replace("API", &self.api.origin())
            .replace("HOME", &self.desk.home.path().display().to_string())
            .replace(&format!("{}_", self.api.origin()), "API_")
            .replace("NEW", "another");
        let token = self.access_token();
        self.desk
            .wrapped(wrap, &format!("-vv {arguments}"))
            .stdin(run.stdin.replace("TOKEN", &token))
    }

    /// Where a person confirms what they ask for.
    pub(crate) fn confirmed(&self) -> String {
        self.api.url("/confirmed")
    }

    /// The newest access token that the server gave out.
    fn access_token(&self) -> String {
        let secrets = self.desk.provider.secrets();
        let newest = secrets
            .iter()
            .rfind(|secret| secret.starts_with("secret-access"));
        newest.cloned().unwrap_or_default()
    }

    /// Panics when a run did not end as it does where all goes well.
    #[track_caller]
    pub(crate) fn expect(&self, run: &Run, done: &Finished) {
        assert_eq!(done.signal(), None);
        // Some of what a bound token cannot be used for is refused.
        if let (Client::Secret, Some(_)) = (self.client, run.code) {
            assert_eq!(done.code(), run.code, "{}: {}", run.arguments, done.stderr);
        }
    }

    /// Panics when a run printed what it was not asked for.
    #[track_caller]
    pub(crate) fn check(&self, run: &Run, done: &Finished, circumstances: &str) {
        let secrets = self.canary.of(&self.desk);
        let place = format!("{} ({circumstances})", run.arguments);
        none_in(
            &secrets,
            done.stderr.as_bytes(),
            &[],
            &format!("{place}, stderr"),
        );
        let asked_for = if done.code() == Some(0) {
            run.asked_for
        } else {
            &[]
        };
        none_in(
            &secrets,
            done.stdout.as_bytes(),
            asked_for,
            &format!("{place}, stdout"),
        );
    }

    /// Panics when a file below the home has a secret and is neither one that was put there nor the
    /// store's own.
    pub(crate) fn check_files(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let secrets = self.canary.of(&self.desk);
        let state = self.desk.home.state_dir();
        let mut open = vec![self.desk.home.path().to_owned()];
        while let Some(path) = open.pop() {
            let metadata = path.symlink_metadata().expect("it was listed");
            if metadata.is_dir() {
                let entries = fs::read_dir(&path).expect("it is ours");
                open.extend(entries.map(|entry| entry.expect("it is ours").path()));
            }
            let mode = metadata.permissions().mode() & 0o777;
            if path.starts_with(&state) {
                assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
            } else if metadata.is_file() && !path.ends_with("credentials") {
                let bytes = fs::read(&path).expect("it is ours");
                none_in(&secrets, &bytes, &[], &path.display().to_string());
            }
        }
    }
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).expect("the home can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
}

/// An API, which minds its own business but for the passwords that it asks for, and STS.
fn servers(fault: &Arc<Mutex<Fault>>) -> HttpServer {
    let server = HttpServer::start();
    server.on("GET", "/items", Reply::json(200, &json!([])));
    for method in ["GET", "HEAD"] {
        server.on_fn(method, "/confirmed", |request| {
            let challenge = "Bearer error=\"insufficient_user_authentication\", \
                otp_challenge=\"c\", otp_methods=\"yubikey\", otp_expires_in=\"60\"";
            match request.header("step-up") {
                Some(_) => Reply::json(200, &json!([])),
                None => Reply::new(401).with_header("www-authenticate", challenge),
            }
        });
    }
    let fault = Arc::clone(fault);
    server.on_fn("POST", "/sts", move |request| {
        let wrong = fault.lock().expect("nobody panics with it").answer(request);
        wrong.unwrap_or_else(|| {
            let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
            Reply::text(
                200,
                "text/xml",
                format!(
                    "<AssumeRoleWithWebIdentityResponse \
                     xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                     <AssumeRoleWithWebIdentityResult><Credentials>\
                     <SessionToken>{AWS_SESSION}</SessionToken>\
                     <SecretAccessKey>{AWS_SECRET}</SecretAccessKey>\
                     <Expiration>{at:.0}</Expiration><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
                     </Credentials></AssumeRoleWithWebIdentityResult>\
                     </AssumeRoleWithWebIdentityResponse>"
                ),
            )
        })
    });
    server
}

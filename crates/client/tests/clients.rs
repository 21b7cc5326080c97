//! How a client proves itself, what its tokens are bound to, and what providers want differently.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_client::{
    Context, Dpop, Error, ExitCategory, Login, Revocation, Secret, Session, SignIn, TokenSource,
    Transport, logout, userinfo,
};
use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, SigningKey, dpop};
use countersign_oauth::{HttpRequest, HttpResponse, TransportError};
use serde_json::{Value, json};
use support::code::Demands;
use support::person::Person;
use support::{Fault, Recorder, World};
use url::Url;

const MINUTE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(10);

fn sign_in(world: &World, login: &Login) -> Result<Session, Error> {
    Person::who_signs_in().go_through(world, login).0
}

fn browser(world: &World) -> Login {
    world.login().flow(SignIn::Browser)
}

fn tokens(world: &World) -> TokenSource {
    TokenSource::open(&world.context, &World::name()).unwrap()
}

/// The key that was proved with the last request to `path`.
fn proved(world: &World, path: &str) -> Option<String> {
    let last = world.server.seen(path).pop().unwrap();
    let proof = last.proof?;
    let header = proof.split('.').next().unwrap();
    let header = countersign_jose::base64url::decode(header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    Some(header["jwk"]["x"].as_str().unwrap().to_owned())
}

#[test]
fn bound_tokens_are_renewed_used_and_ended_with_the_same_key_which_stays_in_the_session() {
    let world = World::with_browser();
    let session = sign_in(&world, &browser(&world).dpop(Dpop::Required)).unwrap();
    assert!(session.is_bound());
    let key = proved(&world, "/token").unwrap();
    // Another process, which knows only the file.
    world.clock.pass(590);
    tokens(&world).access_token(MINUTE).unwrap();
    assert_eq!(proved(&world, "/token"), Some(key.clone()));
    let renewed = world.server.seen("/token").pop().unwrap();
    assert_eq!(renewed.form["grant_type"], "refresh_token");
    userinfo(&tokens(&world)).unwrap();
    assert_eq!(proved(&world, "/userinfo"), Some(key.clone()));
    let asked = world.server.seen("/userinfo").pop().unwrap();
    assert_eq!(asked.authorization.as_deref(), Some("DPoP secret-access-2"));
    assert!(
        logout(&world.context, &World::name(), LIMIT)
            .unwrap()
            .is_complete()
    );
    assert_eq!(proved(&world, "/revoke"), Some(key.clone()));
    // And another login has another key.
    sign_in(&world, &browser(&world).dpop(Dpop::Required)).unwrap();
    assert_ne!(proved(&world, "/token"), Some(key));
    World::assert_discreet(&format!("{session:?}"));
}

#[test]
fn device_codes_can_bring_bound_tokens_as_well() {
    let world = World::new();
    let login = world.login().dpop(Dpop::Required);
    let session = login.run(&mut Recorder::default()).unwrap();
    assert!(session.is_bound());
    let polls = world.server.seen("/token");
    assert!(polls.iter().all(|poll| poll.proof.is_some()));
}

#[test]
fn a_nonce_that_the_server_wants_is_given_and_remembered() {
    let world = World::with_browser();
    world.server.demands(Demands {
        nonce: Some("n-1".to_owned()),
        ..Demands::default()
    });
    world.server.header("dpop-nonce", "n-1");
    sign_in(&world, &browser(&world).dpop(Dpop::Required)).unwrap();
    assert_eq!(world.server.seen("/token").len(), 2);
}

#[test]
fn a_server_that_gives_bound_tokens_only_gets_its_proof_without_anybody_signing_in_twice() {
    let demands = || Demands {
        bound: true,
        ..Demands::default()
    };
    let world = World::with_browser();
    world.server.demands(demands());
    let session = sign_in(&world, &browser(&world)).unwrap();
    assert!(session.is_bound());
    assert_eq!(world.server.seen("/token").len(), 2);
    world.clock.pass(600);
    tokens(&world).access_token(MINUTE).unwrap();

    let world = World::new();
    world.server.demands(demands());
    let mut prompt = Recorder::default();
    let session = world.login().run(&mut prompt).unwrap();
    assert!(session.is_bound());
    assert_eq!((prompt.devices.len(), prompt.finished), (1, 1));

    let service = world
        .login()
        .flow(SignIn::ClientCredentials)
        .client_secret(Secret::new("secret-client"));
    assert!(service.run(&mut Recorder::default()).unwrap().is_bound());
}

#[test]
fn a_server_that_binds_nothing_is_refused_or_taken_as_the_caller_says() {
    let world = World::with_browser();
    world.server.demands(Demands {
        ignores_dpop: true,
        ..Demands::default()
    });
    let error = sign_in(&world, &browser(&world).dpop(Dpop::Required)).unwrap_err();
    assert_eq!(error.code(), "token_not_bound");
    assert!(!world.file().exists());
    let session = sign_in(&world, &browser(&world).dpop(Dpop::Preferred)).unwrap();
    assert!(!session.is_bound());
    // No key is kept that nothing is bound to.
    let kept = std::fs::read_to_string(world.file()).unwrap();
    assert!(!kept.contains("pkcs8"), "{kept}");
}

#[test]
fn a_request_to_an_api_gets_the_proof_that_belongs_to_it() {
    let world = World::with_browser();
    sign_in(&world, &browser(&world).dpop(Dpop::Required)).unwrap();
    let tokens = tokens(&world);
    let url = Url::parse("https://api.example.com/items?page=2#top").unwrap();
    let proof_of = |expected: dpop::Expected<'_>| {
        let authorization = tokens.authorization("POST", &url, MINUTE).unwrap();
        let [(name, token), (proof_name, proof)] = &authorization.headers[..] else {
            panic!("{:?}", authorization.headers)
        };
        assert_eq!(
            (*name, token.expose()),
            ("authorization", "DPoP secret-access-1")
        );
        assert_eq!(*proof_name, "dpop");
        let now = countersign_client::Timestamp::from_secs(world.clock.seconds());
        dpop::verify(proof.expose(), &expected, ring::provider(), now).unwrap()
    };
    let mut expected = dpop::Expected::new("POST", "https://api.example.com/items");
    expected.access_token = Some("secret-access-1");
    let first = proof_of(expected);
    // A nonce of that server, and not of others.
    let other = Url::parse("https://other.example.com/").unwrap();
    assert!(tokens.take_dpop_nonce(&url, "api-nonce").unwrap());
    assert!(tokens.take_dpop_nonce(&other, "other-nonce").unwrap());
    assert!(!tokens.take_dpop_nonce(&url, "no good\"").unwrap());
    let nonces = ["api-nonce"];
    expected.nonces = Some(&nonces);
    let second = proof_of(expected);
    assert_eq!(first.thumbprint(), second.thumbprint());
    assert_ne!(first.jti(), second.jti());
}

#[test]
fn without_a_key_a_request_to_an_api_gets_a_bearer_token() {
    let world = World::signed_in();
    let url = Url::parse("https://api.example.com/").unwrap();
    let authorization = tokens(&world).authorization("GET", &url, MINUTE).unwrap();
    let [(name, value)] = &authorization.headers[..] else {
        panic!("{:?}", authorization.headers)
    };
    assert_eq!(
        (*name, value.expose()),
        ("authorization", "Bearer secret-access-1")
    );
    assert!(!tokens(&world).take_dpop_nonce(&url, "n").unwrap());
    World::assert_discreet(&format!("{authorization:?}"));
}

/// A private key in a file, whose public half the server insists on.
fn key_file(world: &World) -> PathBuf {
    let key = SigningKey::generate(Algorithm::Es256, ring::provider()).unwrap();
    world.server.demands(Demands {
        client_key: Some(key.public_jwk()),
        ..Demands::default()
    });
    let path = world.home.path().join("client.key");
    std::fs::write(&path, key.to_pkcs8_der()).unwrap();
    private(&path);
    path
}

fn private(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_client_with_a_key_proves_itself_at_login_renewal_and_logout() {
    let world = World::with_browser();
    let path = key_file(&world);
    let session = sign_in(&world, &browser(&world).client_key(&path)).unwrap();
    world.clock.pass(590);
    tokens(&world).access_token(MINUTE).unwrap();
    // The session knows where the key is, and not the key.
    let kept = std::fs::read_to_string(world.file()).unwrap();
    assert!(
        kept.contains("client.key") && !kept.contains("pkcs8"),
        "{kept}"
    );
    let moved = world.home.path().join("moved");
    std::fs::rename(&path, &moved).unwrap();
    world.clock.pass(600);
    let error = tokens(&world).access_token(MINUTE).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
    assert!(error.to_string().contains("client.key"), "{error}");
    std::fs::rename(&moved, &path).unwrap();
    tokens(&world).access_token(MINUTE).unwrap();
    let asked = world.server.seen("/token");
    let assertions: Vec<&String> = asked.iter().map(|a| &a.form["client_assertion"]).collect();
    assert_eq!(assertions.len(), 3);
    assert!(assertions[0] != assertions[1] && assertions[1] != assertions[2]);
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    assert_eq!(report.refresh_token, Revocation::Revoked);
    let revoked = world.server.seen("/revoke").pop().unwrap();
    assert!(revoked.form.contains_key("client_assertion"));
    assert_eq!(session.flow(), Some(SignIn::Browser));
}

#[test]
fn a_key_that_others_can_read_is_refused_before_anybody_is_asked() {
    let world = World::with_browser();
    let path = key_file(&world);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = sign_in(&world, &browser(&world).client_key(&path)).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
    assert!(world.server.all_seen().is_empty());
}

#[test]
fn an_application_signs_in_as_itself_without_anybody_and_again_when_the_token_runs_out() {
    let world = World::new();
    let login = world
        .login()
        .flow(SignIn::ClientCredentials)
        .client_secret(Secret::new("secret-client"))
        .audience("https://api.example.com")
        .parameter("organization", "acme");
    let mut prompt = Recorder::default();
    let session = login.run(&mut prompt).unwrap();
    assert_eq!(session.flow(), Some(SignIn::ClientCredentials));
    assert!(prompt.devices.is_empty() && prompt.authorizations.is_empty());
    assert!(prompt.remaining.is_empty() && prompt.finished == 0);
    world.clock.pass(600);
    assert_eq!(
        tokens(&world).access_token(MINUTE).unwrap().expose(),
        "secret-access-2"
    );
    for asked in world.server.seen("/token") {
        assert_eq!(asked.form["grant_type"], "client_credentials");
        assert_eq!(asked.form["audience"], "https://api.example.com");
        assert_eq!(asked.form["organization"], "acme");
        // No person, no scopes about one.
        assert!(!asked.form.contains_key("scope"));
        assert!(asked.authorization.unwrap().starts_with("Basic "));
    }
    // A server that is down ends nothing, and neither does one that says no for now.
    world.clock.pass(600);
    world.server.always(
        "/token",
        Fault::Answer(401, json!({ "error": "invalid_client" })),
    );
    let error = tokens(&world).access_token(MINUTE).unwrap_err();
    assert_eq!(error.code(), "invalid_client");
    world.server.recover();
    tokens(&world).access_token(MINUTE).unwrap();
}

#[test]
fn an_application_without_credentials_cannot_sign_in_as_itself() {
    let world = World::new();
    let login = world.login().flow(SignIn::ClientCredentials);
    let error = login.run(&mut Recorder::default()).unwrap_err();
    assert_eq!(error.code(), "no_way_to_sign_in");
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
    assert!(world.server.seen("/token").is_empty());
}

#[test]
fn a_session_of_the_first_version_still_works() {
    let world = World::signed_in();
    let recorded = include_str!("recorded/session-v1.json");
    std::fs::write(world.file(), recorded).unwrap();
    private(&world.file());
    let source = tokens(&world);
    let session = source.session();
    assert_eq!(session.identity().name.as_deref(), Some("Ada Lovelace"));
    assert_eq!((session.flow(), session.preset()), (None, None));
    assert!(!session.is_bound() && session.has_refresh_token());
    assert_eq!(
        source.access_token(MINUTE).unwrap().expose(),
        "secret-access-1"
    );
    world.clock.pass(600);
    assert_eq!(
        source.access_token(MINUTE).unwrap().expose(),
        "secret-access-2"
    );
    // And a login that was asked for in the same way goes by the same name as before.
    let name = Login::new("https://id.example.com", "cli")
        .unwrap()
        .name()
        .unwrap();
    assert_eq!(name.as_str(), "cli-61852c673d496765");
}

/// GitHub, as far as a login sees it.
struct GitHub {
    seen: std::sync::Mutex<Vec<(String, String)>>,
}

impl Transport for GitHub {
    fn send(&self, request: &HttpRequest, _: Duration) -> Result<HttpResponse, TransportError> {
        let body = request.body.as_ref().map_or("", |body| body.expose());
        let url = request.url.to_string();
        self.seen
            .lock()
            .unwrap()
            .push((url.clone(), body.to_owned()));
        let answer = match url.as_str() {
            "https://github.com/login/device/code" => json!({
                "device_code": "secret-device", "user_code": "WDJB-MJHT", "expires_in": 900,
                "interval": 5, "verification_uri": "https://github.com/login/device",
            }),
            "https://github.com/login/oauth/access_token" => json!({
                "access_token": "secret-gho", "token_type": "bearer",
                "scope": "read:user,user:email",
            }),
            "https://api.github.com/user" => json!({
                "id": 583_231, "login": "ada", "name": "Ada Lovelace", "email": null,
            }),
            other => panic!("asked for {other}"),
        };
        Ok(HttpResponse {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: answer.to_string().into_bytes(),
        })
    }
}

#[test]
fn github_says_nothing_about_itself_and_its_api_says_who_it_was() {
    let world = World::new();
    let server = Arc::new(GitHub {
        seen: std::sync::Mutex::default(),
    });
    let context: Context = world
        .context
        .clone()
        .with_transport(Arc::clone(&server) as Arc<dyn Transport>);
    let login = Login::new("https://github.com", "Iv1.abc")
        .unwrap()
        .preset("github")
        .session_name(World::name())
        .client_secret(Secret::new("secret-client"))
        .environment(countersign_client::Environment::default())
        .context(context.clone());
    let session = login.run(&mut Recorder::default()).unwrap();
    let identity = session.identity();
    assert_eq!(identity.subject.as_deref(), Some("583231"));
    assert_eq!(identity.preferred_username.as_deref(), Some("ada"));
    assert_eq!(identity.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(session.scopes(), ["read:user", "user:email"]);
    assert_eq!(session.preset(), Some("github"));
    let tokens = TokenSource::open(&context, &World::name()).unwrap();
    assert_eq!(userinfo(&tokens).unwrap(), *identity);
    let report = logout(&context, &World::name(), LIMIT).unwrap();
    assert_eq!(report.access_token, Revocation::NotOffered);
    assert!(report.by_person.unwrap().contains("Settings"));
    // The device grant there takes no secret.
    for (url, body) in server.seen.lock().unwrap().iter() {
        assert!(!body.contains("secret-client"), "{url}");
    }
}

#[test]
fn a_secret_stays_away_from_the_device_endpoint_where_the_provider_refuses_it() {
    let world = World::new();
    let secret = || Secret::new("secret-client");
    let login = world.login().client_secret(secret()).preset("auth0");
    login.run(&mut Recorder::default()).unwrap();
    let asked = world.server.seen("/device").pop().unwrap();
    assert_eq!(asked.authorization, None);
    assert!(
        world
            .server
            .seen("/token")
            .pop()
            .unwrap()
            .authorization
            .is_some()
    );
    world
        .login()
        .client_secret(secret())
        .run(&mut Recorder::default())
        .unwrap();
    assert!(
        world
            .server
            .seen("/device")
            .pop()
            .unwrap()
            .authorization
            .is_some()
    );
}

#[test]
fn a_refusal_is_told_in_the_providers_own_terms() {
    let world = World::new();
    world.server.always(
        "/token",
        Fault::Answer(
            400,
            json!({
                "error": "invalid_grant",
                "error_description": "AADSTS53003: Access has been blocked by Conditional Access.",
            }),
        ),
    );
    let login = world.login().preset("entra");
    let error = login.run(&mut Recorder::default()).unwrap_err();
    let Error::Explained(explained) = &error else {
        panic!("{error:?}")
    };
    assert!(explained.sentence().contains("Conditional Access"));
    assert_eq!(error.hints(), [explained.remedy()]);
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    assert_eq!(causes.len(), 2, "{causes:?}");
    assert!(causes[1].contains("AADSTS53003"), "{causes:?}");
}

#[test]
fn the_redirect_uri_is_the_one_that_the_provider_can_have() {
    let cases = [
        ("cognito", "http://localhost:", "/callback"),
        ("entra", "http://localhost:", ""),
        ("keycloak", "http://127.0.0.1:", "/callback"),
    ];
    for (preset, start, end) in cases {
        let world = World::with_browser();
        let login = browser(&world).preset(preset);
        let (_, person) = Person::who_signs_in().go_through(&world, &login);
        let sent = &person.seen.authorizations[0].redirect_uri;
        assert!(
            sent.starts_with(start) && sent.ends_with(end),
            "{preset}: {sent}"
        );
        // Not bothered with consent where a refresh token comes without.
        let url = &person.seen.authorizations[0].url;
        assert!(!url.contains("prompt="), "{preset}: {url}");
    }
}

#[test]
fn a_provider_that_wants_parameters_of_its_own_gets_them() {
    let world = World::with_browser();
    let login = browser(&world).preset("google");
    let (_, person) = Person::who_signs_in().go_through(&world, &login);
    let url = Url::parse(&person.seen.authorizations[0].url).unwrap();
    let asked: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(asked["access_type"], "offline");
    assert_eq!(asked["prompt"], "consent");
    assert_eq!(asked["scope"], "email openid profile");
}

#[test]
fn a_preset_that_nobody_knows_is_a_mistake_and_not_a_guess() {
    let world = World::new();
    let error = world
        .login()
        .preset("octa")
        .run(&mut Recorder::default())
        .unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
    assert!(error.to_string().contains("`octa`"), "{error}");
    assert!(world.server.all_seen().is_empty());
}

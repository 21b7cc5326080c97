//! The relying-party plans of the OpenID Foundation's conformance suite, module by module under their
//! own names, with the real `countersign` as the relying party and a scripted provider in place of the
//! suite: Basic, Config, and Refresh Token.
//!
//! What a module calls "the client rejects" ends here in a named error, the exit code that belongs to
//! it, and no session; what it calls "succeeds" ends in one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::fs;

use countersign_e2e::Cli;
use countersign_testkit::{
    Browser, ClientAuthentication, Endpoint, Finished, Key, Provider, Reply, Signature,
};
use serde_json::{Value, json};

/// A relying party, and the provider that it is tried with.
struct Module {
    provider: Provider,
    cli: Cli,
}

impl Module {
    fn new() -> Self {
        Self {
            provider: Provider::start(),
            cli: Cli::new(),
        }
    }

    /// Signs in by authorization code, with these arguments besides the ordinary ones. The provider
    /// approves by itself.
    fn sign_in(&self, more: &str) -> Finished {
        let issuer = self.provider.issuer();
        let arguments = format!("--issuer {issuer} --client-id cli {more}");
        let login = self.cli.start_browser(&arguments);
        Browser::new().get(&login.address);
        login.finish()
    }

    fn succeeds(&self) {
        self.sign_in("").expect_code(0);
        let token = self.cli.run("token").expect_code(0);
        assert!(token.stdout.starts_with("secret-access-"));
    }

    /// The login ends in this error.
    fn rejects(&self, code: &str, exit: i32) {
        let done = self.sign_in("");
        ends_in(&done, code, exit);
        assert!(!done.stderr.contains("secret-"), "{}", done.stderr);
        self.cli
            .run(&format!("token --issuer {}", self.provider.issuer()))
            .expect_code(4);
    }

    fn claim(self, name: &'static str, value: Value) -> Self {
        self.provider.edit_id_token(move |_, claims| {
            let claims = claims.as_object_mut().unwrap();
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.to_owned(), value.clone());
            }
        });
        self
    }

    fn rs256(self) -> Self {
        self.provider.set_keys(vec![Key::rsa("rsa-1")]);
        self
    }

    /// Neither tokens nor published keys say which is which.
    fn without_kid(self) -> Self {
        self.provider
            .edit_id_token(|header, _| header["kid"] = Value::Null);
        self.provider.edit(Endpoint::Jwks, |set| {
            for key in set["keys"].as_array_mut().unwrap() {
                key.as_object_mut().unwrap().remove("kid");
            }
        });
        self
    }
}

/// With this code, this exit code, one error, and something to do about it.
fn ends_in(done: &Finished, code: &str, exit: i32) {
    let stderr = &done.stderr;
    assert!(stderr.contains(&format!("code: {code}\n")), "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
    assert_eq!(done.stdout, "");
    assert_eq!(done.code(), Some(exit), "{stderr}");
}

// Basic

#[test]
fn oidcc_client_test() {
    Module::new().succeeds();
}

#[test]
fn oidcc_client_test_invalid_iss() {
    let elsewhere = json!("https://evil.example");
    let module = Module::new().claim("iss", elsewhere);
    module.rejects("id_token_issuer", 1);
}

#[test]
fn oidcc_client_test_missing_sub() {
    let module = Module::new().claim("sub", Value::Null);
    module.rejects("id_token_claim", 1);
}

#[test]
fn oidcc_client_test_invalid_aud() {
    let module = Module::new().claim("aud", json!("other"));
    module.rejects("id_token_audience", 1);
}

#[test]
fn oidcc_client_test_missing_iat() {
    let module = Module::new().claim("iat", Value::Null);
    module.rejects("id_token_claim", 1);
}

#[test]
fn oidcc_client_test_kid_absent_single_jwks() {
    Module::new().rs256().without_kid().succeeds();
}

/// The suite leaves it to the relying party whether to try every key or to give up. Ours tries them,
/// and still believes nothing that none of them has signed.
#[test]
fn oidcc_client_test_kid_absent_multiple_jwks() {
    let several = || {
        let module = Module::new().without_kid();
        module.provider.rotate_keys();
        module.provider.rotate_keys();
        module
    };
    several().succeeds();
    let module = several();
    module.provider.sign_with(Signature::ForeignKey);
    module.rejects("jose_bad_signature", 1);
}

#[test]
fn oidcc_client_test_idtoken_sig_rs256() {
    Module::new().rs256().succeeds();
}

#[test]
fn oidcc_client_test_idtoken_sig_none() {
    let module = Module::new();
    module.provider.sign_with(Signature::Unsecured);
    module.rejects("jose_unsupported_algorithm", 1);
}

#[test]
fn oidcc_client_test_invalid_sig_rs256() {
    let module = Module::new().rs256();
    module.provider.sign_with(Signature::Corrupt);
    module.rejects("jose_bad_signature", 1);
}

#[test]
fn oidcc_client_test_userinfo_bearer_header() {
    let module = Module::new();
    module.succeeds();
    module.cli.run("whoami --verify").expect_code(0);
    let asked = &module.provider.requests(Endpoint::Userinfo)[0];
    let token = module.cli.run("token").stdout;
    let expected = format!("Bearer {}", token.trim());
    assert_eq!(asked.header("authorization"), Some(expected.as_str()));
    assert_eq!((asked.query.as_str(), asked.body.len()), ("", 0));
}

/// A server that takes tokens in the body only gets none: the header is the one place that every
/// server has to support (RFC 6750, section 2), and the token stays out of everything else.
#[test]
fn oidcc_client_test_userinfo_bearer_body() {
    let module = Module::new();
    module.succeeds();
    module.provider.check(Endpoint::Userinfo, |request| {
        let posted = request.form_value("access_token").is_some();
        (!posted).then(|| Reply::json(400, &json!({ "error": "invalid_request" })))
    });
    let done = module.cli.run("whoami --verify");
    ends_in(&done, "invalid_request", 1);
    let asked = module.provider.requests(Endpoint::Userinfo);
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].query.as_str(), asked[0].body.len()), ("", 0));
}

#[test]
fn oidcc_client_test_userinfo_invalid_sub() {
    let module = Module::new();
    module.succeeds();
    let eve = |answer: &mut Value| answer["sub"] = json!("eve");
    module.provider.edit(Endpoint::Userinfo, eve);
    let done = module.cli.run("whoami --verify");
    ends_in(&done, "userinfo_subject_mismatch", 1);
}

#[test]
fn oidcc_client_test_nonce_invalid() {
    let module = Module::new().claim("nonce", json!("another"));
    module.rejects("id_token_nonce", 1);
    // One that was sent must come back.
    let module = Module::new().claim("nonce", Value::Null);
    module.rejects("id_token_nonce_missing", 1);
}

#[test]
fn oidcc_client_test_scope_userinfo_claims() {
    let module = Module::new()
        .claim("name", Value::Null)
        .claim("email", Value::Null);
    let scopes = "--scope openid --scope profile --scope email";
    module.sign_in(scopes).expect_code(0);
    let asked = module.provider.requests(Endpoint::Authorization)[0].clone();
    let mut scopes: Vec<String> = asked
        .query_value("scope")
        .unwrap()
        .split(' ')
        .map(str::to_owned)
        .collect();
    scopes.sort();
    assert_eq!(scopes, ["email", "openid", "profile"]);
    let who = module.cli.run("whoami --verify").expect_code(0);
    for claim in ["Ada Lovelace", "ada@example.com"] {
        assert!(who.stdout.contains(claim), "{}", who.stdout);
    }
}

#[test]
fn oidcc_client_test_client_secret_basic() {
    let module = Module::new();
    // With what has to be encoded twice: for the form, then for the header.
    let secret = "secret:with%every+thing&ä";
    let basic = ClientAuthentication::SecretBasic(secret.to_owned());
    module.provider.demand_authentication(basic);
    let file = module.cli.home().path().join("client-secret");
    let flags = format!("--client-secret-file {}", file.display());
    fs::write(&file, secret).unwrap();
    module.sign_in(&flags).expect_code(0);
    module.cli.run("token --force-refresh").expect_code(0);

    fs::write(&file, "secret-of-somebody-else").unwrap();
    let done = module.sign_in(&flags);
    ends_in(&done, "invalid_client", 7);
    assert!(!done.stderr.contains("secret-of"), "{}", done.stderr);
}

// Config

#[test]
fn oidcc_client_test_discovery_openid_config() {
    let module = Module::new();
    module
        .provider
        .always(Endpoint::OauthMetadata, Reply::new(404));
    module.succeeds();
    let asked = module.provider.requests(Endpoint::OpenIdConfiguration);
    assert_eq!(asked.len(), 1);
}

#[test]
fn oidcc_client_test_discovery_jwks_uri_keys() {
    let module = Module::new();
    module.succeeds();
    assert_eq!(module.provider.requests(Endpoint::Jwks).len(), 1);
}

#[test]
fn oidcc_client_test_discovery_issuer_mismatch() {
    let module = Module::new();
    let other = |metadata: &mut Value| metadata["issuer"] = json!("https://evil.example");
    module.provider.edit(Endpoint::OpenIdConfiguration, other);
    module
        .provider
        .always(Endpoint::OauthMetadata, Reply::new(404));
    let issuer = module.provider.issuer();
    let login = format!("login --issuer {issuer} --client-id cli --flow browser --no-browser");
    ends_in(&module.cli.run(&login), "issuer_mismatch", 7);
    assert!(module.provider.requests(Endpoint::Authorization).is_empty());
}

/// The keys are changed altogether between two logins.
#[test]
fn oidcc_client_test_signing_key_rotation() {
    let module = Module::new();
    module.succeeds();
    module.cli.age_cache(60_000);
    module.provider.set_keys(vec![Key::generate("key-2")]);
    module.succeeds();
    assert_eq!(module.provider.requests(Endpoint::Jwks).len(), 2);
}

/// The keys are changed in the middle of a login, when the relying party has them already.
#[test]
fn oidcc_client_test_signing_key_rotation_just_before_signing() {
    let module = Module::new();
    module.succeeds();
    module.cli.age_cache(60_000);
    let issuer = module.provider.issuer();
    let arguments = format!("--issuer {issuer} --client-id cli");
    let login = module.cli.start_browser(&arguments);
    let mut browser = Browser::new();
    browser.hold(&login.asked("redirect_uri"));
    let back = browser.get(&login.address).location();
    module.provider.set_keys(vec![Key::generate("key-2")]);
    Browser::new().get(back.as_str());
    login.finish().expect_code(0);
    assert_eq!(module.provider.requests(Endpoint::Jwks).len(), 2);
}

// Refresh Token

/// Signed in, and then whatever the module wants.
fn renewal(module: &Module) -> Finished {
    module.cli.run("token --force-refresh")
}

#[test]
fn oidcc_client_test_refresh_token() {
    let module = Module::new();
    module.succeeds();
    let first = module.cli.run("token").stdout;
    let second = renewal(&module).expect_code(0).stdout;
    assert_ne!(first, second);
}

#[test]
fn oidcc_client_test_refresh_token_invalid_issuer() {
    let module = Module::new();
    module.succeeds();
    let module = module.claim("iss", json!("https://evil.example"));
    ends_in(&renewal(&module), "id_token_issuer", 1);
}

#[test]
fn oidcc_client_test_refresh_token_invalid_sub() {
    let module = Module::new();
    module.succeeds();
    let module = module.claim("sub", json!("eve"));
    ends_in(&renewal(&module), "id_token_subject_changed", 1);
}

//! What is different at the providers that people have: told who it is, the daemon does as it is done there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use countersign_pam_wire::Verdict;
use countersign_testkit::{Endpoint, Provider, Reply};
use serde_json::json;
use url::Url;

use crate::fixture::{Fixture, usual};

fn at(name: &str, more: &str) -> Fixture {
    Fixture::with(&format!("provider = {name:?}\n{more}{}", usual()))
}

#[test]
fn keycloak_takes_pkce_with_the_device_grant_and_others_are_not_sent_it() {
    for (name, is_sent) in [("keycloak", true), ("oidc", false)] {
        let fixture = at(name, "");
        assert_eq!(fixture.sign_in().verdict, Verdict::Success);
        let first = |endpoint, value: &str| {
            let requests = fixture.provider.requests(endpoint);
            requests.first().unwrap().form_value(value).is_some()
        };
        let asked = first(Endpoint::DeviceAuthorization, "code_challenge");
        let proved = first(Endpoint::Token, "code_verifier");
        assert_eq!((asked, proved), (is_sent, is_sent), "{name}");
    }
}

/// Auth0's device endpoint answers 403 to a client that sends its secret there.
#[test]
fn a_secret_is_kept_from_a_device_endpoint_that_refuses_it() {
    let provider = Provider::start();
    provider.check(Endpoint::DeviceAuthorization, |request| {
        let has_secret = request.header("authorization").is_some()
            || request.form_value("client_secret").is_some();
        has_secret.then(|| Reply::json(403, &json!({ "error": "unauthorized_client" })))
    });
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "hush").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let config = format!(
        "provider = \"auth0\"\nclient_secret_file = {:?}\n{}",
        secret.display().to_string(),
        usual()
    );
    let fixture = Fixture::at(provider, &config, |_| {});
    let done = fixture.sign_in();
    assert_eq!(done.verdict, Verdict::Success, "{:#?}", fixture.log());
    let polls = fixture.provider.requests(Endpoint::Token);
    assert!(polls[0].header("authorization").is_some());
}

/// The address that a person is sent to.
fn address(name: &str) -> Url {
    let fixture = at(
        name,
        "flow = \"paste\"\nredirect_uri = \"https://host.example/code\"\n",
    );
    let prompt = fixture.begin().prompt();
    let line = prompt.lines().find(|line| line.contains("code_challenge="));
    line.expect(&prompt).trim().parse().unwrap()
}

#[test]
fn a_refresh_token_is_asked_for_as_the_provider_wants_it() {
    for (name, scope, prompt, access_type) in [
        (
            "oidc",
            "email offline_access openid profile",
            Some("consent"),
            None,
        ),
        // It would only bother people there.
        ("entra", "email offline_access openid profile", None, None),
        (
            "google",
            "email openid profile",
            Some("consent"),
            Some("offline"),
        ),
        ("cognito", "email openid profile", None, None),
    ] {
        let url = address(name);
        let value = |wanted: &str| {
            let mut pairs = url.query_pairs();
            pairs.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
        };
        assert_eq!(value("scope").as_deref(), Some(scope), "{name}");
        assert_eq!(value("prompt").as_deref(), prompt, "{name}");
        assert_eq!(value("access_type").as_deref(), access_type, "{name}");
    }
}

#[test]
fn the_journal_says_what_the_provider_means_by_a_refusal() {
    let fixture = at("entra", "");
    let refusal = json!({
        "error": "unauthorized_client",
        "error_description": "AADSTS700016: Application with identifier 'ssh' was not found",
    });
    let reply = Reply::json(400, &refusal);
    fixture
        .provider
        .always(Endpoint::DeviceAuthorization, reply);
    let done = fixture.sign_in();
    assert_ne!(done.verdict, Verdict::Success);
    let parts = [
        done.reference.as_str(),
        "The application is not known in this tenant.",
        "Check the client id",
    ];
    fixture.logged(&parts);
}

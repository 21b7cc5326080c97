//! `countersign credential kubernetes`, asked as kubectl asks.

use countersign_testkit::{Endpoint, Program, Reply};
use serde_json::{Value, json};

use crate::desk::Desk;

/// What kubectl puts into the environment of its exec plugins.
fn question(version: &str, interactive: bool) -> String {
    json!({
        "kind": "ExecCredential",
        "apiVersion": format!("client.authentication.k8s.io/{version}"),
        "spec": { "interactive": interactive },
    })
    .to_string()
}

fn asked(desk: &Desk, arguments: &str, version: &str) -> Program {
    desk.program(arguments)
        .env("KUBERNETES_EXEC_INFO", question(version, false))
}

fn answer(program: Program) -> Value {
    let done = program.run().expect_code(0);
    assert_eq!(done.stderr, "");
    serde_json::from_str(&done.stdout).expect("kubectl reads JSON")
}

#[test]
fn the_id_token_is_given_in_the_version_asked_for() {
    let desk = Desk::signed_in();
    let id_token = desk.run_silently("token --id-token");
    let access_token = desk.run_silently("token");
    let before = desk.provider.server().connections();
    for version in ["v1", "v1beta1"] {
        let credential = answer(asked(&desk, "credential kubernetes", version));
        assert_eq!(credential["kind"], "ExecCredential");
        assert_eq!(
            credential["apiVersion"],
            format!("client.authentication.k8s.io/{version}")
        );
        assert_eq!(credential["status"]["token"], id_token.trim_end());
        let other = answer(asked(
            &desk,
            "credential kubernetes --access-token",
            version,
        ));
        assert_eq!(other["status"]["token"], access_token.trim_end());
        // A member that a client does not know would be an error to it.
        let status = other["status"].as_object().unwrap();
        assert_eq!(
            status.keys().collect::<Vec<_>>(),
            ["expirationTimestamp", "token"]
        );
    }
    assert_eq!(desk.provider.server().connections(), before);
}

#[test]
fn when_it_expires_is_what_the_tokens_say() {
    let desk = Desk::with_profile();
    desk.provider
        .edit(Endpoint::Token, |answer| answer["expires_in"] = json!(900));
    desk.program("login").run().expect_code(0);
    let left = |arguments: &str| {
        let credential = answer(asked(&desk, arguments, "v1"));
        let at = credential["status"]["expirationTimestamp"]
            .as_str()
            .unwrap();
        let at: jiff::Timestamp = at.parse().unwrap();
        at.as_second() - jiff::Timestamp::now().as_second()
    };
    // The provider's ID tokens are good for 600 seconds.
    let id_token = left("credential kubernetes");
    assert!((500..=601).contains(&id_token), "{id_token}");
    let access_token = left("credential kubernetes --access-token");
    assert!((800..=901).contains(&access_token), "{access_token}");
}

#[test]
fn a_token_that_is_about_to_expire_is_renewed() {
    let desk = Desk::signed_in();
    let before = answer(asked(&desk, "credential kubernetes", "v1"));
    desk.provider.edit_id_token(|_, claims| {
        claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 20);
    });
    desk.run_silently("token --force-refresh");
    let short = answer(asked(&desk, "credential kubernetes --min-ttl 5s", "v1"));
    assert_ne!(short["status"]["token"], before["status"]["token"]);
    let requests = desk.provider.requests(Endpoint::Token).len();
    // No more than half of a token's life can be asked for.
    answer(asked(&desk, "credential kubernetes --min-ttl 9s", "v1"));
    assert_eq!(desk.provider.requests(Endpoint::Token).len(), requests);
}

#[test]
fn what_cannot_be_given_is_said_on_standard_error_alone() {
    let mut desk = Desk::with_profile();
    desk.export("KUBERNETES_EXEC_INFO", &question("v1", true));
    desk.note("Nobody is signed in. That a terminal is there changes nothing.");
    desk.run("credential kubernetes").expect_code(4);
    desk.note("The server issues no ID token.");
    desk.provider.edit(Endpoint::Token, |answer| {
        answer.as_object_mut().unwrap().remove("id_token");
    });
    desk.program("login --scope api").run().expect_code(0);
    desk.run("credential kubernetes").expect_code(1);
    desk.provider.behave(Endpoint::Token);
    desk.program("login").run().expect_code(0);
    desk.note("A session that the server has ended serves until its token expires.");
    let refused = Reply::json(400, &json!({ "error": "invalid_grant" }));
    desk.provider.always(Endpoint::Token, refused);
    desk.program("token --force-refresh").run().expect_code(4);
    desk.run("credential kubernetes").expect_code(0);
    desk.unset("KUBERNETES_EXEC_INFO");
    desk.export("KUBERNETES_EXEC_INFO", &question("v1alpha1", false));
    desk.run("credential kubernetes").expect_code(7);
    desk.unset("KUBERNETES_EXEC_INFO");
    desk.export("COUNTERSIGN_TOKEN", "ready-made");
    desk.run("credential kubernetes").expect_code(2);
    desk.run("credential kubernetes --access-token")
        .expect_code(0);
    desk.check("credential-kubernetes");
}

#[test]
fn a_bound_token_is_not_handed_out() {
    let mut desk = Desk::with_profile();
    desk.provider.demand_dpop();
    desk.program("login --dpop").run().expect_code(0);
    desk.run("credential kubernetes --access-token")
        .expect_code(1);
    desk.program("credential kubernetes").run().expect_code(0);
    desk.check("credential-bound");
}

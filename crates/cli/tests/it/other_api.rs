//! Other APIs from the same login, and tokens exchanged for others, as they are asked for in a terminal.

use countersign_testkit::{Endpoint, HttpServer, Reply, Request};
use serde_json::{Value, json};

use crate::desk::Desk;

const STOCK: &str = "https://stock.example.com";

/// The requests for tokens since somebody signed in.
fn asked(desk: &Desk) -> Vec<Request> {
    let mut requests = desk.provider.requests(Endpoint::Token);
    requests.retain(|request| {
        let grant = request.form_value("grant_type").unwrap_or_default();
        !grant.ends_with("device_code")
    });
    requests
}

fn refuse(desk: &Desk, code: &str, description: &str) {
    let body = json!({ "error": code, "error_description": description });
    desk.provider
        .always(Endpoint::Token, Reply::json(400, &body));
}

#[test]
fn a_token_for_another_api_in_every_format() {
    let mut desk = Desk::signed_in();
    for format in ["raw", "header", "env", "json"] {
        let arguments = format!("token --resource {STOCK} -o {format}");
        desk.run(&arguments).expect_code(0);
    }
    desk.run("token --scope read --audience stock -o header")
        .expect_code(0);
    desk.check("other-api");
}

#[test]
fn each_api_has_a_token_of_its_own_and_the_login_is_one() {
    let desk = Desk::signed_in();
    let own = desk.run_silently("token");
    let stock = desk.run_silently(&format!("token --resource {STOCK}"));
    let bills = desk.run_silently("token --resource https://bills.example.com");
    assert!(own != stock && stock != bills && bills != own);
    assert_eq!(asked(&desk).len(), 2);
    assert_eq!(
        asked(&desk)[0].form_value("resource").as_deref(),
        Some(STOCK)
    );
    // Each of them is kept, and so is the session's own.
    assert_eq!(desk.run_silently("token"), own);
    assert_eq!(
        desk.run_silently(&format!("token --resource {STOCK}")),
        stock
    );
    assert_eq!(asked(&desk).len(), 2);
    let forced = desk.run_silently(&format!("token --force-refresh --resource {STOCK}"));
    assert!(forced != stock);
    assert_eq!(
        desk.run_silently(&format!("token --resource {STOCK}")),
        forced
    );
}

#[test]
fn what_the_profile_names_is_the_session_s_own() {
    let desk = Desk::new();
    desk.configure(&format!(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\nresource = [\"{STOCK}\"]\n"
    ));
    desk.program("login").run().expect_code(0);
    let own = desk.run_silently("token");
    assert_eq!(desk.run_silently(&format!("token --resource {STOCK}")), own);
    assert!(asked(&desk).is_empty());
}

#[test]
fn every_command_that_hands_out_tokens_knows_other_apis() {
    let desk = Desk::signed_in();
    let stock = desk.run_silently(&format!("token --resource {STOCK}"));
    let stock = stock.trim_end();
    let api = HttpServer::start();
    api.on("GET", "/items", Reply::json(200, &json!({})));
    desk.program(&format!("curl --resource {STOCK} {} -s", api.url("/items")))
        .run()
        .expect_code(0);
    let bearer = format!("Bearer {stock}");
    assert_eq!(
        api.requests()[0].header("authorization"),
        Some(bearer.as_str())
    );
    let script = format!("exec --resource {STOCK} --env API_TOKEN -- sh -c");
    let done = desk.program(&script).arg("printf %s \"$API_TOKEN\"").run();
    assert_eq!(done.expect_code(0).stdout, stock);
    let credential = desk.run_silently(&format!("credential kubernetes --resource {STOCK}"));
    let credential: Value = serde_json::from_str(&credential).unwrap();
    assert_eq!(credential["status"]["token"], stock);
    assert_eq!(asked(&desk).len(), 1);
}

#[test]
fn a_refusal_says_what_was_refused_and_the_session_goes_on() {
    let mut desk = Desk::signed_in();
    refuse(&desk, "invalid_target", "no such resource");
    desk.run(&format!("token --resource {STOCK}"))
        .expect_code(7);
    desk.note("The session is as it was.");
    desk.run("token").expect_code(0);
    desk.provider.behave(Endpoint::Token);
    desk.run(&format!("token --resource {STOCK}"))
        .expect_code(0);
    desk.note("This one has no refresh token.");
    desk.provider.edit(Endpoint::Token, |answer| {
        answer.as_object_mut().unwrap().remove("refresh_token");
    });
    desk.program("login").run().expect_code(0);
    desk.run(&format!("token --resource {STOCK}"))
        .expect_code(7);
    desk.check("other-api-refused");
}

#[test]
fn what_makes_no_sense_is_said() {
    let mut desk = Desk::signed_in();
    desk.run("token --resource stock").expect_code(2);
    desk.run(&format!("token --id-token --resource {STOCK}"))
        .expect_code(2);
    desk.run("token --subject-token-file -").expect_code(2);
    desk.run("token --exchange --actor").expect_code(2);
    desk.run("token --exchange=id-token --subject-token-file -")
        .expect_code(2);
    desk.ask("token --exchange --subject-token-file -", "\n")
        .expect_code(2);
    desk.run("token --exchange --requested-type token")
        .expect_code(2);
    desk.export("COUNTERSIGN_TOKEN", "abc");
    desk.run(&format!("token --resource {STOCK}"))
        .expect_code(2);
    desk.run("token --exchange").expect_code(2);
    desk.check("other-api-usage");
}

#[test]
fn a_token_is_exchanged_and_the_result_is_kept() {
    let mut desk = Desk::signed_in();
    desk.run(&format!("token --exchange --resource {STOCK} -o json"))
        .expect_code(0);
    desk.run("token --exchange=id-token").expect_code(0);
    let [first, second] = <[Request; 2]>::try_from(asked(&desk)).unwrap();
    let id_token = desk.run_silently("token --id-token");
    let token = desk.run_silently("token");
    assert_eq!(
        first.form_value("subject_token").as_deref(),
        Some(token.trim_end())
    );
    assert_eq!(
        second.form_value("subject_token").as_deref(),
        Some(id_token.trim_end())
    );
    desk.run("token --exchange=id-token").expect_code(0);
    assert_eq!(asked(&desk).len(), 2);
    desk.note("A token of somebody else's, from standard input.");
    desk.ask(
        "token --exchange --subject-token-file - --subject-type jwt --actor --audience stock",
        "canary-of-ci\n",
    )
    .expect_code(0);
    let last = asked(&desk).pop().unwrap();
    for (name, value) in [
        ("subject_token", "canary-of-ci"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("actor_token", token.trim_end()),
        ("audience", "stock"),
    ] {
        assert_eq!(last.form_value(name).as_deref(), Some(value), "{name}");
    }
    desk.note("What is no access token is not put into a header.");
    desk.provider.edit(Endpoint::Token, |answer| {
        answer["token_type"] = json!("N_A");
        answer["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:saml2");
    });
    let saml = "token --exchange --requested-type saml2";
    desk.run(&format!("{saml} -o header")).expect_code(1);
    desk.run(&format!("{saml} -o json")).expect_code(0);
    desk.run("logout").expect_code(0);
    desk.check("exchange");
}

/// Whatever it says about it, a server is not told on by its own words: none of them is a secret.
#[test]
fn an_exchange_that_is_refused_repeats_nothing() {
    let mut desk = Desk::signed_in();
    refuse(
        &desk,
        "invalid_request",
        "subject_token canary-of-ci is not good",
    );
    desk.ask(
        "token --exchange --subject-token-file - --resource https://stock.example.com",
        "canary-of-ci\n",
    )
    .expect_code(1);
    desk.provider.behave(Endpoint::Token);
    desk.note("A server that answers, and does not say what it has issued.");
    desk.provider.edit(Endpoint::Token, |answer| {
        answer.as_object_mut().unwrap().remove("issued_token_type");
    });
    desk.run("token --exchange").expect_code(1);
    desk.check("exchange-refused");
}

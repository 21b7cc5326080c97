//! The configuration: what it says in words, and what cannot be meant.

use super::*;

fn routes(route: &str) -> String {
    head("http://127.0.0.1:1", "") + "[[route]]\npath = \"/a\"\nupstream = \"stock\"\n" + route
}

/// A route for another proxy, which asks as the table says.
fn asked(table: &str, route: &str) -> String {
    format!(
        "[[forward_auth]]\naddress = \"127.0.0.1:0\"\ntrust = [\"127.0.0.1\"]\n{table}\n[[route]]\npath = \"/b\"\n{route}\n"
    )
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_what_to_write() {
    let otp = "step_up = { otp = [\"totp\"] }\n";
    let unbound = "step_up = { otp = [\"totp\"], danger_unbound_body = true }";
    for (text, what) in [
        (routes(otp), "nobody judges one"),
        (routes("step_up = {}\n") + OTP, "asks for nothing"),
        (
            routes("step_up = { per = \"5m\" }\n") + OTP,
            "not for which",
        ),
        (
            routes("step_up = { otp = [] }\n") + OTP,
            "no one-time password would do",
        ),
        (
            routes("step_up = { otp = [\"sms\"] }\n") + OTP,
            "unknown variant `sms`",
        ),
        (
            routes("step_up = { otp = [\"totp\"], per = \"day\" }\n") + OTP,
            "per = \"request\"",
        ),
        (
            routes("step_up = { otp = [\"totp\"], per = \"2h\" }\n") + OTP,
            "an hour at most",
        ),
        (
            routes("step_up = { otp = [\"totp\"], action = \"{id}\" }\n") + OTP,
            "{last}",
        ),
        (
            routes("max_age = \"5m\"\nstep_up = { max_age = \"5m\" }\n"),
            "`max_age` is there twice",
        ),
        (
            routes("public = true\nstep_up = { otp = [\"totp\"] }\n") + OTP,
            "public",
        ),
        (
            routes(&format!("websocket = true\n{otp}"))
                .replace("name = \"stock\"", "name = \"stock\"\nprotocol = \"http1\"")
                + OTP,
            "a WebSocket cannot be confirmed",
        ),
        (
            routes(otp).replace("origin = \"http://gateway.test\"", "") + OTP,
            "has no name",
        ),
        (
            routes("") + &asked("preset = \"nginx\"", otp) + OTP,
            "danger_unbound_body = true",
        ),
        (
            routes("") + &asked("preset = \"envoy\"", otp) + OTP,
            "body = true",
        ),
        (
            routes("") + &asked("preset = \"nginx\"\nbody = true", unbound) + OTP,
            "only Envoy",
        ),
        (
            routes(otp) + OTP + "[step_up]\nlife = \"1h\"\n",
            "5 to 600 seconds",
        ),
        (
            routes(otp) + OTP + "[step_up]\nrealm = \"\"\n",
            "realm is empty",
        ),
    ] {
        match config(&text) {
            Ok(_) => panic!("{what}: accepted"),
            Err(problem) => assert!(problem.contains(what), "{what}: {problem}"),
        }
    }
    for good in [
        routes("") + &asked("preset = \"nginx\"", unbound) + OTP,
        routes("") + &asked("preset = \"envoy-grpc\"\nbody = true", otp) + OTP,
    ] {
        config(&good).unwrap_or_else(|problem| panic!("{problem}"));
    }
}

#[test]
fn what_is_asked_for_is_said_in_words() {
    let text = head("http://127.0.0.1:1", "") + ROUTES + OTP;
    let said = countersign_gateway::config::explain(&config(&text).unwrap());
    for line in [
        "seals challenges for passwords by a key of this process alone",
        "  each confirmed by a one-time password (yubikey or totp); bodies up to 1 KiB\n",
        "  confirmed once in 5 min by a one-time password (yubikey); bodies up to 1 MiB\n",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    let both =
        routes("step_up = { acr = [\"mfa\"], max_age = \"5m\", otp = [\"totp\"] }\n") + OTP + KEY;
    let said = countersign_gateway::config::explain(&config(&both).unwrap());
    assert!(
        said.contains("with acr mfa, a sign-in at most 5 min ago\n"),
        "{said}"
    );
    let shared = text + "[state]\nurl = \"redis+unix:///nowhere\"\n";
    let warnings = config(&shared).unwrap().warnings().join("\n");
    assert!(warnings.contains("[step_up] key_file"), "{warnings}");
    let unbound = "step_up = { otp = [\"totp\"], danger_unbound_body = true }";
    let unbound = routes("") + &asked("preset = \"caddy\"", unbound) + OTP;
    let warnings = config(&unbound).unwrap().warnings().join("\n");
    assert!(warnings.contains("is one for any body"), "{warnings}");
}

/// `explain` shows what a request would be asked for, and asks for nothing itself.
#[test]
fn a_request_is_explained_as_one_that_waits() {
    let (directory, _) = place();
    let text = head("http://127.0.0.1:1", "") + ROUTES + OTP;
    let config = crate::fixture::config(&text, directory.path()).unwrap();
    let token = token();
    let asked = countersign_gateway::Asked {
        method: "DELETE",
        target: "/resources/7",
        token: Some(&token),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (said, passes) = runtime
        .block_on(countersign_gateway::explain(config, &asked))
        .unwrap();
    assert!(!passes);
    assert!(
        said.contains("once they have confirmed it by a one-time password"),
        "{said}"
    );
    assert!(
        said.contains("each confirmed by a one-time password"),
        "{said}"
    );
}

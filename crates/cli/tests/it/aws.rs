//! `countersign credential aws`: a stand-in of STS that answers with the documented messages.

use std::sync::{Arc, Mutex};

use countersign_testkit::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::desk::Desk;

const ROLE: &str = "arn:aws:iam::123456789012:role/developer";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The sample response of the AWS STS API Reference in shape, with credentials that are good for so long.
fn credentials(number: usize, seconds: i64) -> Reply {
    let at = jiff::Timestamp::now().as_second() + seconds;
    let at = jiff::Timestamp::from_second(at).expect("a time of these years");
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"{NAMESPACE}\">\n\
         \x20 <AssumeRoleWithWebIdentityResult>\n\
         \x20   <SubjectFromWebIdentityToken>ada</SubjectFromWebIdentityToken>\n\
         \x20   <Audience>cli</Audience>\n\
         \x20   <AssumedRoleUser>\n      <Arn>arn:aws:sts::123456789012:assumed-role/developer/a</Arn>\n\
         \x20     <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:a</AssumedRoleId>\n    </AssumedRoleUser>\n\
         \x20   <Credentials>\n      <SessionToken>secret-session-token-{number}</SessionToken>\n\
         \x20     <SecretAccessKey>secret-access-key-{number}</SecretAccessKey>\n\
         \x20     <Expiration>{at}</Expiration>\n      <AccessKeyId>ASIAEXAMPLE{number}</AccessKeyId>\n\
         \x20   </Credentials>\n    <Provider>id.example.com</Provider>\n\
         \x20 </AssumeRoleWithWebIdentityResult>\n\
         \x20 <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>\n\
         </AssumeRoleWithWebIdentityResponse>\n"
    );
    Reply::text(200, "text/xml", body)
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    );
    Reply::text(status, "text/xml", body)
}

/// Gives each request new credentials that are good for so long.
fn sts(seconds: i64) -> HttpServer {
    let server = HttpServer::start();
    let count = Arc::new(Mutex::new(0));
    server.on_fn("POST", "/", move |_| {
        let mut count = count.lock().expect("nobody panics with it");
        *count += 1;
        credentials(*count, seconds)
    });
    server
}

fn configure(desk: &Desk, sts: &HttpServer) {
    desk.configure(&format!(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n\
         aws = {{ role_arn = \"{ROLE}\", sts_endpoint = \"{}/\" }}\n",
        sts.origin()
    ));
}

fn answer(desk: &Desk, arguments: &str) -> Value {
    let done = desk.program(arguments).run().expect_code(0);
    serde_json::from_str(&done.stdout).expect("the AWS programs read JSON")
}

#[test]
fn the_id_token_is_exchanged_for_credentials_of_the_role() {
    let desk = Desk::signed_in();
    let sts = sts(3600);
    configure(&desk, &sts);
    let credentials = answer(&desk, "credential aws --duration 1h");
    let members: Vec<&String> = credentials.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "AccessKeyId",
            "Expiration",
            "SecretAccessKey",
            "SessionToken",
            "Version"
        ]
    );
    assert_eq!(credentials["Version"], 1);
    assert_eq!(credentials["AccessKeyId"], "ASIAEXAMPLE1");
    assert_eq!(credentials["SecretAccessKey"], "secret-access-key-1");
    assert_eq!(credentials["SessionToken"], "secret-session-token-1");
    let id_token = desk.run_silently("token --id-token");
    let expected = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "ada@example.com"),
        ("DurationSeconds", "3600"),
        ("WebIdentityToken", id_token.trim_end()),
    ];
    assert_eq!(
        sts.requests()[0].form(),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    // Nothing of it is a signed request: STS takes this action from strangers.
    assert_eq!(sts.requests()[0].header("authorization"), None);
}

#[test]
fn credentials_are_kept_with_the_session_and_go_with_it() {
    let desk = Desk::signed_in();
    let sts = sts(3600);
    configure(&desk, &sts);
    let first = answer(&desk, "credential aws");
    assert_eq!(answer(&desk, "credential aws"), first);
    assert_eq!(sts.requests().len(), 1);
    // Another role, another name, another token: other credentials.
    for arguments in [
        "credential aws --role-arn arn:aws:iam::123456789012:role/other",
        "credential aws --session-name deploy",
        "credential aws --access-token",
        "credential aws --duration 30m",
        "credential aws --force-refresh",
    ] {
        assert_ne!(answer(&desk, arguments), first, "{arguments}");
    }
    assert_eq!(sts.requests().len(), 6);
    let renewed = answer(&desk, "credential aws");
    desk.program("login").run().expect_code(0);
    assert_ne!(answer(&desk, "credential aws"), renewed);
    desk.program("logout").run().expect_code(0);
    desk.program("credential aws").run().expect_code(4);
    let directory = desk.home.state_dir().join("derived");
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("secret-access-key"), "{text}");
    }
}

/// Lets what is kept look as if it had been asked for an hour earlier.
fn age(desk: &Desk) {
    let file = desk.home.state_dir().join("derived/default.json");
    let text = std::fs::read_to_string(&file).expect("something is kept");
    let mut kept: Value = serde_json::from_str(&text).expect("the file is JSON");
    let at = kept
        .pointer_mut("/record/entries/0/obtained_at")
        .expect("an entry has a time");
    *at = json!(at.as_i64().expect("a time is a number") - 3_600_000);
    std::fs::write(&file, kept.to_string()).expect("the file can be written");
}

#[test]
fn what_would_soon_be_asked_for_again_is_renewed_and_serves_while_sts_is_down() {
    let desk = Desk::signed_in();
    let sts = sts(600);
    configure(&desk, &sts);
    let first = answer(&desk, "credential aws");
    assert_eq!(answer(&desk, "credential aws"), first);
    age(&desk);
    let second = answer(&desk, "credential aws");
    assert_ne!(second, first);
    age(&desk);
    sts.on("POST", "/", Reply::new(503));
    let done = desk.program("credential aws").run().expect_code(0);
    assert_eq!(serde_json::from_str::<Value>(&done.stdout).unwrap(), second);
    let said = "warning: STS is busy or out of order";
    assert!(done.stderr.starts_with(said), "{}", done.stderr);
    // A refusal is another matter, and so is a wish.
    desk.program("credential aws --force-refresh")
        .run()
        .expect_code(3);
    sts.on("POST", "/", refusal(403, "AccessDenied", "no longer"));
    desk.program("credential aws").run().expect_code(5);
}

#[test]
fn what_aws_says_no_with_is_told_and_what_to_do_about_it() {
    let mut desk = Desk::signed_in();
    let sts = HttpServer::start();
    desk.hide(&sts.origin(), "STS");
    desk.run("credential aws").expect_code(7);
    desk.run("credential aws --role-arn developer")
        .expect_code(7);
    configure(&desk, &sts);
    for (reply, code) in [
        (
            refusal(
                403,
                "AccessDenied",
                "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            ),
            5,
        ),
        (
            refusal(400, "InvalidIdentityToken", "Incorrect token audience"),
            7,
        ),
        (
            refusal(
                400,
                "ExpiredTokenException",
                "Token expired: current date/time",
            ),
            4,
        ),
        (refusal(400, "IDPCommunicationError", "could not reach"), 3),
        (
            refusal(400, "ValidationError", "1 validation error detected"),
            7,
        ),
        (Reply::new(503), 3),
        (
            Reply::text(200, "text/html", "<html><body>Welcome</body></html>"),
            1,
        ),
        (Reply::json(200, &json!({ "Credentials": {} })), 1),
        (Reply::redirect(302, "https://elsewhere.example/"), 7),
        (Reply::hangup(), 3),
    ] {
        sts.on("POST", "/", reply);
        desk.run("credential aws").expect_code(code);
    }
    desk.note("Without TLS, only on this computer.");
    desk.run("credential aws --sts-endpoint http://sts.example.com/")
        .expect_code(7);
    desk.check("credential-aws");
}

#[test]
fn no_secret_is_told() {
    let desk = Desk::signed_in();
    let sts = sts(3600);
    configure(&desk, &sts);
    let done = desk.program("-vv credential aws").run().expect_code(0);
    desk.no_secret_is_in(&done.stderr);
    assert!(
        done.stderr.contains("POST http://127.0.0.1"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("secret-"), "{}", done.stderr);
    desk.no_secret_is_in(&done.stdout);
}

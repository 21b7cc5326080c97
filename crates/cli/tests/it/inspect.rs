//! `countersign inspect`: the claims, the verdict, and never the token.

use countersign_testkit::{Endpoint, Reply};

use crate::desk::Desk;

#[test]
fn a_token_is_decoded_and_verified() {
    let mut desk = Desk::with_profile();
    desk.provider.edit_id_token(|_, claims| {
        claims["name"] = "Ada \u{1b}[31mLovelace\u{202e}".into();
    });
    desk.program("login").run().expect_code(0);
    let done = desk.program("inspect --id-token").run().expect_code(0);
    desk.no_secret_is_in(&done.stdout);
    assert!(
        !done.stdout.contains(['\u{1b}', '\u{202e}']),
        "{:?}",
        done.stdout
    );
    for line in ["alg  \"ES256\"", "sub        \"ada\"", "Signature  good"] {
        assert!(done.stdout.contains(line), "{line}:\n{}", done.stdout);
    }
    let done = desk
        .program("inspect --id-token --json")
        .run()
        .expect_code(0);
    let shown: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (&shown["signature"], &shown["time"]),
        (&"good".into(), &"good".into())
    );
    desk.note("The access token of this server is opaque.");
    desk.run("inspect").expect_code(1);
    desk.run("inspect eyJhbGciOiJub25lIn0.e30.").expect_code(2);
    desk.check("inspect");
}

#[test]
fn a_bad_signature_an_expired_token_and_missing_keys_are_three_things() {
    let desk = Desk::signed_in();
    let token = desk.program("token --id-token").run().expect_code(0).stdout;
    let inspect = |token: &str| desk.program("inspect -").stdin(token).run();

    assert!(
        inspect(&token)
            .expect_code(0)
            .stdout
            .contains("Signature  good")
    );
    assert!(inspect(&format!("Authorization: Bearer {token}")).code() == Some(0));

    // Another signature: one that ends differently.
    let (rest, signature) = token.trim_end().rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    let bad = inspect(&format!("{rest}.{turned}")).expect_code(1);
    assert!(bad.stdout.contains("Signature  BAD"), "{}", bad.stdout);
    assert!(!bad.stdout.contains(&turned));

    let unsigned = inspect("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.").expect_code(1);
    assert!(
        unsigned.stdout.contains("Time       expired"),
        "{}",
        unsigned.stdout
    );

    desk.provider.always(Endpoint::Jwks, Reply::new(503));
    std::fs::remove_dir_all(desk.home.cache_dir()).unwrap();
    let unknown = inspect(&token).expect_code(3);
    assert!(unknown.stdout.contains("not checked"), "{}", unknown.stdout);
    let offline = desk
        .program("inspect --id-token --offline")
        .run()
        .expect_code(0);
    assert!(offline.stdout.contains("not checked: --offline"));
}

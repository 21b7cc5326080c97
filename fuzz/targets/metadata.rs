//! Discovery against a server that answers anything: no endpoint is believed that could not be.

#![no_main]

mod common;

use std::sync::LazyLock;

use common::{answers, check_error, drive};
use countersign_oauth::{Discovery, Issuer, Metadata, Timestamp};
use libfuzzer_sys::fuzz_target;

static ISSUERS: LazyLock<[Issuer; 2]> = LazyLock::new(|| {
    ["https://id.example.com", "http://127.0.0.1:8080"]
        .map(|issuer| Issuer::parse(issuer).expect("an issuer"))
});

fuzz_target!(|bytes: &[u8]| {
    for issuer in ISSUERS.iter() {
        match Metadata::from_json(bytes, issuer) {
            Ok(metadata) => check(&metadata, issuer),
            Err(error) => check_error(&error),
        }
        let mut flow = Discovery::new(issuer);
        let now = Timestamp::from_secs(1_795_000_000);
        match drive(&mut flow, &mut answers(bytes).into_iter(), now).0 {
            Ok(metadata) => check(&metadata, issuer),
            Err(error) => check_error(&error),
        }
        for (_, error) in flow.set_aside() {
            check_error(error);
        }
    }
});

fn check(metadata: &Metadata, issuer: &Issuer) {
    assert_eq!(metadata.issuer, *issuer);
    let endpoints = [
        &metadata.authorization_endpoint,
        &metadata.token_endpoint,
        &metadata.device_authorization_endpoint,
        &metadata.jwks_uri,
        &metadata.userinfo_endpoint,
        &metadata.revocation_endpoint,
        &metadata.introspection_endpoint,
    ];
    for url in endpoints.into_iter().flatten() {
        assert!(issuer.may_publish(url), "{url}");
        assert!(["https", "http"].contains(&url.scheme()), "{url}");
    }
    // What is cached on disk is read back as it was.
    let json = serde_json::to_vec(metadata).expect("metadata can be written");
    let again: Metadata = serde_json::from_slice(&json).expect("and read again");
    assert_eq!(serde_json::to_vec(&again).expect("and written again"), json);
}

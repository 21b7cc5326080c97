//! A token endpoint that answers anything to a refresh.

#![no_main]

mod common;

use std::sync::LazyLock;

use common::{answers, check_error, drive};
use countersign_oauth::{
    Client, HttpResponse, Issuer, Metadata, RefreshFlow, ScopeSet, Secret, Timestamp,
    TokenResponse, id_token,
};
use libfuzzer_sys::fuzz_target;
use url::Url;

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let issuer = Issuer::parse("https://id.example.com").expect("an issuer");
    let mut metadata = Metadata::new(issuer);
    metadata.token_endpoint = Url::parse("https://id.example.com/token").ok();
    metadata
});

fuzz_target!(|bytes: &[u8]| {
    let token = Secret::new("secret-refresh-token");
    let mut flow =
        RefreshFlow::new(&METADATA, &Client::public("cli"), &token).expect("an endpoint");
    let now = Timestamp::from_secs(1_795_000_000);
    let tokens = match drive(&mut flow, &mut answers(bytes).into_iter(), now).0 {
        Ok(tokens) => tokens,
        Err(error) => return check_error(&error),
    };
    assert!(!tokens.access_token.is_empty());
    // A token ends up in a header.
    assert!(
        tokens
            .access_token
            .expose()
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte))
    );
    let _ = tokens.granted_scope(&ScopeSet::new()).to_string();
    if let Some(Err(error)) = tokens.id_token.as_ref().map(id_token::parse) {
        check_error(&error);
    }
    let same = HttpResponse {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: tokens.to_json().expose().as_bytes().to_vec(),
    };
    assert_eq!(
        TokenResponse::from_response(&same).expect("our own answer"),
        tokens
    );
    assert_eq!(tokens.clone().merge_after_refresh(&tokens), tokens);
});

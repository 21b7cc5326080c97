//! What holds for every preset: texts that can be read aloud, scopes that exist, meanings that help.

use countersign_oauth::preset::{
    EndSession, MetadataSource, Offer, OtherApi, Preset, RefreshTokens,
};
use countersign_oauth::{Issuer, ScopeSet, Target};

fn is_sentence(text: &str) -> bool {
    text.chars().next().is_some_and(char::is_uppercase) && text.ends_with('.')
}

#[test]
fn every_meaning_is_two_sentences_that_can_be_read_aloud() {
    for preset in Preset::ALL {
        for meaning in preset.meanings() {
            for text in [meaning.sentence, meaning.remedy] {
                assert!(is_sentence(text), "{}: {text}", preset.name);
                assert!(text.is_ascii(), "{}: {text}", preset.name);
                assert!(!text.contains("  "), "{}: {text}", preset.name);
            }
        }
    }
}

#[test]
fn what_a_condition_or_a_reason_says_continues_a_sentence() {
    for preset in Preset::ALL {
        for offer in [
            preset.flows.device,
            preset.flows.code,
            preset.flows.client_credentials,
        ] {
            if let Offer::If(text) | Offer::No(text) = offer {
                assert!(
                    !text.ends_with('.') && !text.is_empty(),
                    "{}: {text}",
                    preset.name
                );
            }
        }
    }
}

#[test]
fn scopes_are_scopes_and_offline_access_stands_where_it_is_needed() {
    for preset in Preset::ALL {
        let scopes = ScopeSet::parse(&preset.scopes.join(" ")).unwrap();
        assert_eq!(scopes.len(), preset.scopes.len(), "{}", preset.name);
        let offline = scopes.contains("offline_access");
        let needed = preset.quirks.refresh == RefreshTokens::OfflineAccess;
        // Nobody knows which scopes a plain OAuth server has.
        assert!(
            offline == needed || preset.name == "oauth",
            "{}",
            preset.name
        );
    }
}

#[test]
fn static_metadata_is_given_where_there_is_no_discovery_only() {
    let issuer = Issuer::parse("https://id.example.com").unwrap();
    for preset in Preset::ALL {
        let metadata = preset.static_metadata(&issuer);
        let is_static = matches!(preset.quirks.metadata, MetadataSource::Static(_));
        assert_eq!(metadata.is_some(), is_static, "{}", preset.name);
    }
}

#[test]
fn the_codes_of_the_specifications_are_explained_at_any_provider() {
    for preset in Preset::ALL {
        let meaning = preset.explain("unsupported_grant_type", "").unwrap();
        assert!(meaning.other_flow, "{}", preset.name);
        assert!(
            preset.explain("access_denied", "").is_some(),
            "{}",
            preset.name
        );
        assert_eq!(preset.explain("", ""), None, "{}", preset.name);
        assert_eq!(
            preset.explain("never_heard_of", "nor this"),
            None,
            "{}",
            preset.name
        );
    }
}

#[test]
fn what_cannot_be_done_says_in_a_sentence_what_can() {
    for preset in Preset::ALL {
        let mut texts = Vec::new();
        if let OtherApi::No(text) = preset.quirks.other_api {
            texts.push(text);
        }
        if let EndSession::ByPerson(text) = preset.quirks.end_session {
            texts.push(text);
        }
        for text in texts {
            assert!(
                is_sentence(text) && text.is_ascii(),
                "{}: {text}",
                preset.name
            );
        }
    }
}

/// Auth0, "Multi-Resource Refresh Token"; Microsoft identity platform, "Refresh the access token".
#[test]
fn another_api_is_named_as_the_provider_wants_it() {
    let asked = Target {
        resources: vec!["https://api.example.com".to_owned()],
        ..Target::default()
    };
    let spelled = |name: &str, target: &Target| {
        let quirks = Preset::by_name(name).unwrap().quirks;
        let spelled = quirks.other_api.spelled(target, true);
        spelled.map(
            |Target {
                 resources,
                 audiences,
                 scopes,
             }| {
                format!(
                    "{} | {} | {scopes}",
                    resources.join(" "),
                    audiences.join(" ")
                )
            },
        )
    };
    let answer = |text: &str| Ok(text.to_owned());
    assert_eq!(
        spelled("oidc", &asked),
        answer("https://api.example.com |  | ")
    );
    assert_eq!(
        spelled("auth0", &asked),
        answer(" | https://api.example.com | ")
    );
    let default = " |  | https://api.example.com/.default offline_access";
    assert_eq!(spelled("entra", &asked), answer(default));
    let scopes = Target {
        scopes: ScopeSet::parse("api://1/read").unwrap(),
        ..asked.clone()
    };
    assert_eq!(
        spelled("entra", &scopes),
        answer(" |  | api://1/read offline_access")
    );
    for none in ["okta", "keycloak", "cognito", "google", "github"] {
        assert!(spelled(none, &asked).is_err(), "{none}");
    }
}

//! What holds for every preset: texts that can be read aloud, scopes that exist, meanings that help.

use countersign_oauth::preset::{MetadataSource, Offer, Preset, RefreshTokens};
use countersign_oauth::{Issuer, ScopeSet};

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

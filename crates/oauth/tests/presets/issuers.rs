//! How an issuer is made of short parts, and what is said when it cannot be.

use countersign_oauth::Issuer;
use countersign_oauth::preset::{PartName, Parts, PartsError, Preset};

fn preset(name: &str) -> &'static Preset {
    Preset::by_name(name).expect("a preset of that name")
}

/// `org=acme server=default`, as a person would type it.
pub(crate) fn parts(text: &str) -> Parts {
    let mut parts = Parts::default();
    for pair in text.split_ascii_whitespace() {
        let (name, value) = pair.split_once('=').expect("name=value");
        let name = match name {
            "org" => PartName::Org,
            "server" => PartName::Server,
            "host" => PartName::Host,
            other => panic!("{other}"),
        };
        parts.set(name, value);
    }
    parts
}

fn issuer(name: &str, text: &str) -> Result<String, PartsError> {
    preset(name)
        .issuer(&parts(text))
        .map(|issuer| issuer.to_string())
}

#[test]
fn names_are_unique_and_found_in_any_case() {
    for (index, one) in Preset::ALL.iter().enumerate() {
        assert_eq!(Preset::by_name(&one.name.to_uppercase()), Some(*one));
        assert_eq!(one.name, one.name.to_lowercase());
        let others = Preset::ALL.iter().skip(index + 1);
        assert!(others.into_iter().all(|other| other.name != one.name));
    }
    assert_eq!(Preset::by_name("kerberos"), None);
}

#[test]
fn short_parts_make_the_issuer_the_provider_uses() {
    for (name, text, expected) in [
        ("auth0", "org=acme", "https://acme.auth0.com/"),
        ("auth0", "org=acme.eu", "https://acme.eu.auth0.com/"),
        (
            "auth0",
            "org=acme.eu.auth0.com",
            "https://acme.eu.auth0.com/",
        ),
        (
            "auth0",
            "host=login.example.com",
            "https://login.example.com/",
        ),
        (
            "auth0",
            "host=https://login.example.com/",
            "https://login.example.com/",
        ),
        ("okta", "org=acme", "https://acme.okta.com"),
        (
            "okta",
            "org=acme server=default",
            "https://acme.okta.com/oauth2/default",
        ),
        (
            "okta",
            "org=acme.oktapreview.com",
            "https://acme.oktapreview.com",
        ),
        (
            "okta",
            "host=login.example.com server=aus1a2B3",
            "https://login.example.com/oauth2/aus1a2B3",
        ),
        (
            "cognito",
            "server=eu-central-1_AbCdEf123",
            "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123",
        ),
        (
            "cognito",
            "server=us-gov-west-1_AbC",
            "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_AbC",
        ),
        (
            "cognito",
            "server=cn-north-1_AbC",
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbC",
        ),
        (
            "entra",
            "org=72F988BF-0000-4000-8000-2D7CD011DB47",
            "https://login.microsoftonline.com/72f988bf-0000-4000-8000-2d7cd011db47/v2.0",
        ),
        (
            "entra",
            "org=72f988bf-0000-4000-8000-2d7cd011db47 host=login.microsoftonline.us",
            "https://login.microsoftonline.us/72f988bf-0000-4000-8000-2d7cd011db47/v2.0",
        ),
        ("google", "", "https://accounts.google.com"),
        (
            "keycloak",
            "host=sso.example.com server=acme",
            "https://sso.example.com/realms/acme",
        ),
        (
            "keycloak",
            "host=sso.example.com:8443/auth/ server=acme",
            "https://sso.example.com:8443/auth/realms/acme",
        ),
        ("github", "", "https://github.com"),
        (
            "github",
            "host=github.example.com",
            "https://github.example.com",
        ),
    ] {
        assert_eq!(issuer(name, text).as_deref(), Ok(expected), "{name} {text}");
    }
}

#[test]
fn what_is_missing_is_named_with_an_example() {
    for (name, text, part) in [
        ("auth0", "", PartName::Org),
        ("okta", "server=default", PartName::Org),
        ("cognito", "", PartName::Server),
        ("entra", "", PartName::Org),
        ("keycloak", "server=acme", PartName::Host),
        ("keycloak", "host=sso.example.com", PartName::Server),
    ] {
        let error = issuer(name, text).unwrap_err();
        let PartsError::Missing {
            part: missing,
            example,
            ..
        } = &error
        else {
            panic!("{name} {text}: {error:?}");
        };
        assert_eq!(*missing, part, "{name} {text}");
        assert!(error.to_string().contains(example), "{error}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (name, text) in [
        ("auth0", "org=https://acme.auth0.com"),
        ("auth0", "org=acme/evil"),
        ("auth0", "org=acme..eu"),
        ("auth0", "host=http://login.example.com"),
        ("auth0", "host=a@b.example"),
        ("okta", "org=acme.okta.com/"),
        ("okta", "org=acme server=a/b"),
        ("okta", "org=acme server=a?b"),
        ("cognito", "server=AbCdEf123"),
        ("cognito", "server=eu-central-1"),
        ("cognito", "server=eu-central-1_"),
        ("entra", "org=common"),
        ("entra", "org=organizations"),
        ("entra", "org=acme.onmicrosoft.com"),
        ("entra", "org=72f988bf00004000800002d7cd011db47"),
        ("keycloak", "host=sso.example.com server=a#b"),
    ] {
        let error = issuer(name, text).unwrap_err();
        assert!(
            matches!(error, PartsError::Malformed { .. }),
            "{name} {text}: {error:?}"
        );
    }
}

#[test]
fn a_part_without_use_is_no_silent_mistake() {
    for (name, text, part) in [
        ("google", "org=acme", PartName::Org),
        ("auth0", "org=acme server=x", PartName::Server),
        ("github", "org=acme", PartName::Org),
        ("oidc", "host=a.example", PartName::Host),
    ] {
        let error = issuer(name, text).unwrap_err();
        assert!(
            matches!(&error, PartsError::Unused { part: unused, .. } if *unused == part),
            "{name} {text}: {error:?}"
        );
    }
}

#[test]
fn general_presets_want_the_whole_issuer() {
    for name in ["oidc", "oauth"] {
        let error = issuer(name, "").unwrap_err();
        assert!(matches!(error, PartsError::NoShortForm { .. }), "{error:?}");
    }
}

#[test]
fn what_was_given_is_not_repeated_to_the_terminal_as_it_is() {
    let mut given = Parts::default();
    given.set(PartName::Org, "a\u{1b}[2Jb");
    let error = preset("okta").issuer(&given).unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}

#[test]
fn a_provider_is_known_by_an_issuer_of_its_own_and_by_no_other() {
    for (address, name) in [
        ("https://acme.eu.auth0.com/", Some("auth0")),
        (
            "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123",
            Some("cognito"),
        ),
        (
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbCdEf123",
            Some("cognito"),
        ),
        (
            "https://login.microsoftonline.com/72f988bf-0000-4000-8000-2d7cd011db47/v2.0",
            Some("entra"),
        ),
        ("https://github.com", Some("github")),
        ("https://accounts.google.com", Some("google")),
        ("https://sso.example.com/realms/acme", Some("keycloak")),
        ("https://sso.example.com/auth/realms/acme", Some("keycloak")),
        ("https://acme.okta.com/oauth2/default", Some("okta")),
        // Names that only look like one of these.
        ("https://okta.com", None),
        ("https://acme-okta.com", None),
        ("https://acme.okta.com.evil.example", None),
        ("https://evilaccounts.google.com", None),
        ("https://cognito-idp.evil.example", None),
        ("https://id.example.com/realms-of-old", None),
        ("https://id.example.com", None),
    ] {
        let issuer = Issuer::parse(address).unwrap();
        let found = Preset::of_issuer(&issuer).map(|preset| preset.name);
        assert_eq!(found, name, "{address}");
    }
}

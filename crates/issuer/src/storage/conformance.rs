//! What any storage must do, run over every one there is.

use std::time::Duration;

use countersign_jose::{Algorithm, Timestamp};
use countersign_oauth::ScopeSet;
use tempfile::TempDir;

use super::{Memory, Sqlite, Store};
use crate::core::{
    Account, Audiences, Authentication, AuthorizationCode, Class, Client, ClientAuthentication,
    Demands, Device, DeviceState, Factor, FactorKind, Grant, GrantType, Holder, PasswordHash,
    Proven, PushedRequest, Rotation, SealedSecret, SecondFactor, Session,
};

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

fn account(id: &str, username: &str) -> Account {
    Account {
        id: id.to_owned(),
        username: username.to_owned(),
        name: Some("Ada Löv'lace".to_owned()),
        email: None,
        groups: vec!["eng".to_owned(), "a b".to_owned()],
        password: PasswordHash("$argon2id$…".to_owned()),
        disabled: false,
        created_at: T0,
    }
}

fn client(id: &str) -> Client {
    Client {
        id: id.to_owned(),
        name: "A client".to_owned(),
        authentication: ClientAuthentication::Secret([9; 32]),
        grant_types: GrantType::ALL.to_vec(),
        audiences: Audiences::Listed(vec!["https://api.example".to_owned()]),
        serves: vec!["https://served.example".to_owned()],
        redirect_uris: vec!["http://127.0.0.1/cb".to_owned()],
        post_logout_redirect_uris: vec!["https://app.example/?a=\"b\"".to_owned()],
        dpop_bound: true,
        require_par: false,
        scopes: ScopeSet::parse("api.read").unwrap(),
        signing_algorithm: Algorithm::Rs256,
        created_at: T0,
    }
}

fn device(number: u8, user_code: &str) -> Device {
    Device {
        code: [number; 32],
        user_code: user_code.to_owned(),
        client_id: "cli".to_owned(),
        scopes: ScopeSet::parse("openid offline_access").unwrap(),
        audiences: vec!["https://api.example".to_owned()],
        requested_from: Some("2001:db8::1".parse().unwrap()),
        claimed_host: Some("box".to_owned()),
        claimed_command: None,
        created_at: T0,
        expires_at: after(600),
        demands: Demands {
            classes: vec![Class::MultiFactor, Class::Password],
            max_age: Some(Duration::from_secs(u32::MAX.into())),
        },
        state: DeviceState::Pending,
    }
}

fn grant(number: u8) -> Grant {
    Grant {
        id: [number; 16],
        account_id: "ada".to_owned(),
        client_id: "cli".to_owned(),
        scopes: ScopeSet::parse("openid").unwrap(),
        audiences: Vec::new(),
        authentication: Authentication {
            at: T0,
            second: Some(SecondFactor::Yubikey),
        },
        created_at: after(1),
        expires_at: after(900),
        rotation: Some(Rotation {
            generation: 7,
            rotated_at: after(2),
        }),
        dpop_jkt: Some("a thumbprint".to_owned()),
    }
}

fn code(number: u8) -> AuthorizationCode {
    AuthorizationCode {
        code: [number; 32],
        client_id: "cli".to_owned(),
        redirect_uri: "http://127.0.0.1:49152/cb".to_owned(),
        code_challenge: [8; 32],
        nonce: Some("n-0S6_WzA2Mj".to_owned()),
        scopes: ScopeSet::parse("openid").unwrap(),
        audiences: vec!["https://api.example".to_owned()],
        account_id: "ada".to_owned(),
        authentication: Authentication {
            at: T0,
            second: Some(SecondFactor::RecoveryCode),
        },
        dpop_jkt: None,
        expires_at: after(60),
        redeemed_as: None,
    }
}

fn pushed(number: u8) -> PushedRequest {
    PushedRequest {
        uri: [number; 32],
        client_id: "cli".to_owned(),
        parameters: "scope=openid&state=%C3%A9".to_owned(),
        expires_at: after(60),
    }
}

fn session(number: u8) -> Session {
    Session {
        id: [number; 32],
        account_id: "ada".to_owned(),
        authenticated_at: T0,
        second: Some(Proven {
            factor: SecondFactor::Totp,
            at: after(3),
        }),
        is_halfway: number.is_multiple_of(2),
        expires_at: after(900),
    }
}

/// A Yubikey of `ada`.
fn key(number: u8) -> Factor {
    Factor {
        id: [number; 16],
        kind: FactorKind::Yubikey {
            public_id: format!(
                "cccccccccc{}",
                char::from(b'b' + number).to_string().repeat(2)
            ),
        },
        holder: Holder::Account("ada".to_owned()),
        secret: SealedSecret(vec![number; 70]),
        position: None,
        since: after(number.into()),
        used_at: None,
    }
}

macro_rules! suite {
    ($($file:ident { $($test:ident),* $(,)? })*) => {
        $(mod $file;)*

        mod memory {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$file::$test(super::Store::new(Box::new(super::Memory::new()))).await;
            })*)*
        }

        mod sqlite {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                let directory = super::TempDir::new().unwrap();
                let file = directory.path().join("issuer.sqlite");
                let storage = super::Sqlite::open(&file).unwrap();
                super::$file::$test(super::Store::new(Box::new(storage))).await;
            })*)*
        }
    };
}

suite! {
    written {
        everything_written_is_read_back_as_it_was,
        sign_ins_and_what_is_asked_of_them_are_read_back,
        an_empty_storage_has_nothing,
        names_and_user_codes_are_taken_once,
        a_rotation_changes_the_generation_and_nothing_else,
        extending_a_session_changes_its_end_alone,
    }
    factors {
        factors_are_read_back_as_they_were,
        a_public_id_is_taken_once,
        a_factor_moves_forward_only,
        of_many_at_once_exactly_one_moves_a_factor,
        of_many_at_once_exactly_one_uses_a_recovery_code,
        an_account_takes_its_factors_along,
        a_failed_operation_moves_and_uses_nothing,
    }
    once {
        a_failed_operation_leaves_nothing_behind,
        a_pushed_request_is_taken_once,
        an_assertion_is_used_once_and_remembered_until_its_end,
        of_many_at_once_exactly_one_finds_a_login_unredeemed,
    }
    ending {
        an_account_goes_with_its_logins_and_a_client_with_its_own,
        what_an_account_has_approved_is_denied_when_its_logins_end,
        codes_and_pushed_requests_outlive_their_end_by_a_while,
        what_is_over_is_forgotten_in_portions,
    }
}

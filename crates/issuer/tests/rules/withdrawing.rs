//! An administrator withdraws something, and the logins that are affected notice.

use countersign_issuer::core::{AccountChange, AccountRejected, Grant, Tokens};
use countersign_oauth::Secret;

use crate::fixture::{Fixture, claims, cli, code_of};
use crate::over_both;

over_both!(
    who_leaves_a_group_is_in_it_no_more_from_the_next_renewal_on,
    an_administrator_ends_one_login_and_the_others_go_on,
);

const SCOPE: &str = "openid offline_access";

fn token(tokens: Tokens) -> Secret {
    tokens.refresh_token.unwrap()
}

/// OpenID Connect Core 1.0, section 12.2: a renewal may bring an ID token, and ours says what is so then.
async fn who_leaves_a_group_is_in_it_no_more_from_the_next_renewal_on(f: Fixture) {
    let change = async |join: &[&str], leave: &[&str]| {
        let owned = |groups: &[&str]| groups.iter().map(|&group| group.to_owned()).collect();
        let change = AccountChange {
            join: owned(join),
            leave: owned(leave),
            ..AccountChange::default()
        };
        f.core.change_account("Ada", change).await.unwrap()
    };
    assert_eq!(change(&["ops", "dev", "ops"], &[]).await, Ok(true));
    let tokens = f.log_in("openid groups offline_access").await;
    let groups = |tokens: &Tokens| claims(tokens.id_token.as_ref().unwrap())["groups"].clone();
    let before = groups(&tokens);
    assert!(
        before.as_array().unwrap().contains(&"ops".into()),
        "{before}"
    );
    assert_eq!(change(&[], &["ops"]).await, Ok(true));
    let renewed = f.refresh(&token(tokens)).await.unwrap();
    let after = groups(&renewed);
    assert!(
        !after.as_array().unwrap().contains(&"ops".into()),
        "{after}"
    );
    assert!(after.as_array().unwrap().contains(&"dev".into()), "{after}");
    let said = f
        .core
        .user_info(renewed.access_token.expose(), None, f.now());
    let said = serde_json::to_value(said.unwrap().unwrap()).unwrap();
    assert_eq!(said["groups"], after);
    // A slip of the pen must not look like a withdrawal.
    assert_eq!(
        change(&[], &["ops"]).await,
        Err(AccountRejected::NotInGroup)
    );
    assert_eq!(
        change(&["a,b"], &[]).await,
        Err(AccountRejected::GroupMalformed)
    );
    assert_eq!(
        change(&[""], &["dev"]).await,
        Err(AccountRejected::GroupMalformed)
    );
}

async fn an_administrator_ends_one_login_and_the_others_go_on(f: Fixture) {
    f.add_account("eve", Vec::new()).await;
    let laptop = f.log_in(SCOPE).await;
    f.advance_secs(1);
    let server = f.log_in(SCOPE).await;
    let listed = f.core.grants_of("ADA", f.now()).unwrap().unwrap();
    let sid = |tokens: &Tokens| {
        claims(&tokens.access_token)["sid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let sids: Vec<String> = listed.iter().map(Grant::sid).collect();
    assert_eq!(sids, [sid(&laptop), sid(&server)]);
    assert!(f.core.revoke_grant(&sids[0]).await.unwrap());
    for gone in [sids[0].as_str(), "nonsense", ""] {
        assert!(!f.core.revoke_grant(gone).await.unwrap(), "{gone}");
    }
    let active = async |tokens: &Tokens| {
        let token = tokens.access_token.expose();
        f.core
            .introspect(&cli(), token, f.now())
            .await
            .unwrap()
            .active
    };
    assert!(!active(&laptop).await && active(&server).await);
    assert_eq!(code_of(f.refresh(&token(laptop)).await), "invalid_grant");
    let renewed = f.refresh(&token(server)).await.unwrap();
    let of = async |username, client| f.core.revoke_grants_of(username, client).await.unwrap();
    assert_eq!(of("nobody", None).await, None);
    assert_eq!(of("eve", None).await, Some(0));
    assert_eq!(of("ada", Some("another")).await, Some(0));
    assert!(active(&renewed).await);
    assert_eq!(of("ada", Some("cli")).await, Some(1));
    assert!(!active(&renewed).await);
    assert_eq!(f.core.grants_of("ada", f.now()).unwrap().unwrap(), []);
    assert!(f.core.grants_of("nobody", f.now()).unwrap().is_none());
}

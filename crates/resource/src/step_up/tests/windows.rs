//! One password for a while: for whom, for what, and for how long.

use super::*;
use crate::testing::START;

fn five_minutes(rule: &str) -> StepUpBuilder {
    StepUp::once_in(Duration::from_secs(300), rule)
}

#[tokio::test]
async fn one_password_counts_for_a_token_and_a_rule_until_its_time_is_over() {
    let world = World::new();
    let mut replicas = [
        world.api(five_minutes("stock")),
        world.api(five_minutes("stock")),
    ];
    let mut key = replicas[0].enrol("ada", 0).await;
    replicas[0].enrol("grace", 1).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = replicas[0].challenge(&sent).await;
    let otp = key.press(1);
    let done = replicas[0].send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!(done.body, "ada by ada's key, false, Some(0)");

    world.clock.advance(Duration::from_millis(299_999));
    let other = Sent {
        method: "PUT",
        target: "/stock/7",
        body: "7",
        ..sent.clone()
    };
    for replica in &mut replicas {
        for sent in [&sent, &other] {
            let answer = replica.send(sent).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body.starts_with("ada by an earlier password"));
        }
        // Not for another token of the same person, and not for another person.
        for changes in [json!({ "jti": "t-2" }), json!({ "sub": "grace" })] {
            let token = world.token(&changes);
            replica.challenge(&Sent::delete(&token)).await;
        }
    }
    let mut elsewhere = [world.api(five_minutes("orders")), world.api(each())];
    for api in &mut elsewhere {
        api.challenge(&sent).await;
    }
    let mut other_api = world.api_named("https://other.example.com", five_minutes("stock"), |it| {
        it.key([1; 32])
    });
    other_api.challenge(&sent).await;

    world.clock.advance(Duration::from_millis(1));
    for replica in &mut replicas {
        replica.challenge(&sent).await;
    }
}

/// A password that comes while an earlier one counts is judged like any other.
#[tokio::test]
async fn a_wrong_password_is_wrong_while_an_earlier_one_counts() {
    let world = World::new();
    let mut api = world.api(five_minutes("stock"));
    let mut key = api.enrol("ada", 0).await;
    let token = world.token(&json!({ "exp": START + 600 }));
    let sent = Sent::delete(&token);
    let challenge = api.challenge(&sent).await;
    let otp = key.press(1);
    let first = sent.with(&challenge, otp.expose());
    assert_eq!(api.send(&first).await.status, 200);
    let again = api.send(&first).await;
    assert_eq!(again.status, 401, "{again:?}");
    assert_eq!(api.send(&sent).await.status, 200);
}

//! What has to be asked cannot be: nobody passes, and nothing is used up that could be used twice.

use std::sync::Mutex;

use super::*;
use crate::state::{Advance, Attempt, Claim, Issued, Key, StateError, StateFuture};

/// A memory that does not answer one kind of question.
struct Broken {
    inner: MemoryState,
    question: Mutex<&'static str>,
}

impl Broken {
    fn ask<'a, T: Send + 'a>(
        &'a self,
        question: &'static str,
        answer: impl FnOnce() -> StateFuture<'a, T>,
    ) -> StateFuture<'a, T> {
        if *self.question.lock().unwrap() != question {
            return answer();
        }
        Box::pin(async { Err(StateError::Unavailable("connection refused".into())) })
    }
}

impl SharedState for Broken {
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Claim> {
        self.ask("claim", || self.inner.claim(key, until, now))
    }

    fn advance<'a>(&'a self, key: &'a Key, to: u64) -> StateFuture<'a, Advance> {
        self.ask("advance", || self.inner.advance(key, to))
    }

    fn deny<'a>(
        &'a self,
        key: &'a Key,
        issued: Issued,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, ()> {
        self.inner.deny(key, issued, until, now)
    }

    fn denied<'a>(
        &'a self,
        keys: &'a [Key],
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> StateFuture<'a, bool> {
        self.inner.denied(keys, issued_at, now)
    }

    fn attempt<'a>(
        &'a self,
        key: &'a Key,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Attempt> {
        self.ask("attempt", || self.inner.attempt(key, limit, until, now))
    }

    fn forgive<'a>(&'a self, key: &'a Key) -> StateFuture<'a, ()> {
        self.ask("forgive", || self.inner.forgive(key))
    }

    fn grant<'a>(&'a self, key: &'a Key, until: Timestamp, now: Timestamp) -> StateFuture<'a, ()> {
        self.ask("grant", || self.inner.grant(key, until, now))
    }

    fn granted<'a>(&'a self, key: &'a Key, now: Timestamp) -> StateFuture<'a, bool> {
        self.ask("granted", || self.inner.granted(key, now))
    }
}

#[tokio::test]
async fn nobody_passes_while_the_memory_does_not_answer() {
    let mut world = World::new();
    let state = Arc::new(Broken {
        inner: MemoryState::new(world.clock.now()),
        question: Mutex::new(""),
    });
    world.state = Arc::<Broken>::clone(&state);
    let mut api = world.api(StepUp::once_in(Duration::from_secs(300), "stock"));
    let mut key = api.enrol("ada", 0).await;
    for (round, question) in ["attempt", "claim", "advance"].into_iter().enumerate() {
        let token = world.token(&json!({ "jti": format!("t-{round}") }));
        let sent = Sent::delete(&token);
        let challenge = api.challenge(&sent).await;
        let otp = key.press(1);
        *state.question.lock().unwrap() = question;
        let answer = api.send(&sent.with(&challenge, otp.expose())).await;
        assert_eq!(
            (answer.status, answer.error()),
            (503, Some("unavailable")),
            "{question}"
        );
        assert_eq!(answer.retry_after.as_deref(), Some("5"), "{question}");
        assert_eq!(answer.parameter("otp_challenge"), None, "{question}");
        *state.question.lock().unwrap() = "";
        // The password was not used up, whatever became of the challenge.
        let challenge = api.challenge(&sent).await;
        let done = api.send(&sent.with(&challenge, otp.expose())).await;
        assert_eq!(done.status, 200, "{question}: {done:?}");
    }
    let token = world.token(&json!({ "jti": "t-9" }));
    let sent = Sent::delete(&token);
    *state.question.lock().unwrap() = "granted";
    let answer = api.send(&sent).await;
    assert_eq!((answer.status, answer.error()), (503, Some("unavailable")));
    // What only spares people a password later is no reason to refuse them now.
    *state.question.lock().unwrap() = "grant";
    let challenge = api.challenge(&sent).await;
    let otp = key.press(1);
    let done = api.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!(done.status, 200, "{done:?}");
    *state.question.lock().unwrap() = "";
    api.challenge(&sent).await;
}

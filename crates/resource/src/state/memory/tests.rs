//! What the memory promises beyond the common suite: its bounds, and what it
//! does when the clock is wrong.

use std::sync::Arc;

use super::*;
use crate::state::conformance;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn key(name: &str) -> Key {
    Key::new("test", &[name.as_bytes()])
}

fn claim(state: &MemoryState, name: &str, expires: i64, now: i64) -> &'static str {
    match state.claim_now(&key(name), at(expires), at(now)) {
        Ok(Claim::First) => "first",
        Ok(Claim::Again) => "again",
        Err(error) => error.code(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_keeps_what_every_state_promises() {
    let state: Arc<dyn SharedState> = Arc::new(MemoryState::new(at(1_000)));
    conformance::check(&state, &Arc::clone(&state), at(1_000)).await;
}

#[test]
fn a_claim_can_be_made_anew_only_by_something_that_ends_later() {
    let state = MemoryState::new(at(0));
    assert_eq!(claim(&state, "a", 100, 10), "first");
    assert_eq!(claim(&state, "a", 100, 99), "again");
    assert_eq!(claim(&state, "a", 100, 100), "again");
    assert_eq!(claim(&state, "a", 200, 100), "first");
}

/// The time of day jumps ahead and is set right again. What was forgotten
/// meanwhile must not be accepted a second time.
#[test]
fn a_clock_that_is_set_back_brings_no_claim_back() {
    let state = MemoryState::new(at(0));
    assert_eq!(claim(&state, "a", 100, 10), "first");
    assert_eq!(claim(&state, "a", 100, 5_000), "again");
    assert_eq!(claim(&state, "a", 100, 20), "again");
    assert_eq!(claim(&state, "a", 101, 20), "first");
}

#[test]
fn a_full_memory_says_so_until_something_ends() {
    let state = MemoryState::with_room_for(at(0), 2, 2, 2);
    assert_eq!(claim(&state, "a", 100, 0), "first");
    assert_eq!(claim(&state, "b", 200, 0), "first");
    assert_eq!(claim(&state, "c", 300, 0), "state_full");
    assert_eq!(claim(&state, "a", 100, 0), "again");
    // Whatever shard it lies in, what has ended makes room.
    assert_eq!(claim(&state, "c", 300, 100), "first");
    assert_eq!(claim(&state, "d", 300, 100), "state_full");

    assert_eq!(state.advance_now(&key("a"), 0).unwrap(), Advance::Moved);
    assert_eq!(state.advance_now(&key("b"), 0).unwrap(), Advance::Moved);
    assert!(state.advance_now(&key("c"), 0).is_err());
    assert_eq!(state.advance_now(&key("a"), 1).unwrap(), Advance::Moved);
}

#[test]
fn a_flood_of_claims_does_not_keep_a_denial_out() {
    let state = MemoryState::with_room_for(at(0), 1, 1, 1);
    assert_eq!(claim(&state, "a", 100, 0), "first");
    assert_eq!(claim(&state, "b", 100, 0), "state_full");
    let denial = Denial {
        issued: Issued::Whenever,
        until: at(50),
    };
    state.deny_now(&key("t"), denial, at(0)).unwrap();
    assert!(state.is_denied(&[key("t")], None, at(49)));
    assert!(!state.is_denied(&[key("t")], None, at(50)));
    // And a denial that is prolonged takes no second place.
    let longer = Denial {
        until: at(80),
        ..denial
    };
    state.deny_now(&key("t"), longer, at(49)).unwrap();
    assert!(state.deny_now(&key("u"), denial, at(60)).is_err());
    assert!(state.is_denied(&[key("t")], None, at(60)));
    state
        .deny_now(
            &key("u"),
            Denial {
                until: at(90),
                ..denial
            },
            at(80),
        )
        .unwrap();
}

#[test]
fn everything_that_has_ended_is_dropped() {
    let state = MemoryState::with_room_for(at(0), 1_000, 1, 1);
    for number in 0..1_000 {
        assert_eq!(claim(&state, &format!("{number}"), 100, 0), "first");
    }
    assert_eq!(claim(&state, "late", 300, 200), "first");
    for shard in &state.claims.shards {
        write(shard).drop_ended(at(200), &state.claims.room);
    }
    assert_eq!(state.claims.len(), 1);
    let shards = state.claims.shards.iter().map(read);
    assert_eq!(shards.map(|shard| shard.ends.len()).sum::<usize>(), 1);
}

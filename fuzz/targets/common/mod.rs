//! What the targets share that play an authorization server: answers from bytes, a clock from
//! nothing, and what must hold for every error.

#![allow(dead_code, reason = "each target uses a part")]

use std::error::Error as _;
use std::time::Duration;

use countersign_oauth::{Error, Flow, HttpResponse, MAX_BODY, Step, Timestamp, TransportError};

/// Between two answers of an input.
const SEPARATOR: &[u8] = b"\n--\n";

/// More steps than any exchange may need within the longest life of a device code.
const MAX_STEPS: usize = 200_000;

/// An input is a list of answers. Each begins with a line like `200 application/json` (a number
/// after it is `Retry-After`, and what follows that is `DPoP-Nonce`) and goes on with its body; an empty
/// one is a connection that fails.
pub fn answers(bytes: &[u8]) -> Vec<Option<HttpResponse>> {
    let mut answers = Vec::new();
    let mut rest = bytes;
    loop {
        let end = rest
            .windows(SEPARATOR.len())
            .position(|window| window == SEPARATOR);
        let (answer, after) = rest.split_at(end.unwrap_or(rest.len()));
        answers.push(read(answer));
        match after.get(SEPARATOR.len()..) {
            Some(after) if end.is_some() => rest = after,
            _ => return answers,
        }
    }
}

fn read(answer: &[u8]) -> Option<HttpResponse> {
    let end = answer
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(answer.len());
    let (line, body) = answer.split_at(end);
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let status = words.next()?.parse().ok()?;
    let mut headers = Vec::new();
    let names = ["content-type", "retry-after", "dpop-nonce"];
    for (name, value) in names.iter().zip(words) {
        headers.push(((*name).to_owned(), value.to_owned()));
    }
    let body = body.get(1..).unwrap_or_default();
    assert!(body.len() <= MAX_BODY);
    Some(HttpResponse {
        status,
        headers,
        body: body.to_vec(),
    })
}

/// Drives a flow from `now` with these answers in turn; when they have run out, nothing answers any
/// more. Returns the outcome and the time it took place.
pub fn drive<F: Flow>(
    flow: &mut F,
    answers: &mut impl Iterator<Item = Option<HttpResponse>>,
    mut now: Timestamp,
) -> (Result<F::Output, Error>, Timestamp) {
    for _ in 0..MAX_STEPS {
        match flow.poll(now) {
            Ok(Step::Done(output)) => return (Ok(output), now),
            Ok(Step::WaitUntil(time)) => {
                assert!(time > now, "a wait that does not wait");
                now = time;
            }
            Ok(Step::Send(request)) => {
                assert!(!format!("{request:?}").contains("secret-"), "{request:?}");
                now = now.saturating_add(Duration::from_millis(10));
                match answers.next().flatten() {
                    Some(response) => {
                        if let Err(error) = flow.handle(&response, now) {
                            return (Err(error), now);
                        }
                    }
                    None => flow.transport_failed(TransportError::Closed, now),
                }
            }
            Err(error) => return (Err(error), now),
        }
    }
    panic!("an exchange without an end");
}

/// An error has a code, prints as one clean line, and repeats no secret.
pub fn check_error(error: &Error) {
    let code = error.code();
    assert!(
        !code.is_empty()
            && code
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b)),
        "{code:?}"
    );
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        lines.push(cause.to_string());
        source = cause.source();
    }
    lines.extend(error.hints());
    for line in lines {
        assert!(!line.is_empty());
        assert!(!line.chars().any(|c| c.is_control()), "{line:?}");
        assert!(
            !line.chars().any(|c| ('\u{202a}'..='\u{202e}').contains(&c)),
            "{line:?}"
        );
        assert!(line.len() < 8 * 1024, "{line:?}");
    }
}

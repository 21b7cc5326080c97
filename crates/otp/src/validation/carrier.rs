//! A validation from its first question to its outcome, over whatever carries the questions.
//!
//! Not responsible for: the carrying. Clocks, sockets and tasks are the driver's.

use std::time::Duration;

use super::{Outcome, Question, Step, Validation};

/// Carries questions to servers and answers back.
pub trait Carrier: Send {
    /// What an answer consists of.
    type Body: AsRef<[u8]> + Send;

    /// The time since 1970, which never goes backwards.
    fn now(&self) -> Duration;

    /// Sends a question, and does not wait: the others are to be asked at the same time. No redirect
    /// is followed.
    fn ask(&mut self, question: &Question);

    /// The next answer to any of them: from which server, and its body, of which [`MAX_BODY`](super::MAX_BODY)
    /// bytes are read, or nothing where none came. `None` when `rest` is over, and not before.
    fn answer(
        &mut self,
        rest: Duration,
    ) -> impl Future<Output = Option<(usize, Option<Self::Body>)>> + Send;
}

impl Validation {
    /// Asks, hears, and ends: at the latest when its time is over.
    pub async fn run(mut self, carrier: &mut impl Carrier) -> Outcome {
        loop {
            match self.poll(carrier.now()) {
                Step::Done(outcome) => return outcome,
                Step::Send(question) => carrier.ask(&question),
                Step::WaitUntil(until) => {
                    let rest = until.saturating_sub(carrier.now());
                    match carrier.answer(rest).await {
                        Some((server, Some(body))) => {
                            self.handle(server, body.as_ref(), carrier.now());
                        }
                        Some((server, None)) => self.transport_failed(server),
                        None => {}
                    }
                }
            }
        }
    }
}

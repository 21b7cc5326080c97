//! The waiting for a person: they are shown the time that is left, and are free to stop.

use std::time::Duration;

use crate::browser::Opening;
use crate::clock::Span;
use crate::drive::Waiting;
use crate::{Clock, Error, Notice, Prompt, Timestamp};

/// How often a waiting person is shown the time and may stop.
pub(crate) const TICK: Duration = Duration::from_millis(200);

/// A person who has something to do.
pub(crate) struct Person<'a> {
    pub(crate) prompt: &'a mut dyn Prompt,
    clock: &'a dyn Clock,
    opening: Opening,
    span: Span,
    begun: Timestamp,
    /// How long there is something to wait for.
    life: Duration,
    limit: Option<Duration>,
    last_trouble: String,
}

impl<'a> Person<'a> {
    /// Begins to wait, for as long as what is waited for is good (`life`) or the caller has patience
    /// (`limit`).
    pub(crate) fn new(
        prompt: &'a mut dyn Prompt,
        clock: &'a dyn Clock,
        opening: Opening,
        life: Duration,
        limit: Option<Duration>,
    ) -> Self {
        let mut span = Span::begin(clock);
        let begun = span.now(clock);
        Self {
            prompt,
            clock,
            opening,
            span,
            begun,
            life,
            limit,
            last_trouble: String::new(),
        }
    }

    /// How long the person has had, by whichever clock has moved further.
    pub(crate) fn passed(&mut self) -> Duration {
        self.span.now(self.clock).since(self.begun)
    }

    /// Shows the time that is left, unless the person has stopped or it is over. Answers whether the
    /// browser that was opened has turned out not to be.
    pub(crate) fn tick(&mut self) -> Result<bool, Error> {
        if self.prompt.cancelled() {
            return Err(Error::Cancelled);
        }
        let passed = self.passed();
        if let Some(limit) = self.limit.filter(|limit| passed >= *limit) {
            return Err(Error::LoginTimedOut { limit });
        }
        let failed = self.opening.look(self.clock);
        if failed {
            self.prompt.notice(&Notice::Browser(self.opening.outcome()));
        }
        let shown = self.limit.map_or(self.life, |limit| limit.min(self.life));
        self.prompt.waiting(shown.saturating_sub(passed));
        Ok(failed)
    }
}

impl Waiting for Person<'_> {
    fn wait(&mut self, duration: Duration) -> Result<(), Error> {
        let end = self.passed() + duration;
        loop {
            self.tick()?;
            let left = end.saturating_sub(self.passed());
            if left.is_zero() {
                return Ok(());
            }
            self.clock.sleep(left.min(TICK));
        }
    }

    fn trouble(&mut self, why: &str) {
        // The same trouble at every poll is one piece of news.
        if self.last_trouble != why {
            why.clone_into(&mut self.last_trouble);
            self.prompt.notice(&Notice::Retrying {
                why: why.to_owned(),
            });
        }
    }
}

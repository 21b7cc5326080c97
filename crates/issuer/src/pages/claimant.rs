//! Who is at a page about second factors: somebody signed in, or somebody on the way there.

use super::refusal::Refusal;
use super::visitor::Visitor;
use super::{Pages, view::Who};
use crate::core::{Account, BrowserSession, Claimant, HalfSession};

/// Somebody whose password was right.
#[derive(Debug)]
pub(super) enum Person {
    SignedIn(BrowserSession),
    Halfway(HalfSession),
}

impl Person {
    /// Who has sent a request; `None` for somebody who has to sign in first.
    pub(super) fn of(pages: &Pages, visitor: &Visitor) -> Result<Option<Self>, Refusal> {
        if let Some(session) = &visitor.session {
            return Ok(Some(Self::SignedIn(session.clone())));
        }
        let half = pages
            .core()
            .half_session(&visitor.cookie, pages.app.now())?;
        Ok(half.map(Self::Halfway))
    }

    pub(super) fn claimant(&self) -> Claimant<'_> {
        match self {
            Self::SignedIn(session) => Claimant::SignedIn(session),
            Self::Halfway(half) => Claimant::Halfway(half),
        }
    }

    pub(super) fn account(&self) -> &Account {
        self.claimant().account()
    }

    /// The account, for a page.
    pub(super) fn who(&self) -> Who {
        let account = self.account();
        Who {
            name: account.display_name().to_owned(),
            username: account.username.clone(),
        }
    }
}

//! What a route asks for beyond a valid token.
//!
//! Built once, and checked when it is built; applied to a verified token at
//! every request, cached or not.

use std::fmt;
use std::time::Duration;

use countersign_jose::Timestamp;
use countersign_oauth::ScopeSet;

use crate::{AccessToken, Error, Presentation, Rejection};

/// The longest `max_age` that makes sense: beyond a year, leave it out.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What a route asks for beyond a valid token: scopes, how and when the person
/// signed in (RFC 9470), that the token is bound to its sender.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    scope: ScopeSet,
    acr_values: Vec<String>,
    max_age: Option<Duration>,
    bound: bool,
}

impl Demands {
    /// Nothing beyond a valid token.
    pub fn none() -> Self {
        Self::default()
    }

    /// Begins a list of demands.
    pub fn builder() -> DemandsBuilder {
        DemandsBuilder::default()
    }

    /// The scope that is asked for; empty when any will do.
    pub fn scope(&self) -> &ScopeSet {
        &self.scope
    }

    /// The authentication context classes of which one is asked for, the
    /// preferred one first; empty when any will do.
    pub fn acr_values(&self) -> &[String] {
        &self.acr_values
    }

    /// How long ago the person may have signed in.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// Compares a verified token with the demands.
    ///
    /// What signing in again could mend comes last: nobody should be asked to
    /// do that, only to be told afterwards that a scope is missing.
    pub(crate) fn check(
        &self,
        token: &AccessToken,
        presentation: Presentation,
        now: Timestamp,
        leeway: Duration,
    ) -> Result<(), Rejection> {
        if self.bound && !presentation.is_bound() {
            return Err(Rejection::NotSenderConstrained);
        }
        if !self.scope.iter().all(|scope| token.has_scope(scope)) {
            return Err(Rejection::InsufficientScope {
                required: self.scope.clone(),
                missing: self.scope.difference(&token.scope()),
            });
        }
        let acr_fits = self.acr_values.is_empty()
            || token
                .acr()
                .is_some_and(|acr| self.acr_values.iter().any(|value| value == acr));
        // A token that does not say when the person signed in fails closed.
        let age_fits = self.max_age.is_none_or(|max_age| {
            token
                .auth_time()
                .is_some_and(|auth_time| now <= auth_time + max_age + leeway)
        });
        if acr_fits && age_fits {
            Ok(())
        } else {
            Err(Rejection::InsufficientUserAuthentication {
                acr_values: self.acr_values.clone(),
                max_age: self.max_age,
            })
        }
    }
}

/// Demands being put together; see [`Demands::builder`].
#[derive(Default)]
#[must_use]
pub struct DemandsBuilder {
    scopes: Vec<String>,
    acr_values: Vec<String>,
    max_age: Option<Duration>,
    bound: bool,
}

impl DemandsBuilder {
    /// Asks for this scope; when given more than once, for all of them.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Asks for one of these authentication context classes (RFC 9470, section
    /// 3), the preferred one first. A token without `acr` never has it.
    pub fn acr<S: Into<String>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.acr_values.extend(values.into_iter().map(Into::into));
        self
    }

    /// Asks that the person signed in at most so long ago (RFC 9470, section
    /// 3). A token without `auth_time` never does.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Asks for a token that is bound to its sender, by DPoP (RFC 9449) or by a
    /// certificate (RFC 8705), so that a stolen one is worth nothing.
    pub fn sender_constrained(mut self) -> Self {
        self.bound = true;
        self
    }

    /// Checks the demands.
    ///
    /// # Errors
    ///
    /// [`Error::Scope`], [`Error::Acr`] or [`Error::MaxAge`].
    pub fn build(self) -> Result<Demands, Error> {
        let mut scope = ScopeSet::new();
        for token in self.scopes {
            scope.insert(token).map_err(Error::Scope)?;
        }
        // They travel as a list that is separated by spaces.
        let fits = |acr: &String| {
            !acr.is_empty()
                && acr
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
        };
        if let Some(unfit) = self.acr_values.iter().find(|acr| !fits(acr)) {
            return Err(Error::Acr(countersign_oauth::text::printable(unfit)));
        }
        if let Some(long) = self.max_age.filter(|max_age| *max_age > LONGEST_MAX_AGE) {
            return Err(Error::MaxAge(long.as_secs()));
        }
        Ok(Demands {
            scope,
            acr_values: self.acr_values,
            max_age: self.max_age,
            bound: self.bound,
        })
    }
}

impl fmt::Debug for DemandsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemandsBuilder")
            .field("scopes", &self.scopes)
            .field("acr_values", &self.acr_values)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

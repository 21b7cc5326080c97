//! What a route asks for beyond a valid token.
//!
//! Built once, and checked when it is built; applied to a verified token at
//! every request, cached or not.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::{Claim, Claims, Timestamp};
use countersign_oauth::ScopeSet;
use countersign_policy::{Decision, Evidence, Fact, Policy};

use crate::{Caller, Error, Rejection};

/// The longest `max_age` that makes sense: beyond a year, leave it out.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What a route asks for beyond a valid token: scopes, how and when the person
/// signed in (RFC 9470), that the token is bound to its sender, and whatever a
/// [`Policy`] says.
///
/// Cloning is cheap as far as the policy is concerned, which is shared.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    scope: ScopeSet,
    policy: Option<Arc<Policy>>,
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

    /// The policy that decides as well, if there is one.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_deref()
    }

    /// Compares a verified caller with the demands.
    ///
    /// What signing in again could mend comes last: nobody should be asked to
    /// do that, only to be told afterwards that a scope is missing.
    pub(crate) fn check(
        &self,
        caller: &Caller,
        source: Option<IpAddr>,
        now: Timestamp,
        leeway: Duration,
    ) -> Result<(), Rejection> {
        if self.bound && !caller.presentation().is_bound() {
            return Err(Rejection::NotSenderConstrained);
        }
        if !self.scope.iter().all(|scope| caller.has_scope(scope)) {
            return Err(Rejection::InsufficientScope {
                required: self.scope.clone(),
                missing: self.scope.difference(&caller.scope()),
            });
        }
        self.check_sign_in(caller, now, leeway)?;
        match &self.policy {
            Some(policy) => with_evidence(caller, source, now, |evidence| {
                refusal(caller, &policy.decide(evidence))
            }),
            None => Ok(()),
        }
    }

    fn check_sign_in(
        &self,
        token: &Caller,
        now: Timestamp,
        leeway: Duration,
    ) -> Result<(), Rejection> {
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

/// What a policy may know of a caller.
pub(crate) fn with_evidence<T>(
    caller: &Caller,
    source: Option<IpAddr>,
    now: Timestamp,
    judge: impl FnOnce(&Evidence<'_>) -> T,
) -> T {
    let claims = Borrowed(caller.claims());
    let scopes: Vec<&str> = caller.scopes().collect();
    let evidence = Evidence::new(&claims, now.as_secs())
        .scopes(&scopes)
        .client_id(caller.client_id())
        .source(source);
    judge(&evidence)
}

/// What a decision of a policy means for a request.
fn refusal(caller: &Caller, decision: &Decision<'_>) -> Result<(), Rejection> {
    if decision.is_allowed() {
        return Ok(());
    }
    let Some(mend) = decision.mend() else {
        return Err(Rejection::Denied {
            rule: decision.rule().map(str::to_owned),
        });
    };
    let mut required = ScopeSet::new();
    for scope in &mend.scopes {
        // A rule may name what is no scope token; nobody can ever hold that.
        if required.insert(scope).is_err() {
            return Err(Rejection::Denied { rule: None });
        }
    }
    if required.is_empty() {
        Err(Rejection::InsufficientUserAuthentication {
            acr_values: mend.acr_values.clone(),
            max_age: mend.max_auth_age.map(Duration::from_secs),
        })
    } else {
        let missing = required.difference(&caller.scope());
        Err(Rejection::InsufficientScope { required, missing })
    }
}

/// Claims as a policy reads them.
struct Borrowed<'c>(&'c Claims);

impl countersign_policy::Claims for Borrowed<'_> {
    fn claim(&self, path: &[&str]) -> Option<Fact<'_>> {
        self.0.at(path).map(fact)
    }
}

fn fact(claim: Claim<'_>) -> Fact<'_> {
    match claim {
        Claim::String(text) => Fact::Text(text),
        Claim::Number(number) => Fact::Number(number),
        Claim::Bool(value) => Fact::Bool(value),
        Claim::Array(claims) => Fact::List(claims.into_iter().map(fact).collect()),
        Claim::Null | Claim::Object => Fact::Other,
    }
}

/// Demands being put together; see [`Demands::builder`].
#[derive(Default)]
#[must_use]
pub struct DemandsBuilder {
    scopes: Vec<String>,
    policy: Option<Arc<Policy>>,
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

    /// Asks this policy as well. What it refuses is answered with a challenge
    /// when another token would help (a scope, a stronger or more recent
    /// sign-in), and with a bare 403 otherwise.
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.policy = Some(policy.into());
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
            policy: self.policy,
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

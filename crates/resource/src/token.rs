//! The access token, and the rules for its claims.
//!
//! Pure: no key, no clock, no network. The signature has been verified before
//! anything here looks at a claim.

mod answer;
mod load_balancer;

use std::sync::Arc;
use std::time::Duration;

use countersign_jose::{Claim, Claims, Timestamp};
use countersign_oauth::ScopeSet;
use countersign_oauth::text::printable;

use crate::Rejection;
use crate::profile::{Audience, Scope, Shape};

/// The claims of a verified access token (RFC 9068, section 2.2), or what
/// stands for them at providers that have others.
///
/// Nobody can make one but a validator, so whoever holds one knows that its
/// signature and every configured rule have been checked.
#[derive(Debug, Clone)]
pub struct AccessToken {
    claims: Claims,
    /// Only where the claims may not say it. Every token that shared this would have all threads
    /// count its owners in one place.
    issuer: Option<Arc<str>>,
    shape: &'static Shape,
    issued_at: Timestamp,
    expires_at: Timestamp,
    auth_time: Option<Timestamp>,
    confirmation: Option<Box<Confirmation>>,
}

/// What a token is bound to (`cnf`, RFC 7800). Whoever presents it must prove
/// everything that is named here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmation {
    /// The thumbprint of a key: `jkt` (RFC 9449, section 6.1).
    pub dpop_key: Option<String>,
    /// The digest of a certificate: `x5t#S256` (RFC 8705, section 3.1).
    pub certificate: Option<String>,
    /// Whether it names something else, or nothing, or is not of its form: then
    /// nobody can prove it.
    pub unprovable: bool,
}

impl Confirmation {
    fn read(claims: &Claims) -> Option<Self> {
        if !claims.contains("cnf") {
            return None;
        }
        let mut read = Self::default();
        let text = |name: &str| match claims.at(&["cnf", name]) {
            Some(Claim::String(value)) if !value.is_empty() => Some(value.to_owned()),
            _ => None,
        };
        for name in claims.names_at(&["cnf"]) {
            match (name, text(name)) {
                ("jkt", Some(value)) => read.dpop_key = Some(value),
                ("x5t#S256", Some(value)) => read.certificate = Some(value),
                _ => read.unprovable = true,
            }
        }
        read.unprovable |= read.dpop_key.is_none() && read.certificate.is_none();
        Some(read)
    }
}

impl AccessToken {
    /// `iss`: the authorization server, as configured.
    pub fn issuer(&self) -> &str {
        let named = self.issuer.as_deref();
        named.or_else(|| self.text("iss")).unwrap_or_default()
    }

    /// `sub`: the person, or the client itself when it acts for nobody. Unique
    /// within the issuer, and the only claim fit to be a key in a database.
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// `client_id`, or what the provider has instead: the program that the
    /// token was issued to.
    pub fn client_id(&self) -> Option<&str> {
        self.text(self.shape.client_id)
    }

    /// `aud`: every API that the token is for; this one is among them, unless
    /// the provider's tokens have no audience.
    pub fn audiences(&self) -> Vec<&str> {
        self.claims.string_or_array("aud").unwrap_or_default()
    }

    /// Whether the caller may ask for this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|held| held == scope)
    }

    /// What the caller may ask for, in the order of the token.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let (text, list) = match self.shape.scope {
            Scope::Text(claim) => (self.text(claim), Vec::new()),
            Scope::List(claim) => (None, self.claims.string_or_array(claim).unwrap_or_default()),
            Scope::Nowhere => (None, Vec::new()),
        };
        let text = spaced(text.unwrap_or_default());
        text.filter(|scope| !scope.is_empty()).chain(list)
    }

    /// What the caller may ask for, as a set; empty when the token has none.
    pub fn scope(&self) -> ScopeSet {
        let mut set = ScopeSet::new();
        for scope in self.scopes() {
            // Each was read as a scope token before this token was made.
            let _ = set.insert(scope);
        }
        set
    }

    /// `jti`, or what the provider has instead: unique for this token.
    pub fn jwt_id(&self) -> Option<&str> {
        self.text(self.shape.jwt_id?)
    }

    /// `sid`: the session at the issuer that the token belongs to.
    pub fn session_id(&self) -> Option<&str> {
        self.text("sid")
    }

    /// `acr`: how the person signed in (RFC 9470, section 6.1).
    pub fn acr(&self) -> Option<&str> {
        self.text("acr")
    }

    /// `auth_time`: when the person signed in (RFC 9470, section 6.1).
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time
    }

    /// `iat`: when the token was issued.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// `exp`: when the token ends. Work that takes longer should ask again.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// `cnf`: what the token is bound to; nothing for a bearer token.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_deref()
    }

    /// All claims, for those that have no accessor here. Their values are the
    /// issuer's word; text in them is not safe to print.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// How many bytes it takes, shared strings apart.
    pub(crate) fn size(&self) -> usize {
        let texts = self.confirmation.iter().flat_map(|confirmation| {
            [&confirmation.dpop_key, &confirmation.certificate]
                .into_iter()
                .flatten()
                .map(String::capacity)
                .chain([size_of::<Confirmation>()])
        });
        // The two counters of the `Arc` around it.
        size_of::<(usize, usize, Self)>() + texts.sum::<usize>() + self.claims.size()
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.str(claim).ok().flatten()
    }
}

/// What the tokens of one issuer must satisfy.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) issuer: Arc<str>,
    pub(crate) audiences: Vec<String>,
    pub(crate) shape: &'static Shape,
    pub(crate) leeway: Duration,
}

impl Rules {
    /// Makes an access token of verified claims, or says which rule they break.
    ///
    /// The order is that of RFC 9068, section 4. What is asked for beyond a good
    /// token is not decided here: a token that is not for us must not be told
    /// what it lacks.
    pub(crate) fn check(&self, claims: Claims, now: Timestamp) -> Result<AccessToken, Rejection> {
        let shape = self.shape;
        let issuer = required(&claims, "iss")?;
        if issuer != &*self.issuer {
            return Err(self.wrong_issuer(issuer));
        }
        if let Some(mark) = shape.mark_of_another(&claims) {
            return Err(Rejection::OtherKind(mark));
        }
        for (claim, values) in shape.fixed {
            let found = required(&claims, claim)?;
            if !values.contains(&found) {
                return Err(Rejection::OtherKind(claim));
            }
        }
        let client_id = required(&claims, shape.client_id)?;
        self.check_audience(&claims, client_id)?;
        let (issued_at, expires_at) = self.check_times(&claims, now)?;
        required(&claims, "sub")?;
        if let Some(claim) = shape.jwt_id
            && !required(&claims, claim)?.starts_with(shape.jwt_id_prefix)
        {
            return Err(Rejection::OtherKind(claim));
        }
        for claim in shape.required {
            required(&claims, claim)?;
        }
        if let [first, ..] = shape.one_of
            && !shape.one_of.iter().any(|claim| claims.contains(claim))
        {
            return Err(Rejection::MissingClaim(first));
        }
        check_scope(&claims, shape.scope)?;
        // Not needed by everyone, but nobody may find them of another type.
        for claim in ["acr", "sid"] {
            claims
                .str(claim)
                .map_err(|_| Rejection::MalformedClaim(claim))?;
        }
        Ok(AccessToken {
            // It is the claim, as was seen above.
            issuer: None,
            shape,
            issued_at,
            expires_at,
            auth_time: date(&claims, "auth_time")?,
            confirmation: Confirmation::read(&claims).map(Box::new),
            claims,
        })
    }

    /// Whether a token whose claims were good is still within its time.
    pub(crate) fn is_current(&self, token: &AccessToken, now: Timestamp) -> bool {
        token.expires_at > now - self.leeway
    }

    fn wrong_issuer(&self, found: &str) -> Rejection {
        Rejection::WrongIssuer {
            expected: self.issuer.to_string(),
            found: printable(found),
        }
    }

    fn check_audience(&self, claims: &Claims, client_id: &str) -> Result<(), Rejection> {
        let found = claims
            .string_or_array("aud")
            .map_err(|_| Rejection::MalformedClaim("aud"))?;
        let found = match (&*found, self.shape.audience) {
            // An empty list is for nobody; only a claim that is not there lets
            // the client stand for it.
            ([], Audience::OrClient) if !claims.contains("aud") => vec![client_id],
            ([], _) => return Err(Rejection::MissingClaim("aud")),
            _ => found,
        };
        if !self.shape.may_be_for_its_client && found.contains(&client_id) {
            return Err(Rejection::OtherKind("aud"));
        }
        self.one_is_ours(&found)
    }

    /// That `aud` is there and names this API.
    fn check_named_audience(&self, claims: &Claims) -> Result<(), Rejection> {
        let found = claims
            .string_or_array("aud")
            .map_err(|_| Rejection::MalformedClaim("aud"))?;
        if found.is_empty() {
            return Err(Rejection::MissingClaim("aud"));
        }
        self.one_is_ours(&found)
    }

    fn one_is_ours(&self, found: &[&str]) -> Result<(), Rejection> {
        if found
            .iter()
            .any(|audience| self.audiences.iter().any(|ours| ours == audience))
        {
            Ok(())
        } else {
            Err(Rejection::WrongAudience {
                expected: self.audiences.clone(),
                found: found.iter().map(|audience| printable(audience)).collect(),
            })
        }
    }

    /// `exp`, `nbf` and `iat` (RFC 7519, section 4.1), each with the leeway.
    /// Nothing is computed from the token's own dates but a comparison, so no
    /// date can overflow into a good one.
    fn check_times(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), Rejection> {
        let issued_at = date(claims, "iat")?;
        let expires_at = self.check_end(claims, now)?;
        let issued_at = issued_at.ok_or(Rejection::MissingClaim("iat"))?;
        self.check_beginning(claims, now)?;
        Ok((issued_at, expires_at))
    }

    fn check_end(&self, claims: &Claims, now: Timestamp) -> Result<Timestamp, Rejection> {
        let expires_at = date(claims, "exp")?.ok_or(Rejection::MissingClaim("exp"))?;
        // "The current date/time MUST be before the expiration" (section 4.1.4).
        if expires_at <= now - self.leeway {
            return Err(Rejection::Expired {
                ago: now.since(expires_at),
            });
        }
        Ok(expires_at)
    }

    fn check_beginning(&self, claims: &Claims, now: Timestamp) -> Result<(), Rejection> {
        let latest_start = now + self.leeway;
        if let Some(not_before) = date(claims, "nbf")?.filter(|nbf| *nbf > latest_start) {
            return Err(Rejection::NotYetValid {
                ahead: not_before.since(now),
            });
        }
        if let Some(issued_at) = date(claims, "iat")?.filter(|iat| *iat > latest_start) {
            return Err(Rejection::IssuedInFuture {
                ahead: issued_at.since(now),
            });
        }
        Ok(())
    }
}

/// Every scope once, and each of them a scope token (RFC 6749, section 3.3).
fn check_scope(claims: &Claims, scope: Scope) -> Result<(), Rejection> {
    let malformed = || Rejection::MalformedClaim(scope.claim());
    let sound = match scope {
        Scope::Text(claim) => match claims.str(claim) {
            Ok(None | Some("")) => true,
            Ok(Some(text)) => are_distinct_scopes(spaced(text)),
            Err(_) => return Err(malformed()),
        },
        Scope::Nowhere => true,
        // One string would be read as one scope, whatever spaces it has.
        Scope::List(claim) => {
            let list = claims.string_or_array(claim).map_err(|_| malformed())?;
            are_distinct_scopes(list.into_iter())
        }
    };
    if sound { Ok(()) } else { Err(malformed()) }
}

/// A scope that is written twice makes one wonder what else its writer lets
/// others put there.
fn are_distinct_scopes<'c>(scopes: impl Iterator<Item = &'c str> + Clone) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    // A handful is compared with those before it; sorting keeps a long list
    // from costing the square of its length.
    let mut earlier = [""; 16];
    let mut are_few = true;
    for (count, scope) in scopes.clone().enumerate() {
        if scope.is_empty() || !scope.bytes().all(allowed) {
            return false;
        }
        if earlier.iter().take(count).any(|other| *other == scope) {
            return false;
        }
        match earlier.get_mut(count) {
            Some(place) => *place = scope,
            None => are_few = false,
        }
    }
    if are_few {
        return true;
    }
    let mut sorted: Vec<&str> = scopes.collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair.first() != pair.get(1))
}

/// The parts between single spaces, as `split(' ')` gives them; for the few
/// bytes of a scope that is faster than a search that begins by looking far.
fn spaced(text: &str) -> impl Iterator<Item = &str> + Clone {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.bytes().position(|byte| byte == b' ');
        let (part, left) = match end.and_then(|end| text.split_at_checked(end)) {
            Some((part, left)) => (part, left.get(1..)),
            None => (text, None),
        };
        rest = left;
        Some(part)
    })
}

/// A string claim that must be there and not be empty: an empty `sub` names
/// everybody and nobody.
fn required<'c>(claims: &'c Claims, name: &'static str) -> Result<&'c str, Rejection> {
    match claims.str(name) {
        Ok(Some("")) | Err(_) => Err(Rejection::MalformedClaim(name)),
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(Rejection::MissingClaim(name)),
    }
}

fn date(claims: &Claims, name: &'static str) -> Result<Option<Timestamp>, Rejection> {
    claims
        .numeric_date(name)
        .map_err(|_| Rejection::MalformedClaim(name))
}

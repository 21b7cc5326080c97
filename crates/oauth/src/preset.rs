//! What is known of the providers people have, as data: one [`Preset`] each.
//!
//! A preset says how the issuer is made of a short name, what to ask for, which flows there are, where
//! the provider departs from the specifications ([`Quirks`]), and what its errors mean in plain words.
//! It weakens no check: every answer goes through the same machines as any other server's.
//!
//! Everything here was taken from the providers' own documentation and from what clients of others
//! ran into, not from live runs; `tests/presets` has a recorded shape for each quirk.
//!
//! Not responsible for: how somebody registers a client there (`countersign setup`), and acting on a
//! quirk, which is the business of whoever drives the machines.

mod auth0;
mod cognito;
mod entra;
mod generic;
mod github;
mod google;
mod keycloak;
mod known;
mod meaning;
mod okta;
mod parts;
mod quirks;

use std::fmt;

pub use meaning::Meaning;
pub use parts::{PartName, PartUse, Parts, PartsError};
pub use quirks::{
    AccessTokenForm, ApiChoice, DevicePkce, EndSession, IdentitySource, MetadataSource, OtherApi,
    Quirks, Redirect, RedirectPorts, RefreshTokens, Revocation, ScopeSeparator, SecretUse,
    UserClaims,
};

use crate::{Issuer, Metadata, Refusal};
use meaning::Rule;

/// What is known of one provider.
#[non_exhaustive]
pub struct Preset {
    /// The name in flags and files, in lower case.
    pub name: &'static str,
    /// The provider's own name.
    pub title: &'static str,
    /// The short parts that its issuer is made of, in the order in which to ask for them. Empty where
    /// the issuer has to be given as a whole, or is always the same.
    pub parts: &'static [PartUse],
    /// What to ask for unless told otherwise: enough to know who it was and to get a refresh token.
    pub scopes: &'static [&'static str],
    /// Which flows there are.
    pub flows: Flows,
    /// Where the provider departs from the specifications, or leaves a choice that has to be made.
    pub quirks: Quirks,
    issuer: IssuerForm,
    rules: &'static [Rule],
}

/// How a provider's issuer is known.
#[derive(Debug, Clone, Copy)]
enum IssuerForm {
    /// There is one for everybody.
    Fixed(&'static str),
    /// It is made of the parts.
    Of(fn(&Parts) -> Result<String, PartsError>),
    /// It has to be given as a whole.
    Whole,
}

/// Which flows a provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flows {
    /// The device grant (RFC 8628).
    pub device: Offer,
    /// The authorization code with PKCE, by loopback or pasted (RFC 7636, RFC 8252).
    pub code: Offer,
    /// The client alone, without a person (RFC 6749, section 4.4).
    pub client_credentials: Offer,
}

/// Whether a provider has a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It has, for a client that is allowed to use it.
    Yes,
    /// It has, on a condition, in words that continue a sentence.
    If(&'static str),
    /// It has not, for the reason given.
    No(&'static str),
}

impl Offer {
    /// Whether a client can be set up to use the flow.
    pub fn exists(self) -> bool {
        !matches!(self, Self::No(_))
    }
}

impl Preset {
    /// Every preset, in the order in which to list them: providers by name, then the general ones.
    pub const ALL: &'static [&'static Self] = &[
        &auth0::PRESET,
        &cognito::PRESET,
        &entra::PRESET,
        &github::PRESET,
        &google::PRESET,
        &keycloak::PRESET,
        &okta::PRESET,
        &generic::OIDC,
        &generic::OAUTH,
    ];

    /// A provider of OpenID Connect that does what the specifications say.
    pub const OIDC: &'static Self = &generic::OIDC;

    /// The preset called `name`, in any case.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|preset| preset.name.eq_ignore_ascii_case(name))
    }

    /// The preset of the provider whose issuer this is, where the address says so: a provider under a name
    /// of its customer's has to be named.
    pub fn of_issuer(issuer: &Issuer) -> Option<&'static Self> {
        known::of_issuer(issuer)
    }

    /// The issuer that `parts` describe.
    ///
    /// # Errors
    /// [`PartsError`], which names the part and shows an example.
    pub fn issuer(&self, parts: &Parts) -> Result<Issuer, PartsError> {
        parts.only(self)?;
        let text = match self.issuer {
            IssuerForm::Fixed(issuer) => issuer.to_owned(),
            IssuerForm::Of(make) => make(parts)?,
            IssuerForm::Whole => return Err(PartsError::NoShortForm { title: self.title }),
        };
        Issuer::parse(&text).map_err(|why| PartsError::Issuer { text, why })
    }

    /// What the server would say about itself if it published metadata; `None` where it does, or
    /// where its endpoints have to be configured one by one.
    pub fn static_metadata(&self, issuer: &Issuer) -> Option<Metadata> {
        match self.quirks.metadata {
            MetadataSource::Static(make) => make(issuer),
            MetadataSource::Discovery | MetadataSource::Configured => None,
        }
    }

    /// What an error of this provider means, if it is one that is known. `code` is `error` (or the
    /// provider's own member for it) and `description` is `error_description`; empty if absent.
    pub fn explain(&self, code: &str, description: &str) -> Option<Meaning> {
        self.rules
            .iter()
            .chain(meaning::COMMON)
            .find(|rule| rule.applies(code, description))
            .map(|rule| rule.meaning)
    }

    /// The same for a refusal that one of the machines reports.
    pub fn explain_refusal(&self, refusal: &Refusal) -> Option<Meaning> {
        let code = refusal.code.as_ref().map_or("", |code| code.as_str());
        self.explain(code, refusal.description.as_deref().unwrap_or_default())
    }

    /// Every meaning there is here, for whoever wants to print or proofread them.
    pub fn meanings(&self) -> impl Iterator<Item = Meaning> {
        self.rules
            .iter()
            .chain(meaning::COMMON)
            .map(|rule| rule.meaning)
    }
}

/// There is one preset of a name.
impl PartialEq for Preset {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Preset {}

/// A preset is a constant: its name says it all.
impl fmt::Debug for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Preset({})", self.name)
    }
}

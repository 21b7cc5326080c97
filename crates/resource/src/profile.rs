//! What the access tokens of one authorization server look like, as data.
//!
//! RFC 9068 is the default and the strictest. Providers that do not follow it
//! put the same facts elsewhere; a [`Shape`] says where, and by which marks an
//! access token is told from an ID token of the same issuer, which must never
//! pass for one. Not responsible for the checks themselves.

use countersign_jose::{Claims, Header};

/// The kind of access token that an issuer makes.
///
/// Google is missing on purpose: its access tokens are opaque to everybody but
/// Google, and its ID tokens are not access tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenProfile {
    /// RFC 9068: `typ` is `at+jwt`, and `sub`, `aud`, `client_id`, `iat`, `exp`
    /// and `jti` are there. Auth0 (`rfc9068_profile`), Okta's newer servers and
    /// Keycloak can be set up to make such tokens; prefer that.
    #[default]
    Rfc9068,
    /// Auth0's own profile: the client is in `azp`, and there is no `jti`.
    Auth0,
    /// Custom authorization servers of Okta: the client is in `cid`, scopes are
    /// an array in `scp`, and `jti` begins with `AT.`.
    Okta,
    /// Entra ID, tokens of version 1: issued by `https://sts.windows.net/…/`,
    /// with the client in `appid`.
    EntraV1,
    /// Entra ID, tokens of version 2: the client is in `azp`.
    EntraV2,
    /// Cognito: `token_use` is `access`. Most of its tokens have no `aud`; then
    /// the audiences that are configured here are compared with `client_id`.
    Cognito,
    /// Keycloak's own profile: the claim `typ` is `Bearer` or `DPoP`, and the
    /// client is in `azp`.
    Keycloak,
}

impl TokenProfile {
    /// Every profile, in the order of the type.
    pub const ALL: &'static [Self] = &[
        Self::Rfc9068,
        Self::Auth0,
        Self::Okta,
        Self::EntraV1,
        Self::EntraV2,
        Self::Cognito,
        Self::Keycloak,
    ];

    /// The name by which configuration files call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfc9068 => "rfc9068",
            Self::Auth0 => "auth0",
            Self::Okta => "okta",
            Self::EntraV1 => "entra-v1",
            Self::EntraV2 => "entra-v2",
            Self::Cognito => "cognito",
            Self::Keycloak => "keycloak",
        }
    }

    /// The profile of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|profile| profile.name() == name)
    }

    pub(crate) const fn shape(self) -> &'static Shape {
        match self {
            Self::Rfc9068 => &RFC9068,
            Self::Auth0 => &AUTH0,
            Self::Okta => &OKTA,
            Self::EntraV1 => &ENTRA_V1,
            Self::EntraV2 => &ENTRA_V2,
            Self::Cognito => &COGNITO,
            Self::Keycloak => &KEYCLOAK,
        }
    }
}

/// Where an issuer's access tokens keep what, and how they are told from its
/// other tokens.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The `typ` values of the header that are taken, by [`Header::is_type`].
    types: &'static [&'static str],
    /// Whether a header without `typ` is taken.
    may_lack_type: bool,
    pub(crate) client_id: &'static str,
    /// Where the token's own name is; nothing, when the issuer gives none.
    pub(crate) jwt_id: Option<&'static str>,
    pub(crate) audience: Audience,
    pub(crate) scope: Scope,
    /// Strings that claims must be, one of them each.
    pub(crate) fixed: &'static [(&'static str, &'static [&'static str])],
    /// Other claims that must be there, strings that are not empty.
    pub(crate) required: &'static [&'static str],
    /// Of these, one must be there.
    pub(crate) one_of: &'static [&'static str],
    /// What `jti` must begin with.
    pub(crate) jwt_id_prefix: &'static str,
    /// Claims that only an ID token has: one of them, and it is none of ours.
    pub(crate) forbidden: &'static [&'static str],
    /// Whether `aud` may name the client: in an ID token it always does.
    pub(crate) may_be_for_its_client: bool,
    /// Whether the issuer was asked, instead of the token.
    pub(crate) is_answer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Required,
    /// When there is no `aud`, the client stands for it.
    OrClient,
}

/// How scopes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One string, separated by spaces, in this claim (RFC 9068, section 2.2.3).
    Text(&'static str),
    /// An array of strings in this claim.
    List(&'static str),
    /// Not at all.
    Nowhere,
}

impl Scope {
    pub(crate) const fn claim(self) -> &'static str {
        match self {
            Self::Text(claim) | Self::List(claim) => claim,
            Self::Nowhere => "",
        }
    }
}

impl Shape {
    pub(crate) fn takes_type(&self, header: &Header) -> bool {
        match header.typ() {
            None => self.may_lack_type,
            Some(_) => self.types.iter().any(|typ| header.is_type(typ)),
        }
    }

    /// A claim that says that this is another kind of token.
    pub(crate) fn mark_of_another(&self, claims: &Claims) -> Option<&'static str> {
        let mut forbidden = self.forbidden.iter().copied();
        forbidden.find(|claim| claims.contains(claim))
    }
}

/// What OpenID Connect Core, sections 2 and 3.3.2.11 put into ID tokens alone.
const ID_TOKEN_MARKS: &[&str] = &["nonce", "at_hash", "c_hash", "s_hash"];

const RFC9068: Shape = Shape {
    types: &["at+jwt"],
    may_lack_type: false,
    client_id: "client_id",
    jwt_id: Some("jti"),
    audience: Audience::Required,
    scope: Scope::Text("scope"),
    fixed: &[],
    required: &[],
    one_of: &[],
    jwt_id_prefix: "",
    // `typ` has told the two apart already (RFC 9068, section 5).
    forbidden: &[],
    may_be_for_its_client: true,
    is_answer: false,
};

/// What an issuer says when it is asked about a token (RFC 7662, section 2.2);
/// the checks of such an answer are its own.
pub(crate) const ANSWER: Shape = Shape {
    types: &[],
    is_answer: true,
    ..RFC9068
};

/// What a load balancer says about a person; what it says of the client stands
/// in its header and not among the claims.
pub(crate) const ANSWER_OF_BALANCER: Shape = Shape {
    types: &[],
    client_id: "",
    jwt_id: None,
    scope: Scope::Nowhere,
    ..RFC9068
};

const AUTH0: Shape = Shape {
    types: &["JWT"],
    may_lack_type: false,
    client_id: "azp",
    jwt_id: None,
    forbidden: ID_TOKEN_MARKS,
    may_be_for_its_client: false,
    ..RFC9068
};

const OKTA: Shape = Shape {
    types: &["at+jwt", "JWT"],
    may_lack_type: true,
    client_id: "cid",
    scope: Scope::List("scp"),
    // ID tokens have `ID.` there.
    jwt_id_prefix: "AT.",
    forbidden: ID_TOKEN_MARKS,
    may_be_for_its_client: false,
    ..RFC9068
};

const ENTRA_V2: Shape = Shape {
    types: &["JWT", "at+jwt"],
    may_lack_type: false,
    client_id: "azp",
    jwt_id: Some("uti"),
    scope: Scope::Text("scp"),
    fixed: &[("ver", &["2.0"])],
    // How the client authenticated: no ID token says that.
    required: &["tid", "azpacr"],
    // What a person has delegated, or what an application may do by itself.
    one_of: &["scp", "roles"],
    forbidden: ID_TOKEN_MARKS,
    // An application may ask for a token for itself.
    may_be_for_its_client: true,
    ..RFC9068
};

const ENTRA_V1: Shape = Shape {
    client_id: "appid",
    fixed: &[("ver", &["1.0"])],
    required: &["tid", "appidacr"],
    ..ENTRA_V2
};

const COGNITO: Shape = Shape {
    types: &["JWT", "at+jwt"],
    may_lack_type: true,
    audience: Audience::OrClient,
    fixed: &[("token_use", &["access"])],
    forbidden: ID_TOKEN_MARKS,
    ..RFC9068
};

const KEYCLOAK: Shape = Shape {
    types: &["JWT", "at+jwt"],
    client_id: "azp",
    // ID tokens say `ID`, and refresh tokens `Refresh`.
    fixed: &[("typ", &["Bearer", "DPoP"])],
    forbidden: &["at_hash", "c_hash", "s_hash"],
    ..RFC9068
};

#[cfg(test)]
mod tests;

//! Where providers differ, each difference under its own name.

use crate::{
    AssertionAudience, AuthorizationRequest, Client, ClientAuthentication, Issuer, Metadata,
    ScopeSet, Target,
};

/// Where a provider departs from the specifications, or leaves a choice that has to be made.
///
/// Most presets start from `Quirks::NONE`: a provider that does what the specifications say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// Where the metadata comes from.
    pub metadata: MetadataSource,
    /// Where the person's name comes from.
    pub identity: IdentitySource,
    /// The claim of the ID token that holds the groups of a person, once it is issued at all; nothing where
    /// there is none unless somebody makes one under a name of their own.
    pub groups_claim: Option<&'static str>,
    /// What a client secret is there, and where it may be sent.
    pub secret: SecretUse,
    /// Which redirect URIs a program on somebody's computer can have.
    pub redirect: Redirect,
    /// How a refresh token is had.
    pub refresh: RefreshTokens,
    /// Whether `offline_access` counts only if the person is asked to consent (`prompt`; OpenID Connect
    /// Core 1.0, section 11). Providers that give refresh tokens without it would only bother people.
    pub offline_access_needs_consent: bool,
    /// The `prompt` (OpenID Connect Core 1.0, section 3.1.2.1) that lets somebody sign in beside who is
    /// signed in there.
    pub another_account: &'static str,
    /// How the API is named that the access token is for.
    pub api: ApiChoice,
    /// How a session gets a token for another API.
    pub other_api: OtherApi,
    /// What the access token is.
    pub access_token: AccessTokenForm,
    /// Whom a client assertion is addressed to (RFC 7523, section 3).
    pub assertion_audience: AssertionAudience,
    /// Whether tokens can be ended at the server.
    pub revocation: Revocation,
    /// Whether a browser can be sent to end its session there.
    pub end_session: EndSession,
    /// What stands between the scopes of a token response.
    pub scope_separator: ScopeSeparator,
    /// Whether the metadata mentions PKCE. It is used in any case.
    pub advertises_pkce: bool,
    /// Whether PKCE is for the device grant as well.
    pub device_pkce: DevicePkce,
    /// Whether the device authorization response has `verification_uri_complete`. Without it there is
    /// nothing to put into a QR code but the address, and the code has to be typed.
    pub verification_uri_complete: bool,
}

/// Where the metadata comes from.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum MetadataSource {
    /// The server publishes it.
    Discovery,
    /// It is known; the server publishes nothing. `None` for an issuer that cannot be this provider.
    Static(fn(&Issuer) -> Option<Metadata>),
    /// Nobody knows: the endpoints have to be configured one by one, unless there is a document.
    Configured,
}

/// Functions have no useful equality; which kind it is has.
impl PartialEq for MetadataSource {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Eq for MetadataSource {}

/// Where the person's name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentitySource {
    /// The ID token (OpenID Connect Core 1.0, section 2).
    IdToken,
    /// The userinfo endpoint of the metadata, which is no OpenID Connect one: an API that answers in
    /// JSON with members of these names. What it says is as true as the connection.
    Api(UserClaims),
    /// Nowhere, unless the server turns out to issue ID tokens.
    Nowhere,
}

/// The members of a provider's own answer that stand for the standard claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserClaims {
    /// For `sub`. A number is taken as its digits.
    pub sub: &'static str,
    /// For `preferred_username`.
    pub preferred_username: &'static str,
    /// For `name`.
    pub name: &'static str,
    /// For `email`.
    pub email: &'static str,
}

impl UserClaims {
    /// The provider's name of a standard claim; the same name if it has none of its own.
    pub(crate) fn of(self, claim: &str) -> &str {
        match claim {
            "sub" => self.sub,
            "preferred_username" => self.preferred_username,
            "name" => self.name,
            "email" => self.email,
            other => other,
        }
    }

    pub(super) const fn new(
        sub: &'static str,
        preferred_username: &'static str,
        name: &'static str,
        email: &'static str,
    ) -> Self {
        Self {
            sub,
            preferred_username,
            name,
            email,
        }
    }
}

/// What a client secret is there, and where it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretUse {
    /// A program on somebody's computer has none; where a client has one, it is used everywhere.
    Ordinary,
    /// As [`Ordinary`](Self::Ordinary), but never on the device authorization request, which is refused with it.
    NotOnDeviceAuthorization,
    /// Every client has one, and it is no secret for a program on somebody's computer: the token
    /// endpoint asks for it, the device authorization request does not take it.
    OfInstalledApplication,
    /// Every client has one. The device grant works without it, the authorization code does not.
    ForCodeOnly,
}

impl SecretUse {
    /// Whether a client that has a secret sends it with the device authorization request.
    pub fn on_device_authorization(self) -> bool {
        matches!(self, Self::Ordinary)
    }

    /// A client as it appears at the device authorization endpoint, which at some providers takes no secret.
    pub fn at_device_authorization(self, client: &Client) -> Client {
        let secret = matches!(
            client.authentication,
            ClientAuthentication::SecretBasic(_) | ClientAuthentication::SecretPost(_)
        );
        let mut client = client.clone();
        if secret && !self.on_device_authorization() {
            client.authentication = ClientAuthentication::None;
        }
        client
    }

    /// Whether every client has a secret, also one that cannot keep it.
    pub fn always_issued(self) -> bool {
        matches!(self, Self::OfInstalledApplication | Self::ForCodeOnly)
    }
}

/// Which redirect URIs a program on somebody's computer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The host to write: `127.0.0.1`, or `localhost` where only that is accepted.
    pub host: &'static str,
    /// What stands after the port. Empty is not the same as a slash to who compares letters.
    pub path: &'static str,
    /// Which ports.
    pub ports: RedirectPorts,
}

impl Redirect {
    pub(super) const fn new(host: &'static str, path: &'static str, ports: RedirectPorts) -> Self {
        Self { host, path, ports }
    }

    /// The redirect URIs to register: one for each port that is compared, or one without a port, or
    /// none.
    pub fn to_register(&self) -> Vec<String> {
        let Self { host, path, ports } = self;
        match ports {
            RedirectPorts::AnyUnregistered => Vec::new(),
            RedirectPorts::Any => vec![format!("http://{host}{path}")],
            RedirectPorts::Registered(ports) => ports
                .iter()
                .map(|port| format!("http://{host}:{port}{path}"))
                .collect(),
        }
    }
}

/// Which ports a loopback redirect URI may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectPorts {
    /// Any: the server leaves the port out of the comparison (RFC 8252, section 7.3).
    Any,
    /// Any, and there is nothing to register: the kind of client says enough.
    AnyUnregistered,
    /// Only those that are registered, because the server compares the whole URI. These are the ones
    /// that this project proposes.
    Registered(&'static [u16]),
}

/// The ports that this project proposes where redirect URIs are compared with their port. Nothing else
/// is known to use them, and a second and third are there for when the first is taken.
pub(super) const PROPOSED_PORTS: &[u16] = &[6363, 6364, 6365];

/// How a refresh token is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshTokens {
    /// By the scope `offline_access` (OpenID Connect Core 1.0, section 11).
    OfflineAccess,
    /// By these parameters of the authorization request.
    Parameters(&'static [(&'static str, &'static str)]),
    /// By nothing: there is one whenever the client may have one.
    Always,
}

/// How the API is named that the access token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiChoice {
    /// By the parameter `audience`.
    Audience,
    /// By `resource` (RFC 8707).
    Resource,
    /// By a scope of the API.
    Scope,
    /// By what is configured for the client at the server.
    AtServer,
    /// Not at all: its access tokens are for its own APIs.
    None,
}

/// How a session gets a token for another API than the one that was signed in for, by a refresh request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherApi {
    /// Each as it was named: by `resource` (RFC 8707, section 2.2) or by `audience`.
    Named,
    /// By `audience`, whatever it was named.
    Audience,
    /// By `scope`, each of the API in full; `/.default` after its name stands for all that the
    /// application may do there.
    Scope,
    /// Not at all. What to do instead, as a sentence.
    No(&'static str),
}

impl OtherApi {
    /// The same API in the provider's own words. `offline` says whether the next refresh token has to
    /// be asked for.
    ///
    /// # Errors
    /// What to do instead, as a sentence, where the provider has no way.
    pub fn spelled(self, target: &Target, offline: bool) -> Result<Target, &'static str> {
        let mut spelled = target.clone();
        match self {
            Self::Named => {}
            Self::Audience => {
                let resources = std::mem::take(&mut spelled.resources);
                spelled.audiences.splice(0..0, resources);
            }
            Self::Scope => {
                let names: Vec<String> = target
                    .names()
                    .map(|name| format!("{name}/.default"))
                    .collect();
                let wanted = if target.scopes.is_empty() {
                    names
                } else {
                    Vec::new()
                };
                for scope in wanted
                    .into_iter()
                    .chain(offline.then(|| "offline_access".to_owned()))
                {
                    // A name that is no scope token names nothing there.
                    let _ = spelled.scopes.insert(scope);
                }
                spelled.resources.clear();
                spelled.audiences.clear();
            }
            // A scope that is narrowed is the same API's (RFC 6749, section 6).
            Self::No(_) if target.names().next().is_none() => {}
            Self::No(instead) => return Err(instead),
        }
        Ok(spelled)
    }

    /// Whether the token that comes back names the API as it was asked for, in its `aud`.
    pub fn is_repeated(self) -> bool {
        !matches!(self, Self::Scope)
    }
}

/// What the access token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessTokenForm {
    /// A JWT that an API can check offline.
    Jwt,
    /// A JWT for the API that was named, and opaque to everybody if none was.
    JwtForNamedApi,
    /// A JWT for the API that was named, and for the provider's own API if none was.
    ElseForProvider,
    /// A JWT without `aud`, which names the client in `client_id` instead.
    JwtWithoutAudience,
    /// Opaque: only the provider's own APIs can read it.
    Opaque,
    /// Nobody knows.
    Unknown,
}

/// What PKCE is to the device grant. No specification has that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DevicePkce {
    /// Nothing that is known of.
    Unknown,
    /// It is taken, and asked for where the client must use PKCE.
    Taken,
}

/// Whether tokens can be ended at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// By RFC 7009, where the metadata names the endpoint.
    Rfc7009,
    /// Not by the client; this is how a person does it, as a sentence.
    ByPerson(&'static str),
}

/// Whether a browser can be sent to end its session at the server, with no more than the client's name in
/// the address (OpenID Connect RP-Initiated Logout 1.0, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndSession {
    /// It can, where the metadata names the page.
    Page,
    /// The page wants more than a program can put into an address that others may read. How a person
    /// does it, as a sentence.
    ByPerson(&'static str),
}

/// What stands between the scopes of a token response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeSeparator {
    /// A space (RFC 6749, section 3.3).
    Space,
    /// A comma.
    Comma,
}

impl ScopeSeparator {
    /// The scopes of a token response. What is outside the grammar is left out.
    pub fn read(self, scope: &str) -> ScopeSet {
        let mut scopes = ScopeSet::new();
        let separates = |c: char| c.is_whitespace() || (self == Self::Comma && c == ',');
        for token in scope.split(separates).filter(|token| !token.is_empty()) {
            // A token that nobody can have asked for is no reason to lose a sign-in.
            let _ = scopes.insert(token);
        }
        scopes
    }
}

impl Quirks {
    /// Asks for what the code flow needs in addition to get a refresh token here.
    pub fn ask_for_refresh_token(&self, request: &mut AuthorizationRequest) {
        if let RefreshTokens::Parameters(parameters) = self.refresh {
            for (name, value) in parameters {
                if *name == "prompt" {
                    request.prompt.get_or_insert_with(|| (*value).to_owned());
                } else if !request.extra.iter().any(|(known, _)| known == name) {
                    request
                        .extra
                        .push(((*name).to_owned(), (*value).to_owned()));
                }
            }
        }
        // OpenID Connect Core, section 11: without it, a server that goes by the book ignores the scope.
        if self.offline_access_needs_consent && request.scopes.contains("offline_access") {
            request.prompt = match request.prompt.take() {
                None => Some("consent".to_owned()),
                Some(prompt)
                    if prompt
                        .split(' ')
                        .any(|value| matches!(value, "none" | "consent")) =>
                {
                    Some(prompt)
                }
                Some(prompt) => Some(format!("{prompt} consent")),
            };
        }
    }

    /// A provider that does what the specifications say.
    pub(super) const NONE: Self = Self {
        metadata: MetadataSource::Discovery,
        identity: IdentitySource::IdToken,
        groups_claim: Some("groups"),
        secret: SecretUse::Ordinary,
        redirect: Redirect::new("127.0.0.1", "/callback", RedirectPorts::Any),
        refresh: RefreshTokens::OfflineAccess,
        offline_access_needs_consent: true,
        another_account: "login",
        api: ApiChoice::Resource,
        other_api: OtherApi::Named,
        access_token: AccessTokenForm::Unknown,
        assertion_audience: AssertionAudience::Issuer,
        revocation: Revocation::Rfc7009,
        end_session: EndSession::Page,
        scope_separator: ScopeSeparator::Space,
        advertises_pkce: true,
        device_pkce: DevicePkce::Unknown,
        verification_uri_complete: true,
    };
}

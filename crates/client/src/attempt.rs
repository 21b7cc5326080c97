//! What every way to sign in has in common: the server, the client, what is asked for, and what
//! becomes of the tokens in the end.

use std::time::Duration;

use countersign_jose::crypto::ring;
use countersign_oauth::preset::{IdentitySource, Preset, Quirks, SecretUse};
use countersign_oauth::{
    AuthorizationRequest, Client, ClientAuthentication, ClientKey, DpopKey, Error as ExchangeError,
    ErrorCode, Refusal, TokenResponse, TokenType, id_token,
};
use countersign_store::Purpose;

use crate::drive::Attentive;
use crate::refresh::wait_for_lock;
use crate::session::{KeyFile, Made, assertion_audience};
use crate::{
    Context, Dpop, Environment, Error, Identity, Login, Notice, Prompt, Provider, Redirect,
    Session, SessionName, SignIn, client_key, logout, userinfo,
};

/// How long a renewal that is under way may delay the keeping of a finished login.
const RENEWAL_LIMIT: Duration = Duration::from_secs(40);

/// A login that is about to be tried, in whichever way.
pub(crate) struct Attempt<'a> {
    pub(crate) login: &'a Login,
    pub(crate) context: &'a Context,
    pub(crate) name: &'a SessionName,
    pub(crate) preset: Option<&'static Preset>,
    pub(crate) provider: Provider,
    pub(crate) request: AuthorizationRequest,
    pub(crate) redirect: Redirect,
    pub(crate) place: Environment,
    authentication: ClientAuthentication,
}

/// What can be checked before anybody is asked anything.
struct Asked {
    preset: Option<&'static Preset>,
    request: AuthorizationRequest,
    redirect: Redirect,
    key: Option<ClientKey>,
}

impl Asked {
    fn check(login: &Login) -> Result<Self, Error> {
        let preset = login.known_preset()?;
        let load = |file: KeyFile| {
            let audience = assertion_audience(preset);
            client_key::load(&file.path, file.kid.as_deref(), audience)
        };
        Ok(Self {
            preset,
            request: login.authorization_request()?,
            redirect: login.redirect_wanted(preset)?,
            key: login.key_file().map(load).transpose()?,
        })
    }
}

impl<'a> Attempt<'a> {
    /// Checks what is asked for, and learns about the server.
    pub(crate) fn prepare(
        login: &'a Login,
        context: &'a Context,
        name: &'a SessionName,
    ) -> Result<Self, Error> {
        let asked = Asked::check(login)?;
        let issuer = login.issuer().as_str();
        let provider = Provider::known(context, issuer, login.overrides(), asked.preset)?;
        Ok(Self::with(login, context, name, asked, provider))
    }

    /// The same at a server that is known already.
    pub(crate) fn at(
        provider: Provider,
        login: &'a Login,
        context: &'a Context,
        name: &'a SessionName,
    ) -> Result<Self, Error> {
        let asked = Asked::check(login)?;
        Ok(Self::with(login, context, name, asked, provider))
    }

    fn with(
        login: &'a Login,
        context: &'a Context,
        name: &'a SessionName,
        asked: Asked,
        provider: Provider,
    ) -> Self {
        let Asked {
            preset,
            mut request,
            redirect,
            key,
        } = asked;
        if provider.metadata().countersign_requester_supported == Some(true) {
            add_requester(login, &mut request.extra);
        }
        let authentication = match (key, login.secret()) {
            (Some(key), _) => ClientAuthentication::PrivateKeyJwt(key),
            (None, Some(secret)) => {
                // Basic is what a server takes that does not say (RFC 8414, section 2).
                let methods = provider
                    .metadata()
                    .token_endpoint_auth_methods_supported
                    .as_deref();
                let takes = |name: &str| methods.is_none_or(|all| all.iter().any(|m| m == name));
                if !takes("client_secret_basic") && takes("client_secret_post") {
                    ClientAuthentication::SecretPost(secret.clone())
                } else {
                    ClientAuthentication::SecretBasic(secret.clone())
                }
            }
            (None, None) => ClientAuthentication::None,
        };
        Self {
            login,
            context,
            name,
            preset,
            provider,
            request,
            redirect,
            place: login.surroundings(),
            authentication,
        }
    }

    /// Whether the client can sign in as itself.
    pub(crate) fn has_credentials(&self) -> bool {
        self.authentication != ClientAuthentication::None
    }

    /// The application as the server wants to hear of it at the token endpoint, with a new key for its
    /// tokens if they are to be bound to one.
    pub(crate) fn client(&self, way: SignIn) -> Result<Client, Error> {
        let secret = self.quirks().secret;
        let authentication = match &self.authentication {
            _ if way == SignIn::Device && secret == SecretUse::ForCodeOnly => {
                ClientAuthentication::None
            }
            own => own.clone(),
        };
        let client = Client::new(self.login.client_id(), authentication);
        Ok(match self.login.dpop_wanted() {
            Dpop::No => client,
            Dpop::Required => client.with_dpop(self.new_key()?),
            Dpop::Preferred => match self.new_key() {
                Ok(key) => client.with_dpop(key.or_bearer()),
                Err(ExchangeError::DpopAlgorithm { .. }) => client,
                Err(error) => return Err(error.into()),
            },
        })
    }

    fn new_key(&self) -> Result<DpopKey, ExchangeError> {
        DpopKey::generate(self.provider.metadata(), ring::provider())
    }

    /// Gets tokens as `client`. If the server gives it none but bound ones (RFC 9449, section 5.2:
    /// `dpop_bound_access_tokens`), it has a key from then on, and asks again: a code that was not
    /// looked at for want of a proof is still good.
    pub(crate) fn tokens(
        &self,
        client: &mut Client,
        mut exchange: impl FnMut(&Client) -> Result<TokenResponse, Error>,
    ) -> Result<TokenResponse, Error> {
        match exchange(client) {
            Err(Error::Exchange(ExchangeError::Refused(refusal)))
                if client.dpop.is_none() && wants_proof(&refusal) =>
            {
                client.dpop = Some(self.new_key()?);
                exchange(client)
            }
            decided => decided,
        }
    }

    /// The same at the device authorization endpoint, which at some providers takes no secret.
    pub(crate) fn device_client(&self, client: &Client) -> Client {
        self.quirks().secret.at_device_authorization(client)
    }

    /// Where the provider differs; one that is not known does what the specifications say.
    pub(crate) fn quirks(&self) -> &'static Quirks {
        &self.preset.unwrap_or(Preset::OIDC).quirks
    }

    /// What an ID token must be that comes with `tokens`, when no browser brought a code for them.
    pub(crate) fn expected(&self, tokens: &TokenResponse) -> Result<id_token::Expected, Error> {
        let request = self.login.request();
        let mut expected = request.expected(self.login.client_id(), tokens)?;
        expected.max_age = self.request.max_age;
        expected.acr_values.clone_from(&self.request.acr_values);
        Ok(expected)
    }

    /// Checks what came with the tokens, and keeps the session.
    pub(crate) fn finish(
        &self,
        way: SignIn,
        client: &Client,
        tokens: TokenResponse,
        mut expected: id_token::Expected,
        attentive: &Attentive<'_>,
    ) -> Result<Session, Error> {
        let request = self.login.request();
        expected
            .trusted_audiences
            .clone_from(&request.trusted_audiences);
        let id_token = match &tokens.id_token {
            Some(token) => {
                let offset = attentive.offset();
                let checked =
                    self.provider
                        .check_id_token(self.context, token, &expected, offset)?;
                Some(checked)
            }
            None => None,
        };
        let identity = match id_token {
            None => self.identity_by_api(client, &tokens),
            Some(_) => None,
        };
        let made = Made {
            request,
            client,
            flow: way,
            client_key: self.login.key_file(),
            or_bearer: self.login.dpop_wanted() == Dpop::Preferred,
        };
        let mut session = Session::begin(made, tokens, id_token, attentive.last_sent());
        if let Some(identity) = identity {
            session.belongs_to(identity);
        }
        self.keep(session)
    }

    /// Who it was, where the provider's own API says so. Somebody has just approved: the login is not
    /// given up because their name cannot be had.
    fn identity_by_api(&self, client: &Client, tokens: &TokenResponse) -> Option<Identity> {
        let preset = self.preset?;
        let IdentitySource::Api(_) = preset.quirks.identity else {
            return None;
        };
        let key = client
            .dpop
            .as_ref()
            .filter(|_| tokens.token_type == TokenType::Dpop);
        let asked = userinfo::Question {
            access_token: &tokens.access_token,
            key,
            subject: None,
            preset: self.preset,
        };
        asked.ask(self.context, &self.provider).ok()
    }

    fn keep(&self, session: Session) -> Result<Session, Error> {
        let name = match self.login.placing().map(|placing| placing.place(&session)) {
            None => self.name.clone(),
            Some(Ok(name)) => name,
            Some(Err(error)) => {
                // Nobody is going to use what the server has just issued.
                logout::take_back(self.context, &session);
                return Err(error);
            }
        };
        // A renewal of the session that is being replaced must not write after us. But a login that
        // somebody has just approved is not given up for a process that hangs: without the lock, then.
        let _renewals = wait_for_lock(self.context, &name, Purpose::Refresh, RENEWAL_LIMIT).ok();
        let store = self.context.store();
        let saved = store.begin(&name, &session).map_err(Error::Storage)?;
        self.context.known_vaults().announce(&saved);
        Ok(session.was_in(Some(saved.origin.kept_in())))
    }
}

/// Whether the server refused a request because no proof came with it (RFC 9449, section 5).
fn wants_proof(refusal: &Refusal) -> bool {
    matches!(
        refusal.code,
        Some(ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce)
    )
}

/// Tells of a clock that is far off, when an answer has shown that.
pub(crate) fn tell_of_clocks(attentive: &Attentive<'_>, prompt: &mut dyn Prompt) {
    if let Some((by, ahead)) = attentive.offset().difference() {
        prompt.notice(&Notice::ClockOffset { by, ahead });
    }
}

/// Says where and by what command this login was started, for the confirmation page. It is a claim
/// like any other a device makes; it helps a person to recognise what is not theirs.
fn add_requester(login: &Login, parameters: &mut Vec<(String, String)>) {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let claims = [
        ("countersign_host", Some(host)),
        ("countersign_command", login.command_line()),
    ];
    for (name, value) in claims {
        // What the caller says in its own words stays.
        let given = parameters.iter().any(|(known, _)| known == name);
        if let Some(value) = value.filter(|value| !given && !value.is_empty()) {
            parameters.push((name.to_owned(), value));
        }
    }
}

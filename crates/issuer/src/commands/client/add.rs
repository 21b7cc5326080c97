//! `countersign-issuer client add`: what is typed becomes a client.

use std::path::{Path, PathBuf};

use super::super::{administration, now, print, tell};
use super::keys;
use clap::{Args, ValueEnum};
use countersign_console::Problem;
use countersign_issuer::core::{
    Audiences, ClientRejected, GrantType, JwksProblem, NewAuthentication, NewClient, UriProblem,
};
use countersign_jose::{Algorithm, KeyProblem};
use countersign_oauth::ScopeSet;
use countersign_oauth::text::printable;

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each of them is a flag that somebody types"
)]
pub(crate) struct Arguments {
    /// The `client_id`
    id: String,
    /// The name that people are shown when they approve
    #[arg(long)]
    name: Option<String>,
    /// Give it a secret, printed once: for a service, not for a program on
    /// people's machines
    #[arg(long, conflicts_with_all = ["jwks", "new_key"])]
    confidential: bool,
    /// Its public keys, a JWK set or one JWK: it signs what proves who it is,
    /// and there is no secret
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Make such a key for it, and write the private half here, as PKCS#8: for
    /// `--client-key-file` of the client
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    new_key: Option<PathBuf>,
    /// Where a browser may be sent back to with a code; may be given several
    /// times. With http for this machine only, where any port will do
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where a browser may be sent on to after it was signed out; may be given
    /// several times
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// Refuse it authorization requests that were not pushed (RFC 9126)
    #[arg(long)]
    require_par: bool,
    /// Give it only tokens that are bound to a key of its own (RFC 9449)
    #[arg(long)]
    dpop: bool,
    /// Let it get tokens in its own name; then it acts for people only with
    /// --redirect-uri
    #[arg(long)]
    client_credentials: bool,
    /// A scope it may have in its own name; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", requires = "client_credentials")]
    scopes: Vec<String>,
    /// Let it exchange its tokens for ones that are good for less (RFC 8693)
    #[arg(long)]
    token_exchange: bool,
    /// An API that it is: let it exchange what it is sent there for a token of
    /// an --audience; then it acts for people only with --redirect-uri; may be
    /// given several times
    #[arg(long = "serves", value_name = "URL")]
    serves: Vec<String>,
    /// An API it may ask tokens for; may be given several times
    #[arg(long = "audience", value_name = "URL")]
    audiences: Vec<String>,
    /// Let it ask tokens for any API: for development
    #[arg(long, conflicts_with = "audiences")]
    any_audience: bool,
    /// Let it do nothing but introspect and revoke
    #[arg(long, conflicts_with_all = ["client_credentials", "redirect_uris", "token_exchange", "serves"])]
    no_grants: bool,
    /// The algorithm of its tokens; RS256 for software that knows no other
    #[arg(long, value_enum, default_value_t = Signing::Es256)]
    signing: Signing,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Signing {
    Es256,
    Rs256,
}

pub(super) async fn run(arguments: Arguments, directory: &Path) -> Result<(), Problem> {
    let new_key = arguments.new_key.clone();
    // Before the database is opened, which would make one.
    let new = arguments.client()?;
    let core = administration(directory)?;
    // Otherwise adding a first client would keep `cli` from being made.
    core.ensure_default_client(now()).await?;
    let registered = core.put_client(new, now()).await?.map_err(|why| {
        if let Some(file) = &new_key {
            keys::unmake(file);
        }
        rejected(&why)
    })?;
    tell(format!("client {} is registered", registered.client.id));
    if let Some(file) = new_key {
        tell(format!(
            "its private key is in {}; use it with --client-key-file",
            file.display()
        ));
    }
    if let Some(secret) = registered.secret {
        tell("its secret follows; it is stored hashed and cannot be shown again");
        print(secret.expose())?;
    }
    Ok(())
}

impl Arguments {
    fn client(self) -> Result<NewClient, Problem> {
        let grant_types = self.grant_types();
        let scopes = ScopeSet::parse(&self.scopes.join(" ")).map_err(|error| {
            Problem::new("a scope cannot be used")
                .because(error)
                .hint("scopes are words of visible ASCII: --scope api.read --scope api.write")
        })?;
        Ok(NewClient {
            name: self
                .name
                .map_or_else(|| self.id.clone(), |name| printable(&name)),
            authentication: match (&self.jwks, &self.new_key) {
                (Some(file), _) => NewAuthentication::PrivateKeyJwt(keys::public(file)?),
                (None, Some(file)) => NewAuthentication::PrivateKeyJwt(keys::make(file)?),
                (None, None) if self.confidential => NewAuthentication::Secret,
                (None, None) => NewAuthentication::Public,
            },
            grant_types,
            audiences: if self.any_audience {
                Audiences::Any
            } else {
                Audiences::Listed(self.audiences)
            },
            serves: self.serves,
            redirect_uris: self.redirect_uris,
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            dpop_bound: self.dpop,
            require_par: self.require_par,
            scopes,
            signing_algorithm: match self.signing {
                Signing::Es256 => Algorithm::Es256,
                Signing::Rs256 => Algorithm::Rs256,
            },
            ..NewClient::new(self.id)
        })
    }

    fn grant_types(&self) -> Vec<GrantType> {
        if self.no_grants {
            return Vec::new();
        }
        let is_service = self.client_credentials || !self.serves.is_empty();
        let mut grant_types = Vec::new();
        if self.client_credentials {
            grant_types.push(GrantType::ClientCredentials);
        }
        if !is_service {
            grant_types.extend(GrantType::FOR_PEOPLE);
        } else if !self.redirect_uris.is_empty() {
            grant_types.extend([GrantType::AuthorizationCode, GrantType::RefreshToken]);
        }
        if self.token_exchange || !self.serves.is_empty() {
            grant_types.push(GrantType::TokenExchange);
        }
        grant_types
    }
}

/// What cannot be registered, with what to type instead.
fn rejected(rejected: &ClientRejected) -> Problem {
    let hint = match rejected {
        ClientRejected::RedirectUri { problem, .. } => match problem {
            UriProblem::PlainHttp => {
                "use https, or for a program on people's machines: \
                 --redirect-uri http://127.0.0.1/callback"
            }
            _ => "it looks like http://127.0.0.1/callback or https://app.example/callback",
        },
        ClientRejected::Jwks(JwksProblem::Key {
            source: KeyProblem::PrivateMember(_),
            ..
        }) => "register the public half; the private key stays with the client alone",
        ClientRejected::Jwks(_) => {
            "a JWK set looks like {\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": …, \"y\": …}]}"
        }
        ClientRejected::PublicClientCredentials | ClientRejected::PublicServes => {
            "add --confidential, or --new-key FILE"
        }
        ClientRejected::ScopeOfAPerson(_) => "name scopes of your API, as in --scope api.read",
        _ => return problem(rejected),
    };
    problem(rejected).hint(hint)
}

fn problem(rejected: &ClientRejected) -> Problem {
    let problem = Problem::new(rejected.to_string());
    match std::error::Error::source(rejected) {
        Some(source) => problem.because(source),
        None => problem,
    }
}

//! `countersign-issuer client add`: what is typed becomes a client.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use countersign_issuer::core::{
    Audiences, ClientRejected, GrantType, JwksProblem, NewAuthentication, NewClient, UriProblem,
};
use countersign_jose::jwk::MAX_KEY_SET_LEN;
use countersign_jose::{Algorithm, KeyProblem};
use countersign_oauth::ScopeSet;
use countersign_oauth::text::printable;
use serde_json::{Value, json};

use super::super::{administration, now, print, tell};
use crate::problem::Problem;

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
    #[arg(long, conflicts_with = "jwks")]
    confidential: bool,
    /// Its public keys, a JWK set or one JWK: it signs what proves who it is,
    /// and there is no secret
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
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
    /// An API it may ask tokens for; may be given several times
    #[arg(long = "audience", value_name = "URL")]
    audiences: Vec<String>,
    /// Let it ask tokens for any API: for development
    #[arg(long, conflicts_with = "audiences")]
    any_audience: bool,
    /// Let it do nothing but introspect and revoke
    #[arg(long, conflicts_with_all = ["client_credentials", "redirect_uris"])]
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
    // Before the database is opened, which would make one.
    let new = arguments.client()?;
    let core = administration(directory)?;
    // Otherwise adding a first client would keep `cli` from being made.
    core.ensure_default_client(now()).await?;
    let registered = core.put_client(new, now()).await?;
    let registered = registered.map_err(|why| rejected(&why))?;
    tell(format!("client {} is registered", registered.client.id));
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
            authentication: match &self.jwks {
                Some(file) => NewAuthentication::PrivateKeyJwt(key_set(file)?),
                None if self.confidential => NewAuthentication::Secret,
                None => NewAuthentication::Public,
            },
            grant_types,
            audiences: if self.any_audience {
                Audiences::Any
            } else {
                Audiences::Listed(self.audiences)
            },
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
        if !self.client_credentials {
            return GrantType::FOR_PEOPLE.to_vec();
        }
        let mut grant_types = vec![GrantType::ClientCredentials];
        if !self.redirect_uris.is_empty() {
            grant_types.extend([GrantType::AuthorizationCode, GrantType::RefreshToken]);
        }
        grant_types
    }
}

/// The JWK set in a file; a single JWK is a set of one.
fn key_set(file: &Path) -> Result<String, Problem> {
    let text = read(file).map_err(|error| {
        Problem::new(format!("{} cannot be read", file.display())).because(error)
    })?;
    // Whether it is sound is for the core to say, by the text as it stands.
    Ok(match serde_json::from_str(&text) {
        Ok(Value::Object(key)) if key.contains_key("kty") && !key.contains_key("keys") => {
            json!({ "keys": [key] }).to_string()
        }
        _ => text,
    })
}

fn read(file: &Path) -> io::Result<String> {
    let most = MAX_KEY_SET_LEN as u64 + 1;
    let mut text = String::new();
    File::open(file)?.take(most).read_to_string(&mut text)?;
    Ok(text)
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
        ClientRejected::PublicClientCredentials => "add --confidential, or --jwks FILE",
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

//! `countersign-issuer client …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use countersign_issuer::core::{
    Audiences, ClientAuthentication, GrantType, NewAuthentication, NewClient,
};
use countersign_jose::Algorithm;
use countersign_oauth::text::printable;

use super::{administration, now, print, tell};
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add an application, or replace one and its secret
    Add(Add),
    /// List all applications: identifier, kind, algorithm, audiences, name
    List,
    /// Remove an application with everything it was granted
    Remove { id: String },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The `client_id`
    id: String,
    /// The name that people are shown when they approve
    #[arg(long)]
    name: Option<String>,
    /// Give it a secret, printed once: for an API that introspects tokens, not
    /// for a program on people's machines
    #[arg(long)]
    confidential: bool,
    /// An API it may ask tokens for; may be given several times
    #[arg(long = "audience", value_name = "URL")]
    audiences: Vec<String>,
    /// Let it ask tokens for any API: for development
    #[arg(long, conflicts_with = "audiences")]
    any_audience: bool,
    /// Let it do nothing but introspect and revoke
    #[arg(long)]
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

pub(crate) async fn run(command: Command, directory: PathBuf) -> Result<(), Problem> {
    let core = administration(&directory)?;
    match command {
        Command::Add(add) => {
            check_id(&add.id)?;
            // Otherwise adding a first client would keep `cli` from being made.
            core.ensure_default_client(now()).await?;
            let new = NewClient {
                name: add
                    .name
                    .map_or_else(|| add.id.clone(), |name| printable(&name)),
                authentication: if add.confidential {
                    NewAuthentication::Secret
                } else {
                    NewAuthentication::Public
                },
                grant_types: if add.no_grants {
                    Vec::new()
                } else {
                    GrantType::FOR_PEOPLE.to_vec()
                },
                audiences: if add.any_audience {
                    Audiences::Any
                } else {
                    Audiences::Listed(add.audiences)
                },
                signing_algorithm: match add.signing {
                    Signing::Es256 => Algorithm::Es256,
                    Signing::Rs256 => Algorithm::Rs256,
                },
                ..NewClient::new(add.id)
            };
            let registered = core.put_client(new, now()).await?;
            tell(format!("client {} is registered", registered.client.id));
            if let Some(secret) = registered.secret {
                tell("its secret follows; it is stored hashed and cannot be shown again");
                print(secret.expose())?;
            }
        }
        Command::List => {
            for client in core.clients()? {
                let kind = match client.authentication {
                    ClientAuthentication::Public => "public",
                    ClientAuthentication::Secret(_) | ClientAuthentication::PrivateKeyJwt(_) => {
                        "confidential"
                    }
                };
                let audiences = match client.audiences {
                    Audiences::Any => "any".to_owned(),
                    Audiences::Listed(list) => list.join(","),
                };
                let algorithm = client.signing_algorithm.name().to_owned();
                let fields = [
                    client.id,
                    kind.to_owned(),
                    algorithm,
                    audiences,
                    client.name,
                ];
                print(fields.map(|field| printable(&field)).join("\t"))?;
            }
        }
        Command::Remove { id } => {
            if !core.remove_client(&id).await? {
                return Err(Problem::new(format!("there is no client {id}"))
                    .hint("see what there is: countersign-issuer client list"));
            }
            tell(format!("client {id} is removed"));
        }
    }
    Ok(())
}

/// RFC 6749, appendix A.1 allows all visible ASCII; what also needs no quoting
/// in a shell, a URL or HTTP Basic is enough.
fn check_id(id: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~-/".contains(c);
    if (1..=128).contains(&id.len()) && id.chars().all(plain) {
        return Ok(());
    }
    Err(Problem::new(
        "a client identifier has 1 to 128 letters, digits and . _ ~ - /",
    ))
}

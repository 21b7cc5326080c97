//! `countersign-issuer grant …`.

use std::path::Path;

use clap::{ArgGroup, Args, Subcommand};
use countersign_console::Problem;

use super::{administration, date, now, print, tell, user};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List someone's logins at applications: identifier (the `sid` of their
    /// tokens), client, since, last renewal, end, scopes
    List { username: String },
    /// End logins: their tokens are good no more
    Revoke(Revoke),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "of"]))]
pub(crate) struct Revoke {
    /// The identifiers, as `grant list` shows them
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All of this person
    #[arg(long, value_name = "USERNAME")]
    of: Option<String>,
    /// With `--of`: those of this client alone
    #[arg(long, value_name = "CLIENT", requires = "of")]
    client: Option<String>,
}

pub(crate) async fn run(command: Command, directory: &Path) -> Result<(), Problem> {
    let core = administration(directory)?;
    match command {
        Command::List { username } => {
            let grants = core.grants_of(&username, now())?;
            user::found(grants.is_some(), &username)?;
            for grant in grants.unwrap_or_default() {
                let renewed = grant.rotation.filter(|rotation| rotation.generation > 0);
                let fields = [
                    grant.sid(),
                    grant.client_id,
                    date(grant.created_at),
                    renewed.map_or_else(|| "-".to_owned(), |rotation| date(rotation.rotated_at)),
                    date(grant.expires_at),
                    grant.scopes.to_string(),
                ];
                print(fields.join("\t"))?;
            }
        }
        Command::Revoke(Revoke {
            of: Some(username),
            client,
            ..
        }) => {
            let revoked = core.revoke_grants_of(&username, client.as_deref()).await?;
            user::found(revoked.is_some(), &username)?;
            let revoked = revoked.unwrap_or_default();
            tell(format!("{revoked} logins of {username} have ended"));
        }
        Command::Revoke(Revoke { ids, .. }) => {
            for id in ids {
                if !core.revoke_grant(&id).await? {
                    return Err(Problem::new("there is no such login")
                        .hint("see what there is: countersign-issuer grant list USERNAME"));
                }
                tell(format!("the login {id} has ended"));
            }
        }
    }
    Ok(())
}

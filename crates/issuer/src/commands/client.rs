//! `countersign-issuer client …`.

mod add;
mod keys;

use std::path::PathBuf;

use clap::Subcommand;
use countersign_console::Problem;
use countersign_issuer::core::{Audiences, Client, ClientAuthentication, GrantType};
use countersign_oauth::text::printable;
use serde_json::{Value, json};

use super::{administration, print, tell};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add an application, or replace one and its secret
    Add(add::Arguments),
    /// Show what an application is registered with, as the JSON of RFC 7591
    Show { id: String },
    /// List all applications: identifier, kind, algorithm, audiences, name
    List,
    /// Remove an application with everything it was granted
    #[command(visible_alias = "rm")]
    Remove { id: String },
}

pub(crate) async fn run(command: Command, directory: PathBuf) -> Result<(), Problem> {
    match command {
        Command::Add(arguments) => add::run(arguments, &directory).await,
        Command::Show { id } => {
            let client = administration(&directory)?.client(&id)?;
            let client = client.ok_or_else(|| unknown(&id))?;
            // Text that was accepted as JSON or is put into it here: it prints.
            print(serde_json::to_string_pretty(&metadata(&client)).unwrap_or_default())
        }
        Command::List => {
            for client in administration(&directory)?.clients()? {
                print(line(client))?;
            }
            Ok(())
        }
        Command::Remove { id } => {
            if !administration(&directory)?.remove_client(&id).await? {
                return Err(unknown(&id));
            }
            tell(format!("client {id} is removed"));
            Ok(())
        }
    }
}

/// A client as a line of the list.
fn line(client: Client) -> String {
    let kind = match client.authentication {
        ClientAuthentication::Public => "public",
        ClientAuthentication::Secret(_) | ClientAuthentication::PrivateKeyJwt(_) => "confidential",
    };
    let audiences = match client.audiences {
        Audiences::Any => "any".to_owned(),
        Audiences::Listed(list) => list.join(","),
    };
    let fields = [
        client.id,
        kind.to_owned(),
        client.signing_algorithm.name().to_owned(),
        audiences,
        client.name,
    ];
    fields.map(|field| printable(&field)).join("\t")
}

fn unknown(id: &str) -> Problem {
    Problem::new(format!("there is no client {id}"))
        .hint("see what there is: countersign-issuer client list")
}

/// What a client is registered with, in the words of RFC 7591, section 2,
/// RFC 9126, section 6 and RFC 9449, section 5.2; `audiences` and `serves` are ours.
fn metadata(client: &Client) -> Value {
    let method = match client.authentication {
        ClientAuthentication::Public => "none",
        ClientAuthentication::Secret(_) => "client_secret_basic",
        ClientAuthentication::PrivateKeyJwt(_) => "private_key_jwt",
    };
    let grant_types: Vec<&str> = client
        .grant_types
        .iter()
        .map(|grant_type: &GrantType| grant_type.name())
        .collect();
    let audiences = match &client.audiences {
        Audiences::Any => json!("any"),
        Audiences::Listed(list) => json!(list),
    };
    let mut metadata = json!({
        "client_id": client.id,
        "client_name": client.name,
        "client_id_issued_at": client.created_at.as_secs(),
        "token_endpoint_auth_method": method,
        "grant_types": grant_types,
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.post_logout_redirect_uris,
        "scope": client.scopes.to_string(),
        "audiences": audiences,
        "serves": client.serves,
        "id_token_signed_response_alg": client.signing_algorithm.name(),
        "dpop_bound_access_tokens": client.dpop_bound,
        "require_pushed_authorization_requests": client.require_par,
    });
    if let (ClientAuthentication::PrivateKeyJwt(jwks), Some(members)) =
        (&client.authentication, metadata.as_object_mut())
    {
        // It was read when it was registered.
        let jwks = serde_json::from_str(jwks).unwrap_or(Value::Null);
        members.insert("jwks".to_owned(), jwks);
    }
    metadata
}

//! `countersign whoami`: who is signed in.

use countersign_client::{ExitCategory, Identity, Session, SignIn, printable, userinfo};
use serde_json::json;

use crate::app::{App, ready_made_token};
use crate::args::WhoamiArgs;
use crate::commands::token::token_type;
use crate::error::CliError;
use crate::output;

pub(crate) fn run(app: &App, args: &WhoamiArgs) -> Result<(), CliError> {
    if ready_made_token()?.is_some() {
        let what = "nobody is known to be signed in";
        return Err(
            CliError::new(ExitCategory::Failure, "token_from_environment", what)
                .why("the token comes from COUNTERSIGN_TOKEN, without a session")
                .hint("unset COUNTERSIGN_TOKEN")
                .hint("or look at the token: echo \"$COUNTERSIGN_TOKEN\" | countersign inspect -"),
        );
    }
    let tokens = app.tokens()?;
    let identity = if args.verify {
        userinfo(&tokens).map_err(|error| app.explain(error))?
    } else {
        tokens.session().identity().clone()
    };
    if args.json {
        let mut object = identity_json(&identity);
        let session = tokens.session();
        if let Some(object) = object.as_object_mut() {
            let account = app.label_of(tokens.name());
            object.insert("account".to_owned(), json!(account));
            object.insert("issuer".to_owned(), json!(session.issuer()));
            object.insert("client_id".to_owned(), json!(session.client_id()));
            object.insert("flow".to_owned(), json!(session.flow().map(SignIn::as_str)));
            object.insert(
                "token_type".to_owned(),
                json!(token_type(session.is_bound())),
            );
        }
        return output::json(&object);
    }
    let session = tokens.session();
    let nobody = session.flow() == Some(SignIn::ClientCredentials);
    let itself = nobody.then(|| client_line(session.client_id()));
    let Some(line) = identity.line().or(itself) else {
        let what = "the server did not say who signed in";
        return Err(CliError::new(ExitCategory::Failure, "no_identity", what)
            .why("it issued no ID token; it does when the scope `openid` is asked for")
            .hint(app.command("login --scope openid")));
    };
    output::artefact(&format!("{line}\n"))
}

/// A client that signed in as itself, in one line.
pub(crate) fn client_line(client_id: &str) -> String {
    format!("client {} (no person)", printable(client_id))
}

/// Whose session it is, in one line.
pub(crate) fn session_line(session: &Session) -> Option<String> {
    if session.flow() == Some(SignIn::ClientCredentials) {
        return Some(client_line(session.client_id()));
    }
    session.identity().line()
}

/// A person for scripts. JSON escapes what a terminal would act on.
pub(crate) fn identity_json(identity: &Identity) -> serde_json::Value {
    json!({
        "subject": identity.subject,
        "name": identity.name,
        "preferred_username": identity.preferred_username,
        "email": identity.email,
        "acr": identity.acr,
        "auth_time": identity.auth_time,
    })
}

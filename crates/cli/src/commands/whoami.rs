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
    let Some(line) = identity_line(&identity).or(itself) else {
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

/// A person in one line, filtered: `Ada Lovelace <ada@example.com>`, or as much as is known.
pub(crate) fn identity_line(identity: &Identity) -> Option<String> {
    let clean = |text: &Option<String>| {
        text.as_deref()
            .map(printable)
            .filter(|text| !text.is_empty())
    };
    let name = clean(&identity.name).or_else(|| clean(&identity.preferred_username));
    let address = clean(&identity.email);
    match (name, address) {
        (Some(name), Some(address)) if name != address => Some(format!("{name} <{address}>")),
        (Some(name), _) => Some(name),
        (None, Some(address)) => Some(address),
        (None, None) => clean(&identity.subject),
    }
}

/// Whose session it is, in one line.
pub(crate) fn session_line(session: &Session) -> Option<String> {
    if session.flow() == Some(SignIn::ClientCredentials) {
        return Some(client_line(session.client_id()));
    }
    identity_line(session.identity())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: Option<&str>, email: Option<&str>, subject: Option<&str>) -> Identity {
        let mut identity = Identity::default();
        identity.name = name.map(str::to_owned);
        identity.email = email.map(str::to_owned);
        identity.subject = subject.map(str::to_owned);
        identity
    }

    #[test]
    fn a_person_is_one_line_of_what_is_known() {
        let line = |name, email, subject| identity_line(&identity(name, email, subject));
        assert_eq!(
            line(Some("Ada"), Some("ada@x.y"), Some("1")).unwrap(),
            "Ada <ada@x.y>"
        );
        assert_eq!(
            line(Some("ada@x.y"), Some("ada@x.y"), None).unwrap(),
            "ada@x.y"
        );
        assert_eq!(line(None, None, Some("1")).unwrap(), "1");
        assert_eq!(line(None, None, None), None);
    }

    #[test]
    fn a_name_cannot_write_on_the_terminal() {
        let line = identity_line(&identity(Some("A\x1b[2Jda\n\u{202e}"), None, None)).unwrap();
        assert!(!line.contains(['\x1b', '\n', '\u{202e}']), "{line:?}");
    }
}

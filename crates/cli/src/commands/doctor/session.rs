//! The session: whether somebody is signed in, and whom the access token is for.

use countersign_client::preset::{AccessTokenForm, Preset};
use countersign_client::{ExitCategory, Session, printable};
use serde_json::Value;

use super::finding::Finding;
use super::report::Report;
use crate::app::App;
use crate::jwt::Decoded;
use crate::{duration, time};

/// The audience of Microsoft Graph, by its two names.
const GRAPH: [&str; 2] = [
    "00000003-0000-0000-c000-000000000000",
    "https://graph.microsoft.com",
];

/// Looks at the session, without renewing it.
pub(crate) fn look(report: &mut Report, app: &App, preset: Option<&Preset>) {
    let session = match app.tokens() {
        Ok(tokens) => tokens.session(),
        Err(error) if error.exit() == ExitCategory::LoginRequired => {
            report.add(
                Finding::note("session", "Nobody is signed in with this profile.")
                    .remedy(app.command("login")),
            );
            return;
        }
        // What is wrong with the file was told already.
        Err(_) => return,
    };
    report.add(state(app, &session));
    report.add(audience(app, &session, preset));
}

fn state(app: &App, session: &Session) -> Finding {
    let person = session
        .identity()
        .line()
        .unwrap_or_else(|| "Somebody".to_owned());
    let left = session.remaining(time::now());
    match (left, session.has_refresh_token()) {
        (Some(left), false) if left.is_zero() => {
            Finding::warning("session", format!("The session of {person} has run out."))
                .why("there is no refresh token to renew it with")
                .remedy(app.command("login"))
        }
        (Some(left), renewable) if !left.is_zero() => {
            let then = if renewable {
                ", then it is renewed"
            } else {
                ""
            };
            let how_long = duration::text(left);
            Finding::ok(
                "session",
                format!("{person} is signed in; the token is good for {how_long}{then}."),
            )
        }
        _ => Finding::ok("session", format!("{person} is signed in.")),
    }
}

/// Whom the access token is for, as far as anybody but its API can see.
fn audience(app: &App, session: &Session, preset: Option<&Preset>) -> Finding {
    const CODE: &str = "token_audience";
    let form = preset.map_or(AccessTokenForm::Unknown, |preset| {
        preset.quirks.access_token
    });
    let title = preset.map_or("the server", |preset| preset.title);
    let Some(decoded) = Decoded::parse(session.access_token().expose()) else {
        return match form {
            AccessTokenForm::JwtForNamedApi => Finding::warning(
                CODE,
                "The access token is opaque: it is for no API.",
            )
            .why(format!(
                "{title} issues a JWT only for an API that is named"
            ))
            .remedy(
                "set `audience` in the profile to the identifier of the API, and sign in again",
            ),
            AccessTokenForm::Opaque => Finding::note(
                CODE,
                format!("The access token is for {title}'s own APIs alone."),
            )
            .why("nobody else can check it; your own APIs can check the ID token instead")
            .remedy("countersign token --id-token"),
            _ => Finding::note(CODE, "The access token is opaque.")
                .why("only the server can tell what it is for; an API has to ask it (RFC 7662)"),
        };
    };
    let audiences = strings(decoded.claims.get("aud"));
    let issuer = session.issuer();
    let configured = app.settings.audience.iter().map(|s| s.value.as_str());
    let resources = app.settings.resource.iter().flat_map(|s| &s.value);
    let wanted: Vec<&str> = configured.chain(resources.map(String::as_str)).collect();
    let listed = printable(&audiences.join(", "));
    if audiences.is_empty() {
        return match form {
            AccessTokenForm::JwtWithoutAudience => Finding::note(
                CODE,
                "The access token names no audience, as is usual here.",
            )
            .why("APIs check its `client_id` and `token_use` instead"),
            _ => Finding::warning(CODE, "The access token names no audience.")
                .why("an API that follows RFC 9068 refuses it")
                .remedy(
                    "name the API: `audience`, `resource` or a scope, whichever the server wants",
                ),
        };
    }
    let for_provider = match form {
        AccessTokenForm::ElseForProvider => audiences
            .iter()
            .any(|aud| GRAPH.contains(&aud.trim_end_matches('/'))),
        _ => audiences
            .iter()
            .all(|aud| aud == issuer || aud == "account"),
    };
    if let Some(missing) = wanted
        .iter()
        .find(|aud| !audiences.iter().any(|a| a == *aud))
    {
        return Finding::warning(
            CODE,
            format!("The access token is for {listed}, and not for {missing}."),
        )
        .why("it was issued before the setting was made, or the server does not know that API")
        .remedy(app.command("login"));
    }
    if for_provider {
        return Finding::warning(
            CODE,
            format!("The access token is for {title} itself ({listed})."),
        )
        .why("your own APIs will refuse it")
        .remedy(match preset.map(|preset| preset.name) {
            Some("entra") => "ask for a scope of your API: --scope api://CLIENT-ID/NAME",
            Some("okta") => "use an authorization server of your own: --server default",
            Some("keycloak") => "add a mapper of the type Audience to the client's scopes",
            _ => "name the API: `audience`, `resource` or a scope, whichever the server wants",
        });
    }
    Finding::ok(CODE, format!("The access token is for {listed}."))
}

/// A claim that is one string, or a list of them (RFC 7519, section 4.1.3).
fn strings(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many
            .iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

//! Microsoft Entra ID. The issuer holds the tenant's id, PKCE is not mentioned in the metadata, and
//! what went wrong stands as a number in the description.

use super::meaning::Rule;
use super::parts::{PartName, PartUse, Parts, PartsError};
use super::quirks::{
    AccessTokenForm, ApiChoice, OtherApi, Quirks, Redirect, RedirectPorts, Revocation,
};
use super::{Flows, IssuerForm, Offer, Preset};
use crate::AssertionAudience;

pub(super) static PRESET: Preset = Preset {
    name: "entra",
    title: "Microsoft Entra ID",
    parts: &[
        PartUse::required(
            PartName::Org,
            "the tenant ID, which stands on the directory's overview",
            "72f988bf-0000-4000-8000-2d7cd011db47",
        ),
        PartUse::optional(
            PartName::Host,
            "the host of a national cloud",
            "login.microsoftonline.us",
            "login.microsoftonline.com is used",
        ),
    ],
    scopes: &["openid", "profile", "email", "offline_access"],
    flows: Flows {
        device: Offer::If("where Conditional Access does not block it"),
        code: Offer::Yes,
        client_credentials: Offer::If("with the scope of an API that ends in /.default"),
    },
    quirks: Quirks {
        redirect: Redirect::new("localhost", "", RedirectPorts::Any),
        another_account: "select_account",
        api: ApiChoice::Scope,
        other_api: OtherApi::Scope,
        access_token: AccessTokenForm::ElseForProvider,
        assertion_audience: AssertionAudience::Endpoint,
        revocation: Revocation::ByPerson(
            "Entra has no way to end one session; its tokens run out by themselves.",
        ),
        advertises_pkce: false,
        verification_uri_complete: false,
        offline_access_needs_consent: false,
        ..Quirks::NONE
    },
    issuer: IssuerForm::Of(form_issuer),
    rules: RULES,
};

fn form_issuer(parts: &Parts) -> Result<String, PartsError> {
    let host = parts.host()?.unwrap_or("login.microsoftonline.com");
    let tenant = parts.required(&PRESET, PartName::Org)?;
    // A domain name leads to a document about another issuer, the one with the id; `common` and
    // `organizations` to one with a placeholder. Both are found out here rather than by a comparison.
    let why = "give the tenant ID, 32 hexadecimal digits in five groups";
    let tenant = Parts::word(PartName::Org, tenant, "", why)?;
    if !is_uuid(tenant) {
        return Err(super::parts::malformed(PartName::Org, tenant, why));
    }
    let tenant = tenant.to_ascii_lowercase();
    Ok(format!("https://{host}/{tenant}/v2.0"))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let hex = |group: &&str| group.bytes().all(|b| b.is_ascii_hexdigit());
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(hex)
}

/// What stands in `error_description` is stable in its number only.
const RULES: &[Rule] = &[
    Rule::says(
        "AADSTS7000218",
        "Entra expects this application to prove who it is.",
        "In the app registration, open Authentication and set Allow public client flows to Yes.",
    ),
    Rule::says(
        "AADSTS700016",
        "The application is not known in this tenant.",
        "Check the client id and the tenant ID; both stand on the app registration's overview.",
    ),
    Rule::says(
        "AADSTS700025",
        "Entra takes this application for a public one, and refuses its secret.",
        "Leave `client_secret_file` out.",
    ),
    Rule::says(
        "AADSTS90002",
        "Entra does not know this tenant.",
        "Check the tenant ID, and the host if yours is a national cloud.",
    ),
    Rule::says(
        "AADSTS50011",
        "The redirect URI is not registered for this application.",
        "In Authentication, add the platform Mobile and desktop applications with http://localhost.",
    ),
    Rule::says(
        "AADSTS9002327",
        "The redirect URI is registered for a page in a browser, not for a program.",
        "In Authentication, take it out of Single-page application and add it to Mobile and desktop applications.",
    ),
    Rule::says(
        "AADSTS9002326",
        "The redirect URI is registered for a page in a browser, not for a program.",
        "In Authentication, take it out of Single-page application and add it to Mobile and desktop applications.",
    ),
    Rule::says(
        "AADSTS53003",
        "A Conditional Access policy does not allow this sign-in.",
        "Sign in with the browser of a managed computer, or ask the administrator which policy blocked it.",
    )
    .other_flow(),
    Rule::says(
        "AADSTS530036",
        "A Conditional Access policy ends sessions that began with the device grant.",
        "Sign in with the browser.",
    )
    .other_flow(),
    Rule::says(
        "AADSTS53000",
        "A Conditional Access policy asks for a compliant computer, which the device grant cannot prove.",
        "Sign in with the browser of a computer that your organisation manages.",
    )
    .other_flow(),
    Rule::says(
        "AADSTS53001",
        "A Conditional Access policy asks for a computer that is joined to the domain.",
        "Sign in with the browser of such a computer.",
    )
    .other_flow(),
    Rule::says(
        "AADSTS53002",
        "A Conditional Access policy does not approve of this application.",
        "Ask the administrator which applications it approves of.",
    ),
    Rule::says(
        "AADSTS50105",
        "You are not assigned to this application.",
        "Ask the administrator to assign you, or your group, to the application.",
    ),
    Rule::says(
        "AADSTS50020",
        "Your account belongs to another tenant.",
        "Sign in with an account of this tenant, or ask to be invited as a guest.",
    ),
    Rule::says(
        "AADSTS65001",
        "Nobody has consented to what this application asks for.",
        "Ask the administrator to grant consent under API permissions.",
    ),
    Rule::says(
        "AADSTS65004",
        "You declined to consent.",
        "Sign in again and accept.",
    ),
    Rule::says(
        "AADSTS70011",
        "Entra does not know one of the scopes.",
        "Name an API's scope in full, as api://CLIENT-ID/NAME, and of one API only.",
    ),
    Rule::says(
        "AADSTS28000",
        "The scopes belong to more than one API.",
        "Ask for the scopes of one API at a time.",
    ),
    Rule::says(
        "AADSTS500011",
        "Entra does not know the API in this tenant.",
        "Check the Application ID URI under Expose an API.",
    ),
    Rule::says(
        "AADSTS50076",
        "Entra asks for a second factor, which this way of signing in did not show.",
        "Sign in again with the browser.",
    )
    .other_flow(),
    Rule::says(
        "AADSTS50079",
        "Entra asks you to register a second factor first.",
        "Sign in with the browser and register it.",
    )
    .other_flow(),
    Rule::says(
        "AADSTS700082",
        "The session has ended, because it was not used for long.",
        "Sign in again.",
    ),
    Rule::says(
        "AADSTS50173",
        "The session has ended, because your password was changed or your sessions were revoked.",
        "Sign in again.",
    ),
    Rule::says(
        "AADSTS70043",
        "The session has ended, because a policy limits how long one lasts.",
        "Sign in again.",
    ),
    Rule::says(
        "AADSTS70020",
        "The code was not used in time.",
        "Sign in again.",
    ),
    Rule::code(
        "authorization_declined",
        "The sign-in was declined on the page.",
        "Sign in again and approve.",
    ),
    Rule::code(
        "bad_verification_code",
        "Entra does not know this sign-in any more.",
        "Sign in again.",
    ),
];

//! Okta.

use crate::commands::setup::guide::{Guide, Line, Step};
use Line::{Copy, Redirects, Say};

pub(super) static GUIDE: Guide = Guide {
    provider: "okta",
    opening: "You create one native application, which has no secret, and let it use an \
              authorization server whose access tokens your APIs can check.",
    steps: &[
        Step {
            title: "Create a native application",
            lines: &[Say(
                "In the Admin Console, open Applications, then Applications, and choose Create App \
                 Integration. Choose OIDC, OpenID Connect, then Native Application.",
            )],
        },
        Step {
            title: "Switch on the grants",
            lines: &[Say(
                "Under Grant type, tick Authorization Code, Refresh Token and Device Authorization. \
                 The last one is offered for native applications only.",
            )],
        },
        Step {
            title: "Register where the browser comes back to",
            lines: &[
                Say(
                    "Under Sign-in redirect URIs, enter these, one by one. Okta compares them as a \
                     whole, so there is one for each port.",
                ),
                Redirects,
            ],
        },
        Step {
            title: "See that it has no secret",
            lines: &[
                Say(
                    "In the application's General tab, under Client Credentials, Client \
                     authentication is None, and Require PKCE as additional verification is \
                     ticked.",
                ),
                Say(
                    "This and the two steps before can be done with one call of the API instead. \
                     The file token.txt holds Authorization: SSWS TOKEN, so that nobody reads the \
                     token in the list of processes.",
                ),
                Copy(
                    r#"curl --request PUT https://ORG.okta.com/oauth2/v1/clients/CLIENT_ID \
  --header @token.txt --header "Content-Type: application/json" \
  --data '{"client_id": "CLIENT_ID", "client_name": "countersign",
    "application_type": "native", "response_types": ["code"],
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token",
      "urn:ietf:params:oauth:grant-type:device_code"],
    "redirect_uris": ["http://127.0.0.1:6363/callback",
      "http://127.0.0.1:6364/callback", "http://127.0.0.1:6365/callback"]}'"#,
                ),
            ],
        },
        Step {
            title: "Let people in",
            lines: &[Say(
                "In the application's Assignments, assign the people or groups that may use it.",
            )],
        },
        Step {
            title: "Let the authorization server serve it",
            lines: &[Say(
                "Open Security, then API, then Authorization Servers, and choose the one for your \
                 APIs; the one called default will do. In its Access Policies, add a policy for \
                 this application, and in it a rule that allows the grants Authorization Code and \
                 Device Authorization, and the scopes openid, profile, email and offline_access.",
            )],
        },
    ],
    know: &[
        "Without an authorization server of its own, an organisation signs people in all the same, \
         but its access tokens are for Okta's APIs alone, and nobody else can check them.",
        "The audience of an access token is a setting of the authorization server.",
        "Custom authorization servers are part of API Access Management, which not every \
         organisation has.",
    ],
};

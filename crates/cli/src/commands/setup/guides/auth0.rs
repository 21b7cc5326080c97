//! Auth0.

use crate::commands::setup::guide::{Guide, Line, Step};
use Line::{Copy, Redirects, Say};

pub(super) static GUIDE: Guide = Guide {
    provider: "auth0",
    opening: "You create one native application, which has no secret, and name the API that its \
              access tokens are for. It takes about five minutes and the role of an administrator.",
    steps: &[
        Step {
            title: "Create a native application",
            lines: &[Say(
                "In the Auth0 dashboard, open Applications, then Applications, and choose Create \
                 Application. Give it a name that people will recognise on the sign-in page, and \
                 choose Native.",
            )],
        },
        Step {
            title: "Switch on the grants",
            lines: &[Say(
                "In the application's Settings, open Advanced Settings, then Grant Types. Tick \
                 Authorization Code, Device Code and Refresh Token. Under OAuth, beside it, see \
                 that OIDC Conformant is on. Save.",
            )],
        },
        Step {
            title: "Take the secret away",
            lines: &[
                Say(
                    "A program on somebody's computer cannot keep a secret. In the application's \
                     Credentials, set the authentication method to None.",
                ),
                Say(
                    "This and the step before can be done with one call of the Management API \
                     instead. Its token needs the permission update:clients, and stands in the \
                     file token.txt, as Authorization: Bearer TOKEN, so that nobody reads it in \
                     the list of processes.",
                ),
                Copy(
                    r#"curl --request PATCH https://TENANT.auth0.com/api/v2/clients/CLIENT_ID \
  --header @token.txt --header "Content-Type: application/json" \
  --data '{"app_type": "native", "oidc_conformant": true,
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token",
      "urn:ietf:params:oauth:grant-type:device_code"]}'"#,
                ),
            ],
        },
        Step {
            title: "Register where the browser comes back to",
            lines: &[
                Say(
                    "In Settings, under Allowed Callback URLs, enter these, separated by commas. \
                     Auth0 compares them as a whole, so there is one for each port.",
                ),
                Redirects,
                Say(
                    "For people who sign in on a computer without a browser, you may add the \
                     address of a page of yours that shows the code to be copied. Such a page is \
                     in docs/callback of Countersign's sources. Its address is then set as \
                     redirect_uri in their profile.",
                ),
            ],
        },
        Step {
            title: "Create the API that the access tokens are for",
            lines: &[Say(
                "Open Applications, then APIs, and choose Create API. Its identifier is the \
                 audience that you are asked for below; it cannot be changed later. In its \
                 settings, switch on Allow Offline Access, so that sessions can be renewed \
                 without a person.",
            )],
        },
        Step {
            title: "Let people in",
            lines: &[Say(
                "In the application's Connections, switch on at least one way for people to sign \
                 in.",
            )],
        },
    ],
    know: &[
        "Without an audience, Auth0's access tokens are opaque, and no API can check them.",
        "The issuer ends in a slash. It is part of it.",
        "With a custom domain, give that domain as the host: tokens then name it as their issuer.",
    ],
};

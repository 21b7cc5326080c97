//! Amazon Cognito.

use crate::commands::setup::guide::{Guide, Line, Step};
use Line::{Copy, Redirects, Say};

pub(super) static GUIDE: Guide = Guide {
    provider: "cognito",
    opening: "You create one app client without a secret in your user pool, and give the pool a \
              domain. Cognito does not have the device grant: people sign in with the browser, or \
              paste the code on computers without one.",
    steps: &[
        Step {
            title: "Give the user pool a domain",
            lines: &[
                Say(
                    "In the Cognito console, open the user pool, then Branding, then Domain. A \
                     prefix of Cognito's own domain will do. Without a domain there is no page to \
                     sign in on.",
                ),
                Copy(
                    "aws cognito-idp create-user-pool-domain --user-pool-id POOL_ID \\\n  \
                     --domain PREFIX",
                ),
            ],
        },
        Step {
            title: "Create an app client without a secret",
            lines: &[
                Say(
                    "Open App clients and create one of a type that has no secret, such as Mobile \
                     app. A secret cannot be taken away later. In its Login pages, switch on \
                     Authorization code grant and the scopes openid, profile and email.",
                ),
                Say("The same with the AWS CLI:"),
                Copy(
                    "aws cognito-idp create-user-pool-client --user-pool-id POOL_ID \\\n  \
                     --client-name countersign --no-generate-secret \\\n  \
                     --allowed-o-auth-flows-user-pool-client \\\n  \
                     --allowed-o-auth-flows code \\\n  \
                     --allowed-o-auth-scopes openid profile email \\\n  \
                     --supported-identity-providers COGNITO \\\n  \
                     --callback-urls http://localhost:6363/callback \\\n    \
                     http://localhost:6364/callback http://localhost:6365/callback",
                ),
            ],
        },
        Step {
            title: "Register where the browser comes back to",
            lines: &[
                Say(
                    "In the app client's Login pages, under Allowed callback URLs, enter these. \
                     Cognito compares them as a whole, and takes plain http for localhost only.",
                ),
                Redirects,
                Say(
                    "For people on computers without a browser, add the address of a page of yours \
                     that shows the code to be copied. Such a page is in docs/callback of \
                     Countersign's sources. Its address is then set as redirect_uri in their \
                     profile.",
                ),
            ],
        },
        Step {
            title: "Name the APIs, if you like",
            lines: &[Say(
                "An access token says which scopes it has, and no audience. To tell your APIs \
                 apart, open Resource servers under Domain, add one for each API with a scope, \
                 and allow that scope for the app client. It is then asked for as a scope, such \
                 as inventory/read.",
            )],
        },
    ],
    know: &[
        "There is no scope for refresh tokens: Cognito issues one with every sign-in. Do not ask \
         for offline_access.",
        "APIs check client_id and token_use of an access token, where they would check the \
         audience elsewhere.",
        "countersign-issuer can stand in front of a user pool and add the device grant.",
    ],
};

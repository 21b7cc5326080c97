//! Microsoft Entra ID.

use crate::commands::setup::guide::{Guide, Line, Step};
use Line::{Copy, Redirects, Say};

pub(super) static GUIDE: Guide = Guide {
    provider: "entra",
    opening: "You register one public client application and, for your own APIs, a second one that \
              stands for the API.",
    steps: &[
        Step {
            title: "Register the application",
            lines: &[
                Say(
                    "In the Entra admin center, open App registrations and choose New \
                     registration. Choose accounts in this organizational directory only. Under \
                     Redirect URI, choose Public client/native, mobile and desktop, with this \
                     address. Entra ignores the port.",
                ),
                Redirects,
                Say(
                    "The overview then shows the application ID, which is the client id, and the \
                     directory ID, which is the tenant.",
                ),
            ],
        },
        Step {
            title: "Allow public client flows",
            lines: &[
                Say(
                    "In the registration, open Authentication and, under Advanced settings, set \
                     Allow public client flows to Yes. The device grant needs it. Do not create a \
                     client secret.",
                ),
                Say("This and the step before with the Azure CLI:"),
                Copy(
                    "az ad app create --display-name countersign \\\n  \
                     --sign-in-audience AzureADMyOrg \\\n  \
                     --is-fallback-public-client true \\\n  \
                     --public-client-redirect-uris http://localhost",
                ),
            ],
        },
        Step {
            title: "Name the API that the access tokens are for",
            lines: &[
                Say(
                    "Register a second application for the API. Under Expose an API, set the \
                     Application ID URI and add a scope. In its manifest, set \
                     requestedAccessTokenVersion to 2, or its tokens name an older issuer.",
                ),
                Say(
                    "In the first registration, open API permissions, add that scope, and grant \
                     consent for your organisation. The scope is asked for in full:",
                ),
                Copy("api://API_CLIENT_ID/SCOPE"),
            ],
        },
        Step {
            title: "Look at Conditional Access",
            lines: &[Say(
                "Many organisations block the device grant by a policy about authentication flows. \
                 People then sign in with the browser, which the program offers by itself. Where \
                 servers without a browser need it, exclude this application from the policy.",
            )],
        },
    ],
    know: &[
        "Give the tenant as its ID. A domain name, common or organizations lead to a document \
         about another issuer, which is refused.",
        "Without a scope of an API of yours, the access token is for Microsoft Graph, and nobody \
         else can check it.",
        "Entra ends a session when its tokens run out. It has no way to revoke one.",
    ],
};

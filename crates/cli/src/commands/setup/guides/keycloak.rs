//! Keycloak.

use crate::commands::setup::guide::{Guide, Line, Step};
use Line::{Copy, Redirects, Say};

pub(super) static GUIDE: Guide = Guide {
    provider: "keycloak",
    opening: "You create one public client in your realm, and add the audience of your API.",
    steps: &[
        Step {
            title: "Create a public client",
            lines: &[
                Say(
                    "In the admin console, choose the realm, open Clients and choose Create client, \
                     of the type OpenID Connect. Under Capability config, leave Client \
                     authentication off, and tick Standard flow and OAuth 2.0 Device Authorization \
                     Grant. Nothing else is needed.",
                ),
                Say("The same with the admin CLI:"),
                Copy(
                    r#"kcadm.sh create clients -r REALM -s clientId=countersign \
  -s publicClient=true -s standardFlowEnabled=true \
  -s directAccessGrantsEnabled=false \
  -s 'redirectUris=["http://127.0.0.1/callback"]' \
  -s 'attributes."oauth2.device.authorization.grant.enabled"=true'"#,
                ),
            ],
        },
        Step {
            title: "Register where the browser comes back to",
            lines: &[
                Say("Under Valid redirect URIs, enter this. Keycloak ignores the port."),
                Redirects,
                Say("For people on computers without a browser, you may add \
                     urn:ietf:wg:oauth:2.0:oob: Keycloak then shows the code to be copied. It is \
                     set as redirect_uri in their profile."),
            ],
        },
        Step {
            title: "Name the API that the access tokens are for",
            lines: &[Say(
                "Open Client scopes and create one. In its Mappers, add one of the type Audience \
                 with the name of your API under Included Custom Audience, to be added to the \
                 access token. Then add the scope to the client, under Client scopes, as a \
                 default one. Otherwise the audience of an access token is account.",
            )],
        },
        Step {
            title: "Let sessions be renewed",
            lines: &[Say(
                "The scope offline_access needs the role of that name, which people have unless \
                 the defaults of the realm were changed.",
            )],
        },
    ],
    know: &[
        "The program uses PKCE whatever is set, in the browser and for device codes. The client's PKCE \
         method may be set to S256, so that nothing without it is accepted.",
        "A realm is an issuer. Its name is part of the address, and capitals count.",
    ],
};

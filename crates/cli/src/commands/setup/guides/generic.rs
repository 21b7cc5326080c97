//! Any other provider.

use crate::commands::setup::guide::{Guide, Line, Step};
use Line::{Copy, Redirects, Say};

const REGISTER: Step = Step {
    title: "Register a public client",
    lines: &[Say(
        "Register a native or public client: one without a secret, whose \
         token_endpoint_auth_method is none. Allow it the grants authorization_code, \
         refresh_token and, if the server has it, \
         urn:ietf:params:oauth:grant-type:device_code.",
    )],
};

const REDIRECT: Step = Step {
    title: "Register where the browser comes back to",
    lines: &[
        Say(
            "Register this redirect URI. A server that follows RFC 8252 ignores the port. If yours \
             compares it, register one with a port of your choice, and set that as port in the \
             profile.",
        ),
        Redirects,
        Say(
            "For people on computers without a browser, you may register the address of a page of \
             yours that shows the code to be copied. Such a page is in docs/callback of \
             Countersign's sources.",
        ),
    ],
};

pub(super) static OIDC: Guide = Guide {
    provider: "oidc",
    opening: "This is for any provider that speaks OpenID Connect. You register one public client \
              there.",
    steps: &[
        REGISTER,
        REDIRECT,
        Step {
            title: "Find the issuer",
            lines: &[
                Say(
                    "The issuer is the address before /.well-known/openid-configuration. The \
                     document there names it, letter for letter; a slash at the end makes another \
                     issuer.",
                ),
                Copy("curl --silent ISSUER/.well-known/openid-configuration"),
            ],
        },
        Step {
            title: "Name the API that the access tokens are for",
            lines: &[Say(
                "Servers differ in how an API is named: by a parameter (audience, or resource of \
                 RFC 8707), by a scope, or in the settings of the client. All of them can be set \
                 in the profile.",
            )],
        },
    ],
    know: &[
        "A server that publishes less than it offers can be helped with endpoints in the profile.",
    ],
};

pub(super) static OAUTH: Guide = Guide {
    provider: "oauth",
    opening: "This is for a server that speaks OAuth 2.0 without OpenID Connect. You register one \
              public client there. Nobody learns who signed in, unless the server turns out to \
              tell.",
    steps: &[
        REGISTER,
        REDIRECT,
        Step {
            title: "Find the endpoints",
            lines: &[
                Say(
                    "If the server publishes metadata (RFC 8414), its issuer is enough. Otherwise \
                     the endpoints stand in the profile, as many as the server has:",
                ),
                Copy(
                    r#"[profile.NAME.endpoints]
authorization_endpoint = "https://login.example.com/authorize"
token_endpoint = "https://login.example.com/token"
device_authorization_endpoint = "https://login.example.com/device"
revocation_endpoint = "https://login.example.com/revoke""#,
                ),
            ],
        },
    ],
    know: &["No scope is asked for unless the profile names one."],
};

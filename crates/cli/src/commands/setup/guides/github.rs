//! GitHub.

use crate::commands::setup::guide::{Guide, Line, Step};
use Line::{Copy, Redirects, Say};

pub(super) static GUIDE: Guide = Guide {
    provider: "github",
    opening: "You register one OAuth app, or a GitHub App, and switch on its device flow. GitHub is \
              not an OpenID provider: who somebody is, the program asks its API.",
    steps: &[
        Step {
            title: "Register an OAuth app",
            lines: &[
                Say(
                    "In the settings of your organisation, open Developer settings, then OAuth \
                     Apps, and choose New OAuth app. As the authorization callback URL, enter \
                     this. GitHub ignores the port.",
                ),
                Redirects,
            ],
        },
        Step {
            title: "Switch on the device flow",
            lines: &[Say(
                "On the same page, tick Enable Device Flow. This is the way to sign in that needs \
                 no secret.",
            )],
        },
        Step {
            title: "Keep a secret in a file, only for the browser",
            lines: &[
                Say(
                    "GitHub asks for the client secret when a browser comes back, also from \
                     programs that cannot keep one. If people shall sign in with the browser, \
                     generate a client secret, type this, paste it and press Ctrl-D:",
                ),
                Copy("umask 077; cat > ~/.config/countersign/github.secret"),
            ],
        },
        Step {
            title: "Let the organisation approve it",
            lines: &[Say(
                "If the organisation restricts third-party applications, an owner approves the app \
                 under Third-party Access.",
            )],
        },
    ],
    know: &[
        "GitHub's access tokens are for GitHub's API alone. Your own APIs cannot check them \
         offline.",
        "Tokens of an OAuth app do not run out. Signing out deletes the token here; the \
         authorization stays until it is revoked under Settings, Applications.",
        "The host of a GitHub of your own is given as the host.",
    ],
};

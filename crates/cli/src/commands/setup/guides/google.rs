//! Google.

use crate::commands::setup::guide::{Guide, Line, Step};
use Line::{Copy, Say};

pub(super) static GUIDE: Guide = Guide {
    provider: "google",
    opening: "You create an OAuth client. Google has one type of client for the browser and \
              another for the device grant, so people who need both have two profiles.",
    steps: &[
        Step {
            title: "Say who may sign in",
            lines: &[Say(
                "In the Google Cloud console, open APIs and Services, then OAuth consent screen. \
                 With Google Workspace, choose the audience Internal. Otherwise publish the \
                 application: while it is in testing, every session ends after seven days.",
            )],
        },
        Step {
            title: "Create the client",
            lines: &[Say(
                "Open Credentials, choose Create credentials, then OAuth client ID. Choose the \
                 application type Desktop app for people with a browser. For computers without \
                 one, create a second client of the type TVs and Limited Input devices.",
            )],
        },
        Step {
            title: "Keep its secret in a file",
            lines: &[
                Say(
                    "Google gives every client a secret and asks for it, although a program on \
                     somebody's computer cannot keep one. Nothing depends on it; it stands in a \
                     file of its own, so that the configuration can be shared. Type this, then \
                     paste the secret and press Ctrl-D:",
                ),
                Copy("umask 077; cat > ~/.config/countersign/google.secret"),
            ],
        },
    ],
    know: &[
        "There is nothing to register for the browser: a desktop client may come back to any port \
         of this computer.",
        "Google's access tokens are for Google's APIs alone. Your own APIs can check the ID token, \
         or stand behind an issuer that signs people in through Google.",
        "There is no scope for refresh tokens. The program sends access_type=offline and \
         prompt=consent instead.",
    ],
};

//! What the end-to-end tests share: the real programs, the strangers, and the person at their pages.
//!
//! Nothing here links a crate under test: Countersign is met as a user meets it, as programs.

mod chromium;
mod cli;
mod daemon;
mod desktop;
mod guide;
mod internet;
mod issuer;
mod oidc_agent;
mod package;
mod prompt;
mod shaped;
mod stranger;
pub mod stray;

pub use chromium::{Person, Seen, browser_script};
pub use cli::{Cli, Visiting, Waiting};
pub use daemon::start_daemon;
pub use desktop::{Desktop, Opened};
pub use guide::{Fence, Guide, differing, document, fences};
pub use internet::Internet;
pub use issuer::{Authenticator, Issuer};
pub use oidc_agent::{OidcAgent, Signing};
pub use package::package;
pub use prompt::{Prompt, press_enter, press_enter_until};
pub use shaped::Shaped;
pub use stranger::{NodeProvider, Steps, node, python};

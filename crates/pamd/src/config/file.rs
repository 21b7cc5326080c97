//! The file as it is written: keys and their types. Every key is named here, and no other is taken.
//!
//! Not responsible for what the values mean together; that is `check`.

use std::path::PathBuf;

use countersign_console::settings::{OneOrMany, Span};
use countersign_policy::{ClaimTest, Path};
use serde::Deserialize;
use toml::Spanned;

use super::{Flow, KillBy, OnRevoke, Qr, WithoutIdToken};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "these are the names and types of the keys"
)]
pub(super) struct File {
    pub(super) issuer: Spanned<String>,
    pub(super) provider: Option<Spanned<String>>,
    pub(super) client_id: Spanned<String>,
    pub(super) client_secret_file: Option<PathBuf>,
    pub(super) scopes: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) flow: Flow,
    pub(super) redirect_uri: Option<Spanned<String>>,
    pub(super) services: Option<Spanned<OneOrMany>>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) http_timeout: Option<Spanned<Span>>,
    pub(super) deadline: Option<Spanned<Span>>,
    pub(super) account_claim: Option<Spanned<Path>>,
    pub(super) groups_claim: Option<Path>,
    pub(super) min_uid: Option<u32>,
    #[serde(default)]
    pub(super) allow_root: bool,
    #[serde(default)]
    pub(super) rule: Vec<Spanned<Rule>>,
    pub(super) max_session: Option<Spanned<Span>>,
    pub(super) offline_grace: Option<Spanned<Span>>,
    pub(super) renew_every: Option<Spanned<Span>>,
    pub(super) warning: Option<Spanned<Span>>,
    #[serde(default)]
    pub(super) on_revoke: OnRevoke,
    #[serde(default)]
    pub(super) renew_without_id_token: WithoutIdToken,
    pub(super) revoke_tokens: Option<bool>,
    #[serde(default)]
    pub(super) kill: KillBy,
    #[serde(default)]
    pub(super) pubkey_needs_grant: bool,
    #[serde(default)]
    pub(super) break_glass: Vec<String>,
    #[serde(default)]
    pub(super) qr: Qr,
    #[serde(default)]
    pub(super) qr_invert: bool,
    #[serde(default)]
    pub(super) auto_continue: bool,
    #[serde(default)]
    pub(super) limits: Limits,
    pub(super) notify: Option<Spanned<PathBuf>>,
    pub(super) worker_user: Option<String>,
    pub(super) contact: Option<Spanned<String>>,
}

/// Who may use which accounts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: Option<String>,
    /// In the place of the `services` of the file.
    pub(super) services: Option<OneOrMany>,
    pub(super) accounts: Option<OneOrMany>,
    /// The account that is called as `account_claim` says.
    #[serde(default)]
    pub(super) own_account: bool,
    #[serde(default)]
    pub(super) anyone: bool,
    pub(super) sub: Option<OneOrMany>,
    pub(super) email: Option<OneOrMany>,
    pub(super) group: Option<OneOrMany>,
    #[serde(default)]
    pub(super) claim: Vec<ClaimTest>,
    pub(super) allow_from: Option<OneOrMany>,
    pub(super) require_acr: Option<OneOrMany>,
    pub(super) max_auth_age: Option<Span>,
    pub(super) max_session: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) per_user: Option<Spanned<usize>>,
    pub(super) per_rhost: Option<Spanned<usize>>,
    pub(super) per_minute: Option<Spanned<usize>>,
    pub(super) total: Option<Spanned<usize>>,
}

//! Any other provider: one that speaks OpenID Connect, or only OAuth.

use super::quirks::{IdentitySource, MetadataSource, Quirks};
use super::{Flows, IssuerForm, Offer, Preset};

const FLOWS: Flows = Flows {
    device: Offer::Yes,
    code: Offer::Yes,
    client_credentials: Offer::Yes,
};

pub(super) static OIDC: Preset = Preset {
    name: "oidc",
    title: "OpenID Connect",
    parts: &[],
    scopes: &["openid", "profile", "email", "offline_access"],
    flows: FLOWS,
    quirks: Quirks::NONE,
    issuer: IssuerForm::Whole,
    rules: &[],
};

pub(super) static OAUTH: Preset = Preset {
    name: "oauth",
    title: "OAuth 2.0",
    parts: &[],
    scopes: &[],
    flows: FLOWS,
    quirks: Quirks {
        metadata: MetadataSource::Configured,
        identity: IdentitySource::Nowhere,
        ..Quirks::NONE
    },
    issuer: IssuerForm::Whole,
    rules: &[],
};

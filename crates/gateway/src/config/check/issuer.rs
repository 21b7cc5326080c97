//! `[[issuer]]`, `[policy]` and `[dpop]`: whose tokens are good, and for whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign_console::Problem;
use countersign_resource::policy::PolicyBuilder;
use countersign_resource::{Advice, TokenProfile};
use toml::Spanned;

use super::super::{Challenge, Dpop, Introspection, Issuer, Policies, file};
use super::Check;

impl Check<'_> {
    pub(super) fn issuers(
        &self,
        issuers: Vec<Spanned<file::Issuer>>,
    ) -> Result<Vec<Issuer>, Problem> {
        let mut checked: Vec<Issuer> = Vec::new();
        for issuer in issuers {
            let span = issuer.span();
            let issuer = issuer.into_inner();
            countersign_oauth::Issuer::parse(&issuer.url).map_err(|error| {
                self.at(&span, format!("`{}` cannot be an issuer", issuer.url))
                    .because(error)
            })?;
            if checked.iter().any(|other| other.url == issuer.url) {
                return Err(self.at(
                    &span,
                    format!("the issuer {} stands here twice", issuer.url),
                ));
            }
            let audiences = issuer.audience.into_vec();
            if audiences.is_empty() || audiences.iter().any(String::is_empty) {
                return Err(self
                    .at(&span, format!("the issuer {} has no audience", issuer.url))
                    .hint("a token for nobody in particular is for nobody: audience = \"https://api.example.com\""));
            }
            let profile = match &issuer.profile {
                None => TokenProfile::default(),
                Some(name) => TokenProfile::ALL
                    .iter()
                    .copied()
                    .find(|profile| profile.name() == name)
                    .ok_or_else(|| {
                        let names: Vec<&str> = TokenProfile::ALL
                            .iter()
                            .map(|profile| profile.name())
                            .collect();
                        self.at(&span, format!("there is no token profile `{name}`"))
                            .hint(format!("one of: {}", names.join(", ")))
                    })?,
            };
            checked.push(Issuer {
                url: issuer.url,
                audiences,
                profile,
                ca_file: issuer.ca_file.map(|path| self.path(path)),
                longest_staleness: issuer.longest_staleness.map(|staleness| staleness.0),
                keep_keys: issuer.keep_keys.map(|path| self.path(path)),
                introspection: issuer.introspection.map(|asked| Introspection {
                    client_id: asked.client_id,
                    secret_file: self.path(asked.secret_file),
                    endpoint: asked.endpoint,
                    horizon: asked.horizon.map(|horizon| horizon.0),
                    jwt_too: asked.jwt_too,
                }),
            });
        }
        Ok(checked)
    }

    pub(super) fn policies(
        &self,
        policies: BTreeMap<String, Spanned<PolicyBuilder>>,
    ) -> Result<Policies, Problem> {
        let mut checked = Policies::new();
        for (name, policy) in policies {
            let span = policy.span();
            let built = policy.into_inner().build().map_err(|error| {
                self.at(&span, format!("the policy `{name}` cannot be used"))
                    .because(error)
            })?;
            if built.is_empty() {
                return Err(self
                    .at(
                        &span,
                        format!("the policy `{name}` has no rule, so it refuses everybody"),
                    )
                    .hint(format!("add [[policy.{name}.allow]]")));
            }
            checked.insert(name, Arc::new(built));
        }
        Ok(checked)
    }

    pub(super) fn dpop(&self, dpop: file::Dpop) -> Dpop {
        Dpop {
            require_nonce: dpop.require_nonce,
            nonce_key_file: dpop.nonce_key_file.map(|path| self.path(path)),
        }
    }

    pub(super) fn challenge(&self, challenge: file::Challenge) -> Result<Challenge, Problem> {
        if let Some(url) = &challenge.resource_metadata {
            Advice::none().resource_metadata(url).map_err(|error| {
                self.source
                    .whole("[challenge] cannot be used")
                    .because(error)
            })?;
        }
        Ok(Challenge {
            realm: challenge.realm,
            resource_metadata: challenge.resource_metadata,
        })
    }
}

//! Which API a token is for, and which token is exchanged for which.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use countersign_client::{Target, TokenTypeId};

// What can be said by whoever wants a token for another API than the one that was signed in for. The
// names are those of a login; the identifiers are not, because these are no settings. (A comment, because
// clap would take a doc comment for the command's own.)
#[derive(Debug, Default, Args)]
pub(crate) struct TargetArgs {
    /// For this API, from the same login (RFC 8707; repeatable)
    #[arg(id = "for_resource", long = "resource", value_name = "URL", value_parser = resource)]
    #[arg(help_heading = "Another API")]
    pub(crate) resource: Vec<String>,

    /// For this API, where the server wants `audience`
    #[arg(id = "for_audience", long = "audience", value_name = "NAME")]
    #[arg(help_heading = "Another API")]
    pub(crate) audience: Option<String>,

    /// With this scope and no other (repeatable)
    #[arg(id = "for_scope", long = "scope", value_name = "SCOPE")]
    #[arg(help_heading = "Another API")]
    pub(crate) scope: Vec<String>,
}

// One token for another (RFC 8693).
#[derive(Debug, Args)]
pub(crate) struct ExchangeArgs {
    /// Have the server exchange the token for another one (RFC 8693)
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true)]
    #[arg(help_heading = "Exchange")]
    #[arg(default_missing_value = "access-token")]
    pub(crate) exchange: Option<Exchanged>,

    /// Exchange the token in this file (- for standard input)
    #[arg(long, value_name = "FILE", requires = "exchange", value_hint = ValueHint::FilePath)]
    #[arg(help_heading = "Exchange")]
    pub(crate) subject_token_file: Option<PathBuf>,

    /// What that token is: `access_token` if not said, `id_token`, jwt, or a URI
    #[arg(long, value_name = "TYPE", requires = "subject_token_file", value_parser = kind)]
    #[arg(help_heading = "Exchange")]
    pub(crate) subject_type: Option<TokenTypeId>,

    /// Send the session's token as well, as that of whoever acts
    #[arg(help_heading = "Exchange", long, requires = "exchange")]
    pub(crate) actor: bool,

    /// What the new token is to be; the server chooses if not said
    #[arg(long, value_name = "TYPE", requires = "exchange", value_parser = kind)]
    #[arg(help_heading = "Exchange")]
    pub(crate) requested_type: Option<TokenTypeId>,
}

/// Which token of the session is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Exchanged {
    // The one for an API.
    AccessToken,
    // The one that says who it is.
    IdToken,
}

fn resource(text: &str) -> Result<String, String> {
    match Target::check_resource(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn kind(text: &str) -> Result<TokenTypeId, &'static str> {
    TokenTypeId::parse(text)
        .ok_or("it is access_token, refresh_token, id_token, jwt, saml1, saml2, or an absolute URI")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_an_address_and_a_type_has_a_name() {
        assert!(resource("https://api.example.com").is_ok());
        assert!(resource("stock").is_err());
        assert_eq!(kind("jwt"), Ok(TokenTypeId::JWT));
        assert!(kind("token").is_err());
    }
}

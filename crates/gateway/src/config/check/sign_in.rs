//! `[sign_in]`: where people at a browser sign in, as which client, and for how long.

use std::ops::Range;
use std::time::Duration;

use countersign_console::Problem;
use countersign_oauth::ScopeSet;
use toml::Spanned;
use url::{Host, Url};

use super::super::{Access, ClientProof, Issuer, Listen, Route, SignIn, file};
use super::Check;
use crate::route::canonical;

const LONGEST_SESSION: Duration = Duration::from_secs(30 * 24 * 3600);
const SHORTEST_SESSION: Duration = Duration::from_secs(60);
/// More than any rotation needs.
const MOST_KEYS: usize = 8;

impl Check<'_> {
    pub(super) fn sign_in(
        &self,
        sign_in: Option<Spanned<file::SignIn>>,
        listen: &Listen,
        issuers: &[Issuer],
        routes: &[Route],
    ) -> Result<Option<SignIn>, Problem> {
        let Some(sign_in) = sign_in else {
            return match routes.iter().find(|route| route.sign_in) {
                None => Ok(None),
                Some(route) => Err(self
                    .of_route(route, "sends people to sign in, and there is no [sign_in]")
                    .hint("add [sign_in] with issuer, client_id and cookie_key_file")),
            };
        };
        let span = sign_in.span();
        let sign_in = sign_in.into_inner();
        self.check_origins(&span, listen)?;
        let issuer = issuers
            .iter()
            .position(|issuer| issuer.url == sign_in.issuer)
            .ok_or_else(|| {
                self.at(&span, format!("there is no issuer {}", sign_in.issuer))
                    .hint("the tokens of a sign-in are checked like all others: add [[issuer]]")
            })?;
        for route in routes.iter().filter(|route| route.sign_in) {
            self.check_route(route, issuer)?;
        }
        if sign_in.client_id.is_empty() {
            return Err(self.at(&span, "client_id is empty"));
        }
        let proof = match (sign_in.secret_file, sign_in.client_key_file) {
            (None, None) => ClientProof::None,
            (Some(file), None) => ClientProof::Secret(self.path(file)),
            (None, Some(file)) => ClientProof::Key {
                file: self.path(file),
                id: sign_in.client_key_id.clone(),
            },
            (Some(_), Some(_)) => {
                return Err(self.at(&span, "a client has a secret or a key, not both"));
            }
        };
        if sign_in.client_key_id.is_some() && !matches!(proof, ClientProof::Key { .. }) {
            return Err(self.at(&span, "there is a client_key_id and no client_key_file"));
        }
        // Without it there is no ID token, and nobody could tell whose answer came back.
        let mut scopes = ScopeSet::parse("openid")
            .map_err(|error| self.at(&span, "`openid` is no scope").because(error))?;
        for scope in sign_in.scopes {
            scopes.insert(scope.clone()).map_err(|error| {
                self.at(&span, format!("`{scope}` is no scope"))
                    .because(error)
            })?;
        }
        let files = sign_in.cookie_key_file.into_vec();
        if files.is_empty() || files.len() > MOST_KEYS {
            return Err(self.at(&span, format!("cookies have from 1 to {MOST_KEYS} keys")));
        }
        let cookie_name = sign_in
            .cookie_name
            .unwrap_or_else(|| "countersign".to_owned());
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if cookie_name.is_empty() || cookie_name.len() > 40 || !cookie_name.bytes().all(is_name) {
            return Err(self
                .at(
                    &span,
                    format!("`{cookie_name}` is no name for a cookie of ours"),
                )
                .hint("letters and digits only: cookie_name = \"countersign\""));
        }
        let longest = sign_in
            .longest
            .map_or(Duration::from_secs(12 * 3600), |time| time.0);
        let idle = sign_in
            .idle
            .map_or(Duration::from_secs(3600).min(longest), |time| time.0);
        if idle > longest || idle < SHORTEST_SESSION || longest > LONGEST_SESSION {
            return Err(self.at(
                &span,
                "a session lasts from 1 minute to 30 days, and idle is not more than longest",
            ));
        }
        Ok(Some(SignIn {
            issuer,
            client_id: sign_in.client_id,
            proof,
            scopes,
            audience: sign_in.audience,
            resource: sign_in.resource,
            prefix: self.prefix(&span, sign_in.prefix)?,
            cookie_key_files: files
                .into_iter()
                .map(|file| self.path(file.into()))
                .collect(),
            cookie_name,
            idle,
            longest,
            after_sign_out: self.path_of_ours(&span, sign_in.after_sign_out)?,
        }))
    }

    /// Whoever signs in comes back to an address that is known beforehand, and keeps a cookie there.
    fn check_origins(&self, span: &Range<usize>, listen: &Listen) -> Result<(), Problem> {
        if listen.origins.is_empty() {
            return Err(self
                .at(
                    span,
                    "nobody can come back from signing in: the gateway has no name",
                )
                .hint("add origin = \"https://app.example.com\" to [listen]"));
        }
        match listen
            .origins
            .iter()
            .find(|origin| !keeps_secrets(&origin.url))
        {
            None => Ok(()),
            Some(origin) => Err(self
                .at(
                    span,
                    format!(
                        "cookies would travel in the clear to http://{}",
                        origin.authority
                    ),
                )
                .hint("sign people in at https origins, or at http ones of this machine")),
        }
    }

    fn check_route(&self, route: &Route, issuer: usize) -> Result<(), Problem> {
        let Access::Token(wanted) = &route.access else {
            return Ok(());
        };
        if !wanted.issuers.is_empty() && !wanted.issuers.contains(&issuer) {
            return Err(self.of_route(route, "takes no tokens of the issuer of [sign_in]"));
        }
        if route.upstream.is_none() {
            return Err(self.of_route(
                route,
                "has no upstream, and people sign in on their way to one only",
            ));
        }
        if wanted.sender_constrained {
            return Err(self.of_route(
                route,
                "wants proof that a token is the caller's, which no browser has",
            ));
        }
        Ok(())
    }

    fn of_route(&self, route: &Route, what: &str) -> Problem {
        let what = format!("the route {} {what}", route.pattern);
        self.source.on_line(route.line, what)
    }

    fn prefix(&self, span: &Range<usize>, prefix: Option<String>) -> Result<String, Problem> {
        let prefix = prefix.unwrap_or_else(|| "/.countersign/".to_owned());
        let is_canonical = canonical(&prefix).is_ok_and(|form| form == prefix);
        if prefix.len() > 2 && prefix.ends_with('/') && is_canonical {
            return Ok(prefix);
        }
        Err(self
            .at(span, format!("`{prefix}` is no prefix for paths"))
            .hint("write it as prefix = \"/.countersign/\""))
    }

    fn path_of_ours(
        &self,
        span: &Range<usize>,
        path: Option<String>,
    ) -> Result<Option<String>, Problem> {
        match path {
            Some(path) if canonical(&path).is_ok_and(|form| form == path) => Ok(Some(path)),
            Some(path) => Err(self
                .at(span, format!("`{path}` is no path of this site"))
                .hint("write it as after_sign_out = \"/bye\"")),
            None => Ok(None),
        }
    }
}

/// Whether what is sent to this origin is read by nobody on the way.
fn keeps_secrets(origin: &Url) -> bool {
    origin.scheme() == "https"
        || match origin.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
}

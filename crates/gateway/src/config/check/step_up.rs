//! `[step_up]`, and what a route asks of a person by `step_up = { … }`.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use countersign_console::Problem;
use countersign_console::settings::{OneOrMany, Span};
use countersign_resource::otp::Method;
use countersign_resource::step_up::{self, StepUpBuilder};
use toml::Spanned;

use super::super::{Confirm, StepUp, file};
use super::Check;
use super::route::Around;

impl Check<'_> {
    /// The keys and the name of challenges, and how long one is good for.
    pub(super) fn step_up(
        &self,
        step_up: Option<Spanned<file::StepUp>>,
    ) -> Result<(StepUp, Option<Duration>), Problem> {
        let Some(step_up) = step_up else {
            return Ok((StepUp::default(), None));
        };
        let span = step_up.span();
        let step_up = step_up.into_inner();
        let files = step_up.key_file.map(OneOrMany::into_vec);
        if files.as_ref().is_some_and(Vec::is_empty) {
            return Err(self.at(&span, "the list of key files is empty"));
        }
        let is_name = |realm: &String| {
            !realm.is_empty() && realm.len() <= 200 && !realm.chars().any(char::is_control)
        };
        if step_up.realm.as_ref().is_some_and(|realm| !is_name(realm)) {
            return Err(self.at(&span, "the realm is empty or too long"));
        }
        let files = files.unwrap_or_default().into_iter();
        let step = StepUp {
            key_files: files.map(|path| self.path(PathBuf::from(path))).collect(),
            realm: step_up.realm,
        };
        Ok((step, step_up.life.map(|life| life.0)))
    }

    /// The sign-in that a step-up asks for (RFC 9470) is what `acr` and `max_age` of the route ask.
    pub(super) fn sign_in_of(
        &self,
        span: &Range<usize>,
        step_up: &file::RouteStepUp,
        route: &mut file::Route,
    ) -> Result<(), Problem> {
        let twice = |name| {
            self.at(span, format!("`{name}` is there twice"))
                .hint(format!("write it once: step_up = {{ {name} = … }}"))
        };
        if let Some(acr) = &step_up.acr
            && route.acr.replace(acr.clone()).is_some()
        {
            return Err(twice("acr"));
        }
        if let Some(max_age) = step_up.max_age
            && route.max_age.replace(max_age).is_some()
        {
            return Err(twice("max_age"));
        }
        Ok(())
    }

    /// The one-time password that a step-up asks for.
    pub(super) fn confirm(
        &self,
        span: &Range<usize>,
        step_up: &file::RouteStepUp,
        name: &str,
        route: &file::Route,
        around: &Around<'_>,
    ) -> Result<Option<Confirm>, Problem> {
        let Some(methods) = &step_up.otp else {
            let says_more = step_up.per.is_some()
                || step_up.action.is_some()
                || step_up.body_limit.is_some()
                || step_up.danger_unbound_body;
            if says_more {
                return Err(self
                    .at(
                        span,
                        "the step-up says how to ask for a one-time password and not for which",
                    )
                    .hint("otp = [\"yubikey\", \"totp\"]"));
            }
            if step_up.acr.is_none() && step_up.max_age.is_none() {
                return Err(self
                    .at(span, "the step-up asks for nothing")
                    .hint("step_up = { otp = [\"yubikey\", \"totp\"] }, or { max_age = \"5m\" }"));
            }
            return Ok(None);
        };
        if methods.is_empty() {
            return Err(self
                .at(span, "no one-time password would do")
                .hint("otp = [\"yubikey\", \"totp\"]"));
        }
        if !around.has_otp {
            return Err(self
                .at(
                    span,
                    "the route asks for a one-time password, and nobody judges one",
                )
                .hint("add [otp] with registry and key_file: countersign-gateway otp --help"));
        }
        if route.websocket {
            return Err(self
                .at(
                    span,
                    "a WebSocket cannot be confirmed by a one-time password: nobody sees what goes through it",
                )
                .hint("take out websocket = true, or step_up.otp"));
        }
        if route.upstream.is_some() && !around.has_origin {
            return Err(self
                .at(span, "a one-time password is for an address, and the gateway has no name")
                .hint("in [listen], add the name that callers write: origin = \"https://api.example.com\""));
        }
        let is_seen = route.upstream.is_some() || around.forward_auth.iter().all(|it| it.body);
        if !is_seen && !step_up.danger_unbound_body {
            return Err(self
                .at(
                    span,
                    "the proxy that asks keeps the body of the request, so a one-time password could not \
                     be bound to it",
                )
                .hint(
                    "give the route an upstream, or have Envoy hand bodies over: body = true in \
                     [[forward_auth]]",
                )
                .hint(
                    "or accept that a confirmed request may carry any body: danger_unbound_body = true",
                ));
        }
        let mut asked = self.per(span, step_up.per.as_deref(), name)?;
        asked = asked.methods(methods.iter().map(|method| match method {
            file::OtpMethod::Yubikey => Method::Yubikey,
            file::OtpMethod::Totp => Method::Totp,
        }));
        if let Some(action) = &step_up.action {
            asked = asked.action(action);
        }
        if let Some(limit) = step_up.body_limit {
            asked = asked.body_limit(usize::try_from(limit.0).unwrap_or(usize::MAX));
        }
        if let Some(life) = around.life {
            asked = asked.life(life);
        }
        let asked = asked
            .build()
            .map_err(|error| self.at(span, "the step-up cannot be used").because(error))?;
        Ok(Some(Confirm {
            asked,
            danger_unbound_body: step_up.danger_unbound_body,
        }))
    }

    fn per(
        &self,
        span: &Range<usize>,
        per: Option<&str>,
        name: &str,
    ) -> Result<StepUpBuilder, Problem> {
        match per {
            None | Some("request") => Ok(step_up::StepUp::each_request(name)),
            Some(time) => match Span::parse(time) {
                Some(time) => Ok(step_up::StepUp::once_in(time.0, name)),
                None => Err(self
                    .at(
                        span,
                        format!("`{time}` is nothing that a password could count for"),
                    )
                    .hint("per = \"request\", or a length of time: per = \"5m\"")),
            },
        }
    }
}

//! The sign-in that the settings describe: which way, what is asked for, and where the browser is.
//!
//! Not responsible for what it looks like (`prompt`), nor for what every command needs of it (`app`).

use countersign_client::preset::Preset;
use countersign_client::{Browser, Dpop as ClientDpop, Environment, Login, Redirect, SignIn};

use crate::app::{App, read_secret};
use crate::args::Dpop;
use crate::error::CliError;

impl App {
    /// The whole of it, for a login.
    ///
    /// # Errors
    /// When settings contradict each other, or a limit forbids the flow.
    pub(crate) fn sign_in(&self) -> Result<Login, CliError> {
        let settings = &self.settings;
        let context = self.context()?.with_vaults(self.vaults_asking()?);
        let mut login = self.login()?.context(context).flow(settings.flow.value);
        if let Some(allowed) = &settings.allowed_flows {
            allowed.check(settings.flow.value)?;
            login = login.allowed_flows(allowed.flows().iter().copied());
        }
        login = match (&settings.client_secret_file, &settings.client_key_file) {
            (None, None) => login,
            (Some(file), None) => login.client_secret(read_secret(&file.value)?),
            (None, Some(file)) => {
                // The session names it for renewals, which may happen anywhere.
                let path = std::path::absolute(&file.value).unwrap_or_else(|_| file.value.clone());
                login.client_key(path)
            }
            (Some(secret), Some(key)) => {
                let what = "a client proves who it is in one way";
                return Err(CliError::configuration(what)
                    .why(format!("client_secret_file comes from: {}", secret.origin))
                    .why(format!("client_key_file comes from: {}", key.origin)));
            }
        };
        if let Some(kid) = &settings.client_key_id {
            login = login.client_key_id(&kid.value);
        }
        if let Some(redirect) = self.redirect()? {
            login = login.redirect(redirect);
        }
        if let Some(connection) = &settings.connection {
            login = login.parameter("connection", &connection.value);
        }
        if let Some(prompt) = &settings.prompt {
            login = login.prompt(&prompt.value);
        }
        if let Some(hint) = &settings.login_hint {
            login = login.login_hint(&hint.value);
        }
        if let Some(classes) = &settings.acr {
            login = login.acr_values(&classes.value.join(" "));
        }
        if let Some(age) = &settings.max_age {
            login = login.max_age(age.value);
        }
        login = login.dpop(match settings.dpop.value {
            Dpop::No => ClientDpop::No,
            Dpop::Preferred => ClientDpop::Preferred,
            Dpop::Required => ClientDpop::Required,
        });
        if let Some(limit) = &settings.login_timeout {
            login = login.time_limit(limit.value);
        }
        let place = self.place();
        let browser = self.browser(&place);
        Ok(login.environment(place).browser(browser))
    }

    /// Where the browser is sent back to, if the settings say more than the provider does.
    pub(crate) fn redirect(&self) -> Result<Option<Redirect>, CliError> {
        let settings = &self.settings;
        let base = match &settings.redirect_uri {
            Some(uri) => Some(Redirect::parse(&uri.value)?),
            None => None,
        };
        let Some(ports) = &settings.port else {
            return Ok(base);
        };
        let base = match (base, &settings.server.provider) {
            (Some(base), _) => base,
            // As it is registered there, but for the port.
            (None, Some(provider)) => {
                let Preset { quirks, .. } = provider.value.0;
                let (host, path) = (quirks.redirect.host, quirks.redirect.path);
                Redirect::parse(&format!("http://{host}{path}"))?
            }
            (None, None) => Redirect::loopback(),
        };
        Ok(Some(base.with_ports(ports.value.iter().copied())?))
    }

    /// The kind of place this is, and the browser that the settings name for it.
    pub(crate) fn place(&self) -> Environment {
        let mut found = Environment::detect();
        found.interactive = self.may_ask();
        if let Some(command) = &self.settings.browser {
            found.own_browser = Some(command.value.clone());
        }
        found
    }

    pub(crate) fn browser(&self, place: &Environment) -> Browser {
        // In front of nobody no window opens, whatever the place.
        let wanted = self.may_ask() || place.obstacle().is_some();
        if wanted && !self.settings.no_browser.value {
            Browser::Auto
        } else {
            Browser::Never
        }
    }

    /// Whether a login can take what a person pastes: at a terminal, and from a program that offers to
    /// bring it on standard input by asking for this way by name.
    pub(crate) fn takes_paste(&self) -> bool {
        self.may_ask() || (!self.no_input && self.settings.flow.value == SignIn::Paste)
    }
}

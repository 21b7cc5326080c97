//! What each template is given.
//!
//! Askama escapes every value for HTML; nothing here is marked as safe. Which page is shown
//! when is the handlers' business.

mod factors;

use std::borrow::Cow;

use askama::Template;
use countersign_oauth::Secret;

use super::waiting::Waiting;
use super::words::{Code, Place};

pub(super) use factors::{
    FactorLine, Factors, RecoveryCodes, RemoveFactor, SecondFactorForm, SetUpKey, SetUpTotp, Unmet,
    Who,
};

/// What surrounds every page.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// The path all links begin with: empty unless the issuer has a path.
    pub(super) base: String,
    /// Where the style sheet is.
    pub(super) style: String,
    /// Where the icon is.
    pub(super) icon: String,
    /// The issuer's URL, shown at the foot.
    pub(super) issuer: String,
    /// Whether to show the development banner.
    pub(super) development: bool,
    /// The user name of the account signed in.
    pub(super) username: Option<String>,
    /// The value that every form must carry.
    pub(super) csrf: String,
}

impl Frame {
    /// The path of one of our pages, as a browser must ask for it.
    fn path(&self, path: &str) -> String {
        super::below(&self.base, path)
    }
}

/// `/` for somebody not signed in.
#[derive(Debug, Template)]
#[template(path = "welcome.html")]
pub(super) struct Welcome {
    pub(super) frame: Frame,
}

/// `/` for somebody signed in.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub(super) struct Home {
    pub(super) frame: Frame,
    pub(super) username: String,
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) groups: String,
    /// How many second factors the person has, where there are any.
    pub(super) second_factors: Option<usize>,
    pub(super) since: String,
    pub(super) remaining: String,
}

/// Where the code is typed or, when a link brought it, compared.
#[derive(Debug, Template)]
#[template(path = "device.html")]
pub(super) struct EnterCode {
    pub(super) frame: Frame,
    pub(super) typed: String,
    pub(super) problem: Option<&'static str>,
}

impl EnterCode {
    /// Whether a link brought the code, so that it is to be compared and not typed.
    fn filled(&self) -> bool {
        self.problem.is_none() && !self.typed.is_empty()
    }
}

/// The sign-in form.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInForm {
    pub(super) frame: Frame,
    pub(super) waiting: Waiting,
    pub(super) username: String,
    pub(super) problem: Option<&'static str>,
}

/// The page on which a login is approved or denied.
#[derive(Debug, Template)]
#[template(path = "confirm.html")]
pub(super) struct Confirm {
    pub(super) frame: Frame,
    pub(super) code: Code,
    pub(super) client_name: String,
    pub(super) client_id: String,
    pub(super) account_name: String,
    pub(super) account_username: String,
    pub(super) scopes: Vec<Cow<'static, str>>,
    pub(super) audiences: Vec<String>,
    pub(super) address: String,
    pub(super) hostname: Option<String>,
    pub(super) command: Option<String>,
    pub(super) age: String,
    pub(super) remaining: String,
}

/// The page on which an application's request is approved or denied.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub(super) struct Consent {
    pub(super) frame: Frame,
    /// The request as the browser carries it.
    pub(super) request: String,
    pub(super) client_name: String,
    pub(super) client_id: String,
    pub(super) account_name: String,
    pub(super) account_username: String,
    pub(super) scopes: Vec<Cow<'static, str>>,
    pub(super) audiences: Vec<String>,
    /// Whether the answer stays on the machine that the browser runs on.
    pub(super) here: bool,
    pub(super) destination: Place,
}

/// The page on which an application's wish to sign the person out is granted or not.
#[derive(Debug, Template)]
#[template(path = "sign_out.html")]
pub(super) struct SignOut {
    pub(super) frame: Frame,
    pub(super) request: String,
    pub(super) client_name: Option<String>,
    pub(super) client_id: String,
    pub(super) account_name: String,
    pub(super) account_username: String,
    /// Whether the application's login was for another account than this.
    pub(super) another: bool,
    pub(super) destination: Option<Place>,
}

/// A page that the browser leaves by itself, for an application's address.
#[derive(Debug, Template)]
#[template(path = "leave.html")]
pub(super) struct Leave {
    pub(super) frame: Frame,
    pub(super) tone: Tone,
    pub(super) title: &'static str,
    pub(super) destination: Place,
    pub(super) url: Secret,
}

/// The form for the first account.
#[derive(Debug, Template)]
#[template(path = "setup.html")]
pub(super) struct SetupForm {
    pub(super) frame: Frame,
    pub(super) token: String,
    pub(super) username: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) problem: Option<Problem>,
}

impl SetupForm {
    /// Whether this is the field to mend.
    fn wrong(&self, field: Field) -> bool {
        self.problem
            .as_ref()
            .is_some_and(|problem| problem.field == field)
    }
}

/// What is wrong with a form, and where: the field gets the focus and says why.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) field: Field,
    pub(super) text: String,
}

/// A field of the form for the first account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Username,
    Name,
    Password,
}

/// A page that only says how something ended.
#[derive(Debug, Template)]
#[template(path = "outcome.html")]
pub(super) struct Outcome {
    pub(super) frame: Frame,
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) text: String,
    /// A command to type in the terminal.
    pub(super) command: Option<&'static str>,
    /// Where to go from here.
    pub(super) next: Option<Next>,
}

/// A link to another of our pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    /// The path below the issuer's own.
    pub(super) path: &'static str,
    pub(super) label: &'static str,
}

/// How an outcome is to be read at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// It worked.
    Good,
    /// It was stopped, as somebody wished.
    Stop,
    /// It did not work.
    Plain,
}

impl Tone {
    /// The style sheet's name for it.
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Stop => "stop",
            Self::Plain => "plain",
        }
    }
}

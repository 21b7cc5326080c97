//! One file a command: what it does, prints and ends with.

pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod credential;
pub(crate) mod curl;
pub(crate) mod doctor;
pub(crate) mod exchange;
pub(crate) mod exec;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod profile;
pub(crate) mod proxy;
pub(crate) mod setup;
pub(crate) mod status;
pub(crate) mod stepup;
pub(crate) mod store;
pub(crate) mod switch;
pub(crate) mod token;
pub(crate) mod trust;
pub(crate) mod version;
pub(crate) mod whoami;

//! The command line: every flag, its help and its environment variable, once.
//!
//! Completions and help pages are made from this definition and from nothing else.
//!
//! Not responsible for what a flag means when it is absent: `settings` puts flags, environment and
//! files in order. Secrets are never the value of a flag, because other people on the machine can
//! read a program's arguments.

mod check;
mod credential;
mod exec;
mod install;
mod sign_in;
mod step_up;
mod store;
mod target;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, FalseyValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use serde::{Deserialize, Serialize};

pub(crate) use check::{DoctorArgs, SetupArgs};
pub(crate) use credential::{
    AwsArgs, Credential, DockerArgs, DockerOperation, GitArgs, KubernetesArgs,
};
pub(crate) use exec::{ExecArgs, ProxyArgs};
pub(crate) use install::{
    InstallAws, InstallDocker, InstallGit, InstallKubernetes, Program as InstallProgram,
};
pub(crate) use sign_in::{Dpop, SignInArgs};
pub(crate) use step_up::StepUpArgs;
pub(crate) use store::{Keep, Store, StoreMigrate};
pub(crate) use target::{ExchangeArgs, Exchanged, TargetArgs};

use crate::duration;

/// Single sign-on for everything you do in a terminal.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 80)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "\
Start with `countersign login`. Then `countersign token` prints an access token,
and `countersign curl URL` calls an API with it.

Exit codes: 0 ok, 1 error, 2 usage, 3 server unreachable, 4 login required,
5 denied, 6 timed out, 7 configuration, 8 step-up required, 9 storage,
130 interrupted.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

// What every command takes, before its name and after it. (A comment, because clap would take a doc
// comment for the command's own.)
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The profile to use
    #[arg(short, long, value_name = "NAME")]
    #[arg(env = "COUNTERSIGN_PROFILE", hide_env_values = true)]
    pub(crate) profile: Option<String>,

    /// The account of the profile, where there are several
    #[arg(long, value_name = "NAME")]
    #[arg(env = "COUNTERSIGN_ACCOUNT", hide_env_values = true)]
    pub(crate) account: Option<String>,

    /// The authorization server's issuer URL
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    #[arg(env = "COUNTERSIGN_ISSUER", hide_env_values = true)]
    pub(crate) issuer: Option<String>,

    /// The client id that this program is registered under there
    #[arg(long, value_name = "ID")]
    #[arg(env = "COUNTERSIGN_CLIENT_ID", hide_env_values = true)]
    pub(crate) client_id: Option<String>,

    /// Trust the certificates in this PEM file as well (repeatable)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca_cert: Vec<PathBuf>,

    /// Time allowed for each request to the server, such as 10s
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    #[arg(env = "COUNTERSIGN_TIMEOUT", hide_env_values = true)]
    pub(crate) timeout: Option<Duration>,

    /// Never ask anything, even on a terminal
    #[arg(long, value_parser = FalseyValueParser::new())]
    #[arg(env = "COUNTERSIGN_NO_INPUT", hide_env_values = true)]
    pub(crate) no_input: bool,

    /// Ignore the .countersign.toml of this directory and of those above it
    #[arg(long, value_parser = FalseyValueParser::new())]
    #[arg(env = "COUNTERSIGN_NO_DIRECTORY", hide_env_values = true)]
    pub(crate) no_directory: bool,

    /// When to use colours; auto looks at the terminal
    #[arg(long, value_name = "WHEN")]
    pub(crate) color: Option<When>,

    /// Print errors and the artefact only
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Tell what is done; twice for more. Never shows a secret
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

// The arguments of a command, and those that every command takes.
//
// clap's own `global = true` copies each of them into every command at every start, which was a fifth
// of all that `countersign token` had to do. This way they are built for the one command that runs.
#[derive(Debug, Args)]
pub(crate) struct With<T: Args> {
    #[command(flatten)]
    pub(crate) own: T,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// A choice that is usually made by looking at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

impl When {
    /// The word that stands for it in flags and files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

#[derive(Debug, Subcommand)]
// A run uses one command: the arguments of the others are never built.
#[command(defer = true)]
pub(crate) enum Command {
    /// Sign in, with a browser on this or any other device
    Login(With<LoginArgs>),
    /// Print an access token, renewed when needed
    #[command(visible_alias = "get-token")]
    Token(With<TokenArgs>),
    /// Tell whether someone is signed in, and for how long
    Status(With<StatusArgs>),
    /// Tell who is signed in
    Whoami(With<WhoamiArgs>),
    /// Sign in again, more strongly or just now, before an API asks for it
    #[command(name = "stepup")]
    StepUp(With<StepUpArgs>),
    /// Use another account of the profile from now on
    Switch(With<SwitchArgs>),
    /// Sign out: revoke the tokens at the server and delete them here
    Logout(With<LogoutArgs>),
    /// Run curl with the access token, without showing it to anyone
    Curl(With<CurlArgs>),
    /// Credentials for kubectl, git, docker and aws, as they ask for them
    #[command(subcommand)]
    Credential(Credential),
    /// Run a command with the token in a variable, or with a proxy
    Exec(With<ExecArgs>),
    /// Pass requests on to a server with the token, for programs that cannot
    Proxy(With<ProxyArgs>),
    /// Decode and verify a token, without repeating it
    Inspect(With<InspectArgs>),
    /// Tell what to create at a provider, and write the profile for it
    Setup(With<SetupArgs>),
    /// Look whether everything is as it should be, and say what to do
    Doctor(With<DoctorArgs>),
    /// Manage profiles: which server, as which client
    #[command(subcommand)]
    Profile(Profile),
    /// Show the configuration that is in force
    #[command(subcommand)]
    Config(Config),
    /// Let the .countersign.toml of a directory choose the profile there
    Trust(With<TrustArgs>),
    /// Choose where refresh tokens are kept
    #[command(subcommand)]
    Store(Store),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "raw")]
    pub(crate) output: TokenFormat,

    /// At least this much life left, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) min_ttl: Option<Duration>,

    /// Print the ID token instead of the access token
    #[arg(long, conflicts_with_all = ["TargetArgs", "ExchangeArgs"])]
    pub(crate) id_token: bool,

    /// Renew it first, even if it is still good
    #[arg(long)]
    pub(crate) force_refresh: bool,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    #[command(flatten)]
    pub(crate) exchange: ExchangeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenFormat {
    // The token alone.
    Raw,
    // The token, its type and its expiry.
    Json,
    // `Authorization: Bearer …`
    Header,
    // Assignments that a shell can evaluate.
    Env,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Ask the server as well
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Ask the server instead of the saved session
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without a name, takes the other one where there are two, and asks where there are
more. `countersign login --account NAME` signs in to one more.")]
pub(crate) struct SwitchArgs {
    /// The account: its name in `countersign status`, or the person's
    #[arg(value_name = "ACCOUNT")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// End every session on this computer, of all profiles
    #[arg(long)]
    pub(crate) all: bool,

    /// End the browser's session at the server as well, on its own page
    #[arg(long, value_name = "WHETHER", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub(crate) end_session: Option<bool>,
}

#[derive(Debug, Args)]
#[command(override_usage = "countersign curl [OPTIONS] <URL> [CURL ARGUMENTS]...")]
#[command(after_help = "\
Everything after URL goes to curl as it is. The token travels through a pipe: it
is in no argument, no environment variable and no file. It is sent to the host
of URL and to no other, over https (or http on this computer), and is replaced
by stars in what curl's -v prints. curl's exit code is passed on.

When the API asks for a stronger or fresher sign-in (RFC 9470), you sign in again
and the request is sent once more. When it asks for a one-time password, you are
asked for it at the terminal, three times at most. Without a terminal, or with
--no-input, the exit code is 8 and the challenge is a JSON object on standard
error. With curl's -D, the answer is yours alone.

Example: countersign curl https://api.example.com/items -s --json '{\"n\": 1}'")]
pub(crate) struct CurlArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// The address to call, and arguments for curl
    // One list, because clap reads an option before the second of two positional arguments as ours.
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) address_and_arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without an argument, looks at the access token of the session. With `-`, reads a
token from standard input; tokens are not taken as arguments, because other
people on the machine could read them.

Neither the token nor its signature is printed. The exit code is 0 when the
signature is good and the token in its time, 1 when not, 3 when the server's keys
could not be fetched. With --offline it is 0 when the token could be decoded.")]
pub(crate) struct InspectArgs {
    /// `-` to read the token from standard input
    #[arg(value_name = "-", hide_possible_values = true)]
    pub(crate) source: Option<String>,

    /// Look at the ID token of the session
    #[arg(long, conflicts_with = "source")]
    pub(crate) id_token: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Decode only; do not fetch keys
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Profile {
    /// Write a profile: `profile add NAME --issuer URL --client-id ID`
    Add(With<ProfileAdd>),
    /// List the profiles there are
    List(With<ProfileList>),
    /// Show what is in force for a profile, and where each value comes from
    Show(With<ProfileShow>),
    /// Make a profile the one that is used when none is named
    Use(With<ProfileName>),
    /// Remove a profile
    Rm(With<ProfileName>),
}

#[derive(Debug, Args)]
pub(crate) struct ProfileAdd {
    /// What to call it: a-z, 0-9, `.`, `_` and `-`
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,

    /// Make it the one that is used when none is named
    #[arg(long = "use")]
    pub(crate) make_default: bool,

    /// Replace the profile of that name, if there is one
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProfileList {
    /// Print one JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Config {
    /// Show every setting that is in force
    Show(Box<With<ConfigShow>>),
    /// Print where your own configuration file is, or would be
    Path(With<ConfigPath>),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigShow {
    /// Tell where each value comes from, and what limits it
    #[arg(long)]
    pub(crate) origin: bool,

    /// Print one JSON object, with the origins
    #[arg(long)]
    pub(crate) json: bool,

    // What else would be in force for a login, flags and variables included.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigPath {}

#[derive(Debug, Args)]
pub(crate) struct ProfileShow {
    /// The profile; the one in use if not given
    pub(crate) name: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    // What else would be in force for a login, flags and variables included.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ProfileName {
    /// The profile
    pub(crate) name: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Such a file has one line, profile = \"NAME\", and may have a second one,
account = \"NAME\". It chooses among your own profiles and can do nothing else. It
is trusted at its place and as it is: when it changes, it has to be trusted anew.")]
pub(crate) struct TrustArgs {
    /// The directory; that of the file in force here if not given
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,

    /// Trust it no longer
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell to complete for
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn curl_arguments_are_not_ours_to_read() {
        let cli = Cli::try_parse_from([
            "countersign",
            "-p",
            "work",
            "curl",
            "https://api.example.com",
            "-v",
            "-p",
            "--json",
            "{}",
        ])
        .unwrap();
        let Command::Curl(curl) = cli.command else {
            panic!("not curl")
        };
        assert_eq!(cli.global.profile.as_deref(), Some("work"));
        assert_eq!(
            (curl.global.profile.as_deref(), curl.global.verbose),
            (None, 0)
        );
        let expected = ["https://api.example.com", "-v", "-p", "--json", "{}"];
        assert_eq!(curl.own.address_and_arguments, expected);
    }

    /// `docs/configuration.md` knows every key and every variable.
    #[test]
    fn every_setting_is_documented() {
        const PAGE: &str = include_str!("../../../../docs/configuration.md");
        // How to behave is not a setting of a profile.
        const BEHAVIOUR: &[&str] = &[
            "help",
            "profile",
            "account",
            "no_input",
            "no_directory",
            "color",
            "quiet",
            "verbose",
        ];
        let mut command = Cli::command();
        command.build();
        let login = command.find_subcommand("login").unwrap();
        for argument in login.get_arguments() {
            let key = argument.get_id().as_str();
            let known = BEHAVIOUR.contains(&key) || PAGE.contains(&format!("`{key}`"));
            assert!(known, "{key}");
            if let Some(variable) = argument.get_env() {
                let variable = variable.to_string_lossy();
                assert!(PAGE.contains(&*variable), "{variable}");
                assert_eq!(variable, format!("COUNTERSIGN_{}", key.to_uppercase()));
            }
        }
        for preset in countersign_client::preset::Preset::ALL {
            assert!(PAGE.contains(&format!("`{}`", preset.name)), "{preset:?}");
        }
    }

    /// What is run to look for leaks is what the help lists (`tests/it/leaks`).
    #[test]
    fn no_command_is_hidden() {
        let mut command = Cli::command();
        command.build();
        let mut open = vec![&command];
        while let Some(command) = open.pop() {
            assert!(!command.is_hide_set(), "{}", command.get_name());
            open.extend(command.get_subcommands());
        }
    }

    #[test]
    fn no_flag_takes_a_secret() {
        let mut command = Cli::command();
        command.build();
        let mut open = vec![&command];
        while let Some(command) = open.pop() {
            open.extend(command.get_subcommands());
            for argument in command.get_arguments() {
                let name = argument.get_long().unwrap_or_default();
                let values = argument.get_action().takes_values();
                let secret = ["secret", "password", "token"]
                    .iter()
                    .any(|w| name.contains(w));
                assert!(!secret || !values || name.ends_with("-file"), "--{name}");
            }
        }
    }
}

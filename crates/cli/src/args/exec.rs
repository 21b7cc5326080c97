//! Running other programs, and standing between them and an API.

use std::ffi::OsString;

use clap::{Args, ValueHint};

use super::TargetArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
COMMAND takes the place of this program: signals, terminal and exit code are its
own. It gets what is asked for and nothing else:

  countersign exec --env API_TOKEN -- deploy
  countersign exec --proxy API_URL=https://api.example.com -- deploy

With --env, whatever COMMAND starts can read the token as well. With --proxy it
gets an address on this computer instead (see `countersign proxy --help`), which
is good for as long as it runs.")]
pub(crate) struct ExecArgs {
    /// Put the access token into this variable (repeatable)
    #[arg(long, value_name = "NAME", value_parser = variable)]
    pub(crate) env: Vec<String>,

    /// Put the ID token there instead
    #[arg(long, requires = "env", conflicts_with = "TargetArgs")]
    pub(crate) id_token: bool,

    /// Put the address of a proxy to URL into this variable (repeatable)
    #[arg(long, value_name = "NAME=URL", value_parser = variable_and_url)]
    pub(crate) proxy: Vec<(String, String)>,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// The command to run, and its arguments
    #[arg(required = true, last = true, value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
For programs that can send no header. Prints an address of 127.0.0.1; whatever is
sent below it goes to URL with the access token, over https. The address ends in
a secret: it is good until this program ends, and only for you. Give it to
programs in their configuration or environment rather than as an argument, which
others on this computer can read.

Redirects are handed over and not followed; WebSockets are not passed on.")]
pub(crate) struct ProxyArgs {
    /// The server to pass requests on to, and the path that all paths begin with
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: String,

    /// The port to listen on, instead of any free one
    #[arg(long = "port", value_name = "PORT")]
    pub(crate) listen: Option<u16>,

    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// End when standard input does
    #[arg(long)]
    pub(crate) until_stdin_ends: bool,
}

/// The name of a variable that every shell can read.
fn variable(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = !text.starts_with(|c: char| c.is_ascii_digit());
    if text.is_empty() || !begins || !text.bytes().all(plain) {
        return Err("a variable is called like API_TOKEN");
    }
    Ok(text.to_owned())
}

fn variable_and_url(text: &str) -> Result<(String, String), &'static str> {
    let (name, url) = text
        .split_once('=')
        .ok_or("write it as API_URL=https://api.example.com")?;
    Ok((variable(name)?, url.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_one_that_a_shell_can_read() {
        assert!(variable("API_TOKEN").is_ok() && variable("_a1").is_ok());
        for text in ["", "1a", "A-B", "A=B", "A B", "ä"] {
            assert!(variable(text).is_err(), "{text}");
        }
        assert_eq!(
            variable_and_url("A=https://a.example/?b=c"),
            Ok(("A".to_owned(), "https://a.example/?b=c".to_owned()))
        );
        assert!(variable_and_url("https://a.example").is_err());
    }
}

//! `otp`: devices for one-time passwords, for whoever hands them out.
//!
//! Secrets come from files and stdin, never from the command line. What is asked is asked on stderr; the
//! answer is a line of stdin, where a Yubikey types as well as a program writes.
//!
//! Not responsible for what is done, which is `countersign_gateway::devices`.

use std::fs::File;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign_console::qr::{Colours, QUIET, Qr};
use countersign_gateway::devices::{self, KeySource, Owner, Registrar};
use countersign_gateway::{Config, Problem};
use countersign_oauth::Secret;

use super::print;

/// A file of keys is no longer.
const MOST_KEYS: u64 = 32 * 1024 * 1024;

/// More than anybody types.
const LONGEST_LINE: u64 = 4096;

#[derive(Debug, Subcommand)]
pub(crate) enum Otp {
    /// Make the key file and the registry that [otp] names
    Init {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Give somebody a Yubikey or an authenticator
    #[command(subcommand)]
    Enrol(Enrol),
    /// List who has what
    List {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Of this person alone: `sub` of their tokens
        #[arg(long, value_name = "SUB")]
        subject: Option<String>,
        /// Whose person it is, when the configuration has several issuers
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Take a device away; its passwords are worth nothing from now on
    Remove {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The device, or how its name begins
        #[arg(value_name = "DEVICE", required_unless_present = "subject")]
        device: Option<String>,
        /// Every device of this person
        #[arg(long, value_name = "SUB", conflicts_with = "device")]
        subject: Option<String>,
        /// Whose person it is, when the configuration has several issuers
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
    },
    /// Take programmed Yubikeys with their secrets into stock
    ///
    /// Reads what Yubico's tools write: the traditional and the Yubico format.
    Import {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The file of keys; - is stdin
        #[arg(value_name = "KEYS.csv")]
        keys: PathBuf,
    },
    /// Seal the secrets of all devices with the first key file
    ///
    /// What was sealed with another opens with the first alone from then on.
    Reseal {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Forget the wrong passwords of somebody who is locked out
    Unlock {
        /// The configuration
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// `sub` of their tokens
        #[arg(long, value_name = "SUB")]
        subject: String,
        /// Whose person it is, when the configuration has several issuers
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Enrol {
    /// A Yubikey: from stock, unless something else is said
    Yubikey {
        #[command(flatten)]
        whose: Whose,
        /// Its secrets are in this file, as Yubico's tools write it
        #[arg(long, value_name = "KEYS.csv", conflicts_with = "remote")]
        keys: Option<PathBuf>,
        /// Its secrets are at the validation servers
        #[arg(long)]
        remote: bool,
        /// The letters that its passwords begin with
        #[arg(long, value_name = "ID", required_if_eq("no_confirm", "true"))]
        public_id: Option<String>,
    },
    /// An authenticator on a phone, by a QR code
    Totp {
        #[command(flatten)]
        whose: Whose,
        /// What the authenticator calls the account; the subject unless said otherwise
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who gets it: `sub` of their tokens
    #[arg(long, value_name = "SUB")]
    subject: String,
    /// Whose person it is, when the configuration has several issuers
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// What its owner calls it
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Ask for no password of it, and say what was enrolled as JSON
    #[arg(long)]
    no_confirm: bool,
}

pub(crate) fn otp(command: &Otp) -> Result<ExitCode, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::no_runtime(&error))?;
    print(&runtime.block_on(run(command))?);
    Ok(ExitCode::SUCCESS)
}

async fn run(command: &Otp) -> Result<String, Problem> {
    match command {
        Otp::Init { file } => devices::init(&Config::load(file)?),
        Otp::Enrol(Enrol::Yubikey {
            whose,
            keys,
            remote,
            public_id,
        }) => {
            let (registrar, owner) = whose.open()?;
            let text = match keys {
                Some(path) => Some(read(path)?),
                None => None,
            };
            let source = match (&text, remote) {
                (Some(text), _) => KeySource::File(text.expose()),
                (None, true) => KeySource::Servers,
                (None, false) => KeySource::Stock,
            };
            let label = whose.label.as_deref().unwrap_or("Yubikey");
            let otp = whose.ask("touch the Yubikey: ")?;
            let public_id = public_id.as_deref();
            let device = registrar
                .enrol_yubikey(&owner, label, source, public_id, otp.as_ref())
                .await?;
            Ok(whose.said(&device, None))
        }
        Otp::Enrol(Enrol::Totp { whose, account }) => {
            let (registrar, owner) = whose.open()?;
            let offered = registrar.offer(&owner, account.as_deref())?;
            let label = whose.label.as_deref().unwrap_or("authenticator");
            if !whose.no_confirm {
                show(&offered);
            }
            let code = whose.ask("the code that the authenticator shows: ")?;
            let device = registrar
                .enrol_authenticator(&owner, label, &offered, code.as_ref())
                .await?;
            Ok(whose.said(&device, Some(&offered)))
        }
        Otp::List {
            file,
            subject,
            issuer,
            json,
        } => {
            let registrar = Registrar::open(&Config::load(file)?)?;
            let owner = match subject {
                Some(subject) => Some(registrar.owner(issuer.as_deref(), subject)?),
                None => None,
            };
            registrar.list(owner.as_ref(), *json).await
        }
        Otp::Remove {
            file,
            device,
            subject,
            issuer,
        } => {
            let registrar = Registrar::open(&Config::load(file)?)?;
            match (device, subject) {
                (Some(device), _) => registrar.remove(device).await,
                (None, subject) => {
                    let subject = subject.as_deref().unwrap_or_default();
                    let owner = registrar.owner(issuer.as_deref(), subject)?;
                    registrar.remove_of(&owner).await
                }
            }
        }
        Otp::Import { file, keys } => {
            let registrar = Registrar::open(&Config::load(file)?)?;
            registrar.import(read(keys)?.expose()).await
        }
        Otp::Reseal { file } => Registrar::open(&Config::load(file)?)?.reseal().await,
        Otp::Unlock {
            file,
            subject,
            issuer,
        } => {
            let registrar = Registrar::open(&Config::load(file)?)?;
            let owner = registrar.owner(issuer.as_deref(), subject)?;
            registrar.unlock(&owner).await
        }
    }
}

impl Whose {
    fn open(&self) -> Result<(Registrar, Owner), Problem> {
        let registrar = Registrar::open(&Config::load(&self.file)?)?;
        let owner = registrar.owner(self.issuer.as_deref(), &self.subject)?;
        Ok((registrar, owner))
    }

    /// A password of the device, unless none is wanted.
    fn ask(&self, question: &str) -> Result<Option<Secret>, Problem> {
        if self.no_confirm {
            return Ok(None);
        }
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            super::ask(question);
        }
        // With its final size at once, so that no copy stays behind where it grew.
        let mut line = String::with_capacity(256);
        let read = stdin.lock().take(LONGEST_LINE).read_line(&mut line);
        let line = Secret::new(line);
        read.map_err(|error| {
            Problem::new("the password cannot be read from stdin").because(error)
        })?;
        if line.expose().trim().is_empty() {
            return Err(Problem::new("there is no password of the device on stdin")
                .hint("give one, or say --no-confirm to enrol it without a trial"));
        }
        Ok(Some(line))
    }

    fn said(
        &self,
        device: &devices::Device,
        authenticator: Option<&devices::Authenticator>,
    ) -> String {
        if self.no_confirm {
            devices::enrolled_json(device, authenticator)
        } else {
            devices::enrolled(device)
        }
    }
}

/// The QR code and the secret where there is a person to see them; the address for a program.
fn show(offered: &devices::Authenticator) {
    let uri = offered.uri();
    if !std::io::stdout().is_terminal() {
        print(&format!("{}\n", uri.expose()));
        return;
    }
    if let Some(code) = Qr::new(uri.expose(), QUIET) {
        print(&code.draw(Colours::BlackOnWhite));
    }
    print("scan this with the authenticator, or type its secret into it:\n");
    print(&format!("  {}\n\n", offered.secret().expose()));
    print(&format!(
        "the address, for a password manager:\n{}\n\n",
        uri.expose()
    ));
}

fn read(path: &Path) -> Result<Secret, Problem> {
    let unreadable = |error| Problem::unreadable(path, &error);
    let mut text = String::new();
    let mut limited: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().take(MOST_KEYS + 1))
    } else {
        Box::new(File::open(path).map_err(unreadable)?.take(MOST_KEYS + 1))
    };
    let read = limited.read_to_string(&mut text);
    let text = Secret::new(text);
    read.map_err(unreadable)?;
    Ok(text)
}

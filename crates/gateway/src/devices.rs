//! Who has which device for one-time passwords: enrolled, listed and removed by whoever runs the
//! gateway.
//!
//! Every change is written to the audit log, if there is a file for it. Not responsible for reading
//! passwords from anybody, nor for verifying those of requests.

mod listing;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use countersign_console::Problem;
use countersign_oauth::Secret;
use countersign_oauth::text::printable;
use countersign_resource::SqliteFile;
pub use countersign_resource::otp::Device;
use countersign_resource::otp::oath::{Enrolment, Totp};
use countersign_resource::otp::yubico::{KeyFile, Keyboard, Otp, PublicId};
use countersign_resource::otp::{
    DevicesError, EnrolError, NewDevice, OtpError, OtpService, Person, ResealError, SealingKey,
};
use countersign_resource::{Clock as _, SystemClock};

use crate::audit::{self, Change};
use crate::config::{Config, Registry};
use crate::otp;
use crate::state::Memory;

/// A person who has devices, or is to have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    issuer: String,
    subject: String,
}

impl Owner {
    fn person(&self) -> Person<'_> {
        Person::new(&self.issuer, &self.subject)
    }
}

/// Where the secrets of a Yubikey are.
#[derive(Debug)]
pub enum KeySource<'a> {
    /// In this file of programmed keys.
    File(&'a str),
    /// In the registry, imported before.
    Stock,
    /// At the validation servers.
    Servers,
}

/// An authenticator that is offered to somebody. `Debug` shows no secret.
#[derive(Debug)]
pub struct Authenticator {
    totp: Totp,
    enrolment: Enrolment,
}

impl Authenticator {
    /// The address for the QR code. It holds the secret.
    pub fn uri(&self) -> Secret {
        Secret::new(self.enrolment.to_uri().to_string())
    }

    /// The secret in groups of four, for those who have to type it.
    pub fn secret(&self) -> Secret {
        let uri = self.enrolment.to_uri();
        let (_, rest) = uri.split_once("secret=").unwrap_or_default();
        let secret = rest.split('&').next().unwrap_or_default();
        // With its final size at once, so that no copy stays behind where it grew.
        let mut grouped = String::with_capacity(secret.len() * 2);
        for (at, letter) in secret.chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                grouped.push(' ');
            }
            grouped.push(letter);
        }
        Secret::new(grouped)
    }
}

/// The devices of a configuration.
#[derive(Debug)]
pub struct Registrar {
    otp: OtpService,
    issuers: Vec<String>,
    /// What authenticators show beside the account.
    name: String,
    /// The key that seals.
    key_file: PathBuf,
    audit: Option<PathBuf>,
}

/// Makes the key file and the registry of a configuration, where they are missing, and says what was
/// made.
///
/// # Errors
///
/// When the configuration has no `[otp]`, or a file cannot be made.
pub fn init(config: &Config) -> Result<String, Problem> {
    let otp = config.otp.as_ref().ok_or_else(no_section)?;
    let mut said = String::new();
    for (number, path) in otp.key_files.iter().enumerate() {
        let shown = path.display();
        if path.exists() {
            SealingKey::load(path).map_err(|error| {
                Problem::new("the key file is there and cannot be used").because(error)
            })?;
            let _ = writeln!(said, "{shown} is there");
        } else if number == 0 {
            SealingKey::create(path)
                .map_err(|error| Problem::new("the key file cannot be made").because(error))?;
            let _ = writeln!(said, "made the key file {shown}");
            let _ = writeln!(said, "keep a copy of it apart from the registry's");
        } else {
            return Err(Problem::new(format!("the key file {shown} is missing"))
                .why("only the first is made: the others opened what was sealed before"));
        }
    }
    match &otp.registry {
        Registry::File(path) => {
            let was_there = path.exists();
            SqliteFile::create(path)
                .map_err(|error| Problem::new("the registry cannot be made").because(error))?;
            let shown = path.display();
            if was_there {
                let _ = writeln!(said, "{shown} is there");
            } else {
                let _ = writeln!(said, "made the registry {shown}");
            }
        }
        Registry::Shared => {
            let _ = writeln!(said, "the registry is in the database of [state]");
        }
    }
    Ok(said)
}

impl Registrar {
    /// Opens what a configuration names.
    ///
    /// # Errors
    ///
    /// When the configuration has no `[otp]`, or a file cannot be used.
    pub fn open(config: &Config) -> Result<Self, Problem> {
        let memory = Memory::new(&config.state)?;
        let otp = otp::service(config, &memory)?.ok_or_else(no_section)?;
        let mut key_files = config.otp.iter().flat_map(|otp| &otp.key_files);
        let theirs = config.forward_auth.iter().flat_map(|proxy| &proxy.origins);
        let mut origins = config.listen.origins.iter().chain(theirs);
        let host = origins.next().and_then(|origin| origin.url.host_str());
        Ok(Self {
            otp,
            issuers: config.issuers.iter().map(|it| it.url.clone()).collect(),
            // A colon would end the name.
            name: match host {
                Some(host) if !host.contains(':') => host.to_owned(),
                _ => "Countersign".to_owned(),
            },
            key_file: key_files.next().cloned().unwrap_or_default(),
            audit: config.audit.as_ref().and_then(|audit| audit.file.clone()),
        })
    }

    /// Whom `issuer` calls `subject`; the only issuer there is, unless one is named.
    ///
    /// # Errors
    ///
    /// When the configuration has no such issuer.
    pub fn owner(&self, issuer: Option<&str>, subject: &str) -> Result<Owner, Problem> {
        let issuer = match (issuer, self.issuers.as_slice()) {
            (Some(issuer), issuers) if issuers.iter().any(|known| known == issuer) => issuer,
            (None, [only]) => only,
            (Some(issuer), _) => {
                let what = format!("no issuer of the configuration is {}", printable(issuer));
                return Err(Problem::new(what));
            }
            (None, _) => {
                return Err(
                    Problem::new("the configuration has several issuers, or none")
                        .hint("say whose person it is: --issuer URL"),
                );
            }
        };
        if subject.trim().is_empty() {
            return Err(Problem::new("the subject is empty")
                .hint("it is `sub` of the person's tokens: countersign whoami"));
        }
        Ok(Owner {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }

    /// Offers an authenticator: makes its secret. Nothing is kept before it is enrolled.
    ///
    /// # Errors
    ///
    /// When the account cannot be shown by an authenticator.
    pub fn offer(&self, owner: &Owner, account: Option<&str>) -> Result<Authenticator, Problem> {
        let new = NewDevice::totp().map_err(|error| not_enrolled(&error))?;
        let NewDevice::Totp(totp) = new else {
            return Err(Problem::new("no authenticator was made"));
        };
        let account = account.unwrap_or(&owner.subject);
        let enrolment = Enrolment::totp(&self.name, account, totp.clone()).map_err(|error| {
            Problem::new("no authenticator can show this account")
                .because(error)
                .hint("give it a name: --account NAME")
        })?;
        Ok(Authenticator { totp, enrolment })
    }

    /// Enrols an authenticator, after a look at a code of it.
    ///
    /// # Errors
    ///
    /// When the code is wrong, or the registry does not take it.
    pub async fn enrol_authenticator(
        &self,
        owner: &Owner,
        label: &str,
        authenticator: &Authenticator,
        code: Option<&Secret>,
    ) -> Result<Device, Problem> {
        let new = NewDevice::Totp(authenticator.totp.clone());
        self.enrol(owner, label, new, code).await
    }

    /// Enrols a Yubikey: the one that made `otp`, or the one with this public id.
    ///
    /// # Errors
    ///
    /// When its secrets are not there, the password is wrong, or the registry does not take it.
    pub async fn enrol_yubikey(
        &self,
        owner: &Owner,
        label: &str,
        source: KeySource<'_>,
        public_id: Option<&str>,
        otp: Option<&Secret>,
    ) -> Result<Device, Problem> {
        let public_id = match (public_id, otp) {
            (Some(public_id), _) => PublicId::from_str(public_id).map_err(|error| {
                Problem::new("that is no public id of a Yubikey").because(error)
            })?,
            (None, Some(otp)) => {
                let otp = Otp::parse_typed(otp.expose(), Keyboard::Usual).map_err(|error| {
                    Problem::new("that is no password of a Yubikey")
                        .because(error)
                        .hint(error.hint())
                })?;
                otp.public_id().clone()
            }
            (None, None) => {
                return Err(Problem::new("nothing says which Yubikey it is")
                    .hint("touch it, or say --public-id ID"));
            }
        };
        let new = match source {
            KeySource::Stock => NewDevice::Stocked(public_id),
            KeySource::Servers => NewDevice::RemoteYubikey(public_id),
            KeySource::File(text) => from_file(text, public_id)?,
        };
        self.enrol(owner, label, new, otp).await
    }

    async fn enrol(
        &self,
        owner: &Owner,
        label: &str,
        new: NewDevice,
        proof: Option<&Secret>,
    ) -> Result<Device, Problem> {
        self.can_note()?;
        let enrolled = self.otp.enrol(owner.person(), label, new, proof).await;
        let device = enrolled.map_err(|error| not_enrolled(&error))?;
        self.note("otp_enrol", Some(&device), None)?;
        Ok(device)
    }

    /// Takes the keys of a file into stock, and says how many there were.
    ///
    /// # Errors
    ///
    /// When a line is not understood, or one of the keys is there already: then none is taken.
    pub async fn import(&self, text: &str) -> Result<String, Problem> {
        self.can_note()?;
        let file = KeyFile::parse(text).map_err(|error| bad_file(&error))?;
        let stocked = self.otp.stock(file.records()).await;
        stocked.map_err(|error| not_enrolled(&error))?;
        let keys = file.records().len();
        self.note("otp_import", None, Some(keys))?;
        let mut said = String::new();
        for skipped in file.skipped() {
            let _ = writeln!(
                said,
                "line {} is about {}: passed over",
                skipped.line, skipped.what
            );
        }
        let _ = writeln!(said, "took {} into stock", listing::keys(keys));
        said.push_str("the file can be destroyed; give a key out by otp enrol yubikey\n");
        Ok(said)
    }

    /// The devices of one person, or of all.
    ///
    /// # Errors
    ///
    /// When the registry cannot be asked.
    pub async fn list(&self, owner: Option<&Owner>, json: bool) -> Result<String, Problem> {
        let devices = self.devices(owner).await?;
        Ok(if json {
            listing::json(&devices)
        } else {
            listing::text(&devices, owner.is_none())
        })
    }

    /// Removes the device whose id begins so, and says which it was.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one.
    pub async fn remove(&self, beginning: &str) -> Result<String, Problem> {
        let devices = self.devices(None).await?;
        let is_meant = |device: &&Device| device.id.as_str().starts_with(beginning);
        let mut meant = devices.iter().filter(is_meant);
        let device = match (meant.next(), meant.next()) {
            (Some(device), None) if beginning.len() >= 4 => device,
            (None, _) => {
                return Err(
                    Problem::new(format!("no device is called {}", printable(beginning)))
                        .hint("countersign-gateway otp list FILE"),
                );
            }
            _ => {
                return Err(
                    Problem::new("that may be more than one device").hint("give more digits of it")
                );
            }
        };
        self.remove_all(&[device]).await
    }

    /// Removes every device of a person.
    ///
    /// # Errors
    ///
    /// When there is none, or the registry cannot be asked.
    pub async fn remove_of(&self, owner: &Owner) -> Result<String, Problem> {
        let devices = self.devices(Some(owner)).await?;
        if devices.is_empty() {
            return Err(Problem::new(format!(
                "{} has no device",
                printable(&owner.subject)
            )));
        }
        self.remove_all(&devices.iter().collect::<Vec<_>>()).await
    }

    async fn remove_all(&self, devices: &[&Device]) -> Result<String, Problem> {
        self.can_note()?;
        let mut said = String::new();
        for device in devices {
            let removed = self.otp.remove(&device.id).await;
            if removed.map_err(|error| not_asked(&error))? {
                self.note("otp_remove", Some(device), None)?;
                let _ = writeln!(said, "removed {}", listing::name(device));
            }
        }
        Ok(said)
    }

    /// Seals the secrets of all devices with the first key file, and says how many were not so before.
    ///
    /// # Errors
    ///
    /// When the secrets of one of them cannot be opened, or the registry cannot be asked.
    pub async fn reseal(&self) -> Result<String, Problem> {
        self.can_note()?;
        let resealed = self.otp.reseal().await;
        let resealed = resealed.map_err(|error| not_resealed(&error))?;
        let key = self.key_file.display();
        if resealed == 0 {
            return Ok(format!("every device is sealed with {key} already\n"));
        }
        self.note("otp_reseal", None, Some(resealed))?;
        let plural = if resealed == 1 { "" } else { "s" };
        Ok(format!(
            "sealed {resealed} device{plural} with {key}\n\
             nothing is sealed with another key: take it out of key_file, and destroy it\n"
        ))
    }

    /// Forgets the wrong passwords of a person.
    ///
    /// # Errors
    ///
    /// When the memory cannot be asked.
    pub async fn unlock(&self, owner: &Owner) -> Result<String, Problem> {
        self.can_note()?;
        self.otp.unlock(owner.person()).await.map_err(|error| {
            Problem::new("what was wrong before cannot be forgotten").because(error)
        })?;
        self.audit_line(&Change {
            what: "otp_unlock",
            owner: Some(owner.person()),
            device: None,
            keys: None,
        })?;
        Ok(format!("{} may try again\n", printable(&owner.subject)))
    }

    async fn devices(&self, owner: Option<&Owner>) -> Result<Vec<Device>, Problem> {
        let devices = match owner {
            Some(owner) => self.otp.devices_of(owner.person()).await,
            None => self.otp.devices().await,
        };
        devices.map_err(|error| not_asked(&error))
    }

    /// A change that could not be written down is not made.
    fn can_note(&self) -> Result<(), Problem> {
        match &self.audit {
            Some(path) => audit::can_write(path).map_err(|error| not_noted(path, error)),
            None => Ok(()),
        }
    }

    fn note(
        &self,
        what: &'static str,
        device: Option<&Device>,
        keys: Option<usize>,
    ) -> Result<(), Problem> {
        self.audit_line(&Change {
            what,
            owner: device.filter(|it| it.has_owner()).map(Device::owner),
            device,
            keys,
        })
    }

    fn audit_line(&self, change: &Change<'_>) -> Result<(), Problem> {
        let Some(path) = &self.audit else {
            return Ok(());
        };
        let now = SystemClock::default().now();
        audit::append(path, change, now)
            .map_err(|error| not_noted(path, error).why("the change itself was made"))
    }
}

/// What is printed when a device is there.
pub fn enrolled(device: &Device) -> String {
    format!("enrolled {}\n", listing::name(device))
}

/// For a program: the device, and what an authenticator has to be told.
pub fn enrolled_json(device: &Device, authenticator: Option<&Authenticator>) -> String {
    let mut value = listing::value(device);
    if let (Some(members), Some(authenticator)) = (value.as_object_mut(), authenticator) {
        members.insert("uri".to_owned(), authenticator.uri().expose().into());
    }
    format!("{value}\n")
}

fn from_file(text: &str, public_id: PublicId) -> Result<NewDevice, Problem> {
    let file = KeyFile::parse(text).map_err(|error| bad_file(&error))?;
    let mut records = file.into_records().into_iter();
    match records.find(|record| record.public_id == public_id) {
        Some(record) => Ok(NewDevice::Yubikey(public_id, record.secrets)),
        None => Err(Problem::new(format!("the file has no key {public_id}"))
            .why("the key that was touched is another one, or was programmed anew")),
    }
}

fn bad_file(error: &countersign_resource::otp::yubico::ImportError) -> Problem {
    let mut problem = Problem::new("the file of keys is not understood, and nothing was imported");
    for line in error.to_string().lines() {
        problem = problem.why(line);
    }
    problem.hint("export it by Yubico's tool in the traditional or the Yubico format")
}

fn no_section() -> Problem {
    Problem::new("the configuration has no [otp]")
        .hint("[otp] with registry = \"otp.sqlite\" and key_file = \"otp.key\"")
}

fn not_enrolled(error: &EnrolError) -> Problem {
    let problem = Problem::new("nothing was enrolled").because(error);
    match error {
        EnrolError::Proof(OtpError::Wrong) => {
            problem.hint("take the next one; if it is wrong again, look at this machine's clock")
        }
        EnrolError::Proof(OtpError::Replayed) => problem.hint("take the next one"),
        EnrolError::NotStocked(_) => {
            problem.hint("--keys FILE.csv with its secrets, or --remote, or otp import before")
        }
        EnrolError::Devices(DevicesError::Taken(_)) => {
            problem.hint("see whose it is: countersign-gateway otp list FILE")
        }
        EnrolError::Devices(DevicesError::TooMany) => {
            problem.hint("remove one: countersign-gateway otp remove FILE DEVICE")
        }
        _ => problem,
    }
}

fn not_resealed(error: &ResealError) -> Problem {
    let problem = Problem::new("the secrets of devices cannot be sealed with another key");
    let problem = problem.because(error);
    match error {
        ResealError::Device { device, .. } => problem
            .hint("name the key file that it was sealed with, after the others in key_file")
            .hint(format!(
                "or take it away: countersign-gateway otp remove FILE {}",
                device.id
            )),
        ResealError::Overtaken => problem
            .hint("have every gateway read the configuration with the new key, and try again"),
        _ => problem,
    }
}

fn not_asked(error: &DevicesError) -> Problem {
    Problem::new("the registry of devices cannot be asked").because(error)
}

fn not_noted(path: &Path, error: std::io::Error) -> Problem {
    Problem::new(format!(
        "the audit log {} cannot be written",
        path.display()
    ))
    .because(error)
}

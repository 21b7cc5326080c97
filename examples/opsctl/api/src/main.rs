//! The API of the example: people list resources, and delete one only with a one-time password for
//! that very request.
//!
//! ```text
//! opsctl-api serve
//! opsctl-api enrol SUBJECT yubikey < FILE    # a line of the file that its key was programmed with
//! opsctl-api enrol SUBJECT totp              # prints the address that an authenticator scans
//! ```
//!
//! `OPSCTL_ISSUER` is who signs people in, `OPSCTL_LISTEN` where to listen, `OPSCTL_STATE` a directory
//! for devices, their key, and what was used. An API of more than one host has these in
//! `PostgreSQL`.
//!
//! Not responsible for: who may delete what; everybody who can sign in may. TLS stands in front of it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program says where it can be reached, and who did what"
)]

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs, io};

use axum::extract::{Path as InPath, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use countersign_resource::otp::yubico::KeyFile;
use countersign_resource::otp::{NewDevice, OtpService, Person, SealingKey, SealingKeys, oath};
use countersign_resource::step_up::{Confirmed, Confirmer, StepUp, StepUpLayer};
use countersign_resource::{Caller, SqliteFile, Validator, ValidatorLayer};
use tokio::net::TcpListener;
use url::Url;

type Failed = Box<dyn Error>;
type Resources = Arc<Mutex<BTreeSet<String>>>;

const USAGE: &str = "usage: opsctl-api serve | enrol SUBJECT yubikey|totp";

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match *words {
        ["serve"] => serve().await,
        ["enrol", subject, kind @ ("yubikey" | "totp")] => enrol(subject, kind).await,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Err(error) = ended else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    let mut why = error.source();
    while let Some(source) = why {
        eprintln!("  why: {source}");
        why = source.source();
    }
    ExitCode::FAILURE
}

async fn serve() -> Result<(), Failed> {
    let listener = TcpListener::bind(setting("OPSCTL_LISTEN", "127.0.0.1:8700")).await?;
    let api = Url::parse(&format!("http://{}", listener.local_addr()?))?;
    let name = api.origin().ascii_serialization();

    let validator = Validator::builder(issuer())
        .resource(&*name)
        .required_scope("profile")
        .build()?;

    let each_time = StepUp::each_request("delete")
        .action("delete resource {last}")
        .build()?;
    let confirmer = Confirmer::builder(&*name, passwords()?)
        .origin(api)
        .build()?;
    let with_password = StepUpLayer::new(validator.clone(), confirmer, each_time)
        .on_rejection(|why| eprintln!("{}: {why}", why.status()));

    let resources = ["barfoo", "foobar", "quux"].map(str::to_owned);
    let mut app = Router::new()
        .route("/resources/{name}", delete(remove).layer(with_password))
        .route(
            "/resources",
            get(list).layer(ValidatorLayer::new(validator.clone())),
        )
        .with_state(Resources::new(Mutex::new(resources.into())));
    // In the open: whoever has no token yet has to read where to get one.
    if let Some(metadata) = validator.metadata() {
        app = app.route(metadata.path(), get(metadata.clone()));
    }

    println!("{name}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// Cannot be reached without a verified caller.
async fn list(_: Caller, State(resources): State<Resources>) -> Json<Vec<String>> {
    let resources = resources.lock().unwrap_or_else(PoisonError::into_inner);
    Json(resources.iter().cloned().collect())
}

/// Cannot be reached without a one-time password, which is used up by now.
async fn remove(
    caller: Caller,
    confirmed: Confirmed,
    InPath(name): InPath<String>,
    State(resources): State<Resources>,
) -> StatusCode {
    let mut resources = resources.lock().unwrap_or_else(PoisonError::into_inner);
    if !resources.remove(&name) {
        return StatusCode::NOT_FOUND;
    }
    // The subject says who it was; the name is for whoever reads this, and can change.
    let (who, with) = (caller.subject(), confirmed.device().unwrap_or_default());
    let person = caller.claims().str("name").ok().flatten().unwrap_or("?");
    eprintln!(
        "{person:?} ({who}) deleted {name:?} with {with:?}",
        who = who.escape_debug()
    );
    StatusCode::NO_CONTENT
}

/// What judges passwords: devices and what was used in one file, which no restart forgets; the key of
/// their secrets in another.
fn passwords() -> Result<OtpService, Failed> {
    let directory = PathBuf::from(setting("OPSCTL_STATE", "opsctl-state"));
    fs::create_dir_all(&directory)?;
    let file = SqliteFile::create(&directory.join("devices.sqlite"))?;
    let keys = SealingKeys::new(key(&directory.join("devices.key"))?);
    let otp = OtpService::builder(Arc::new(file.clone()), keys, Arc::new(file));
    Ok(otp.build()?)
}

fn key(path: &Path) -> Result<SealingKey, Failed> {
    Ok(if path.exists() {
        SealingKey::load(path)?
    } else {
        SealingKey::create(path)?
    })
}

/// Gives a person a device. Whoever may run this program here may do that; `countersign-gateway otp` does
/// it with the same file, and has the device tried first.
async fn enrol(subject: &str, kind: &str) -> Result<(), Failed> {
    let (label, new) = if kind == "totp" {
        ("authenticator".to_owned(), NewDevice::totp()?)
    } else {
        // Secrets come through standard input, and never as arguments, which others can read.
        let mut text = String::new();
        io::stdin().take(4096).read_to_string(&mut text)?;
        let keys = KeyFile::parse(&text)?.into_records();
        let [key] = <[_; 1]>::try_from(keys).map_err(|_| "one key at a time")?;
        let label = format!("Yubikey {}", key.public_id);
        (label, NewDevice::Yubikey(key.public_id, key.secrets))
    };
    let who = issuer();
    let who = Person::new(&who, subject);
    passwords()?.enrol(who, &label, new.clone(), None).await?;
    if let NewDevice::Totp(totp) = new {
        let address = oath::Enrolment::totp("opsctl", subject, totp)?;
        println!("{}", &*address.to_uri());
    }
    eprintln!("{subject:?} has the device {label:?}");
    Ok(())
}

fn issuer() -> String {
    setting("OPSCTL_ISSUER", "http://127.0.0.1:8628")
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

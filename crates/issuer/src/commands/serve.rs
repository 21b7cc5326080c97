//! `countersign-issuer serve`.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use countersign_console::Problem;
use countersign_issuer::core::{
    ACR_MULTI_FACTOR, ACR_PASSWORD, Core, Keys, Limit, Policy, SecondFactorPolicy,
};
use countersign_issuer::http::{AppState, Settings, router};
use countersign_issuer::key_servers::{ValidationServers, read_key};
use countersign_issuer::keyfile::{self, KeyFileError};
use countersign_issuer::storage::{Memory, Storage};
use countersign_jose::crypto::aws_lc;
use countersign_oauth::Issuer;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{now, print, tell};
use crate::config::{DEFAULT_LISTEN, Requested, TlsFiles, issuer_for};
use crate::server::Server;
use crate::state::{self, Running};
use crate::tls;

/// How often what is over is forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// The issuer's name, as clients write it [default: http://ADDRESS:PORT]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Keep nothing: users, logins and keys end with the program
    #[arg(long)]
    memory: bool,
    /// The certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The address of a proxy that does TLS and sets X-Forwarded-For; may be
    /// given several times
    #[arg(long = "trusted-proxy", value_name = "ADDRESS")]
    trusted_proxies: Vec<IpAddr>,
    /// How long access tokens last, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    access_token_lifetime: u64,
    /// How many device logins one address may begin in ten minutes
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    start_limit: u32,
    /// Refuse DPoP proofs without a nonce of this server: an attacker who can
    /// use a key for a moment cannot make proofs for later then
    #[arg(long)]
    require_dpop_nonce: bool,
    /// When people are asked for a second factor
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    second_factor: WhenAsked,
    /// The `acr` of a sign-in with a second factor
    #[arg(long, value_name = "NAME", default_value = ACR_MULTI_FACTOR, value_parser = class_name)]
    mfa_acr: String,
    #[command(flatten)]
    validation: Validation,
    /// Refuse authorization requests that were not pushed, of every client, and
    /// say so in the metadata
    #[arg(long)]
    require_par: bool,
}

/// Servers that know Yubikeys which this issuer does not.
#[derive(Debug, Args)]
struct Validation {
    /// A server that checks Yubikeys which were not imported, up to and with
    /// /verify; may be given several times, for servers of one operator
    #[arg(
        id = "validation-server",
        long,
        value_name = "URL",
        requires_all = ["validation-client", "validation-key"]
    )]
    urls: Vec<String>,
    /// The number that the servers know this issuer by
    #[arg(
        id = "validation-client",
        long,
        value_name = "NUMBER",
        requires = "validation-server"
    )]
    client: Option<String>,
    /// The file with the API key that goes with it, Base64
    #[arg(
        id = "validation-key",
        long,
        value_name = "FILE",
        requires = "validation-server"
    )]
    key: Option<PathBuf>,
    /// Certificates to trust for these servers beside those of the platform, PEM
    #[arg(
        id = "validation-ca",
        long,
        value_name = "FILE",
        requires = "validation-server"
    )]
    ca: Option<PathBuf>,
    /// How long the servers are waited for, in seconds
    #[arg(id = "validation-time", long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=30))]
    time: u64,
}

impl Validation {
    /// The servers, if there are any. Nothing is sent.
    fn servers(&self) -> Result<Option<Arc<ValidationServers>>, Problem> {
        let Some((id, path)) = self.client.as_ref().zip(self.key.as_ref()) else {
            return Ok(None);
        };
        let unreadable = |path: &Path, error: io::Error| {
            Problem::new(format!("{} cannot be read", path.display())).because(error)
        };
        let key = read_key(path).map_err(|error| unreadable(path, error))?;
        let ca = match &self.ca {
            Some(path) => Some(std::fs::read(path).map_err(|error| unreadable(path, error))?),
            None => None,
        };
        let time = Duration::from_secs(self.time);
        let servers = ValidationServers::new(id, &key, &self.urls, time, ca.as_deref());
        let servers = servers.map_err(|error| {
            Problem::new("the validation servers cannot be asked").because(error)
        })?;
        Ok(Some(Arc::new(servers)))
    }
}

/// When a second factor is asked for, as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum WhenAsked {
    /// At every sign-in of whoever has set one up
    #[default]
    WhenEnrolled,
    /// At every sign-in; whoever has none sets one up first
    Required,
    /// When an application asks for it, with `acr_values`
    OnRequest,
    /// Never, and nobody can set one up
    Off,
}

impl From<WhenAsked> for SecondFactorPolicy {
    fn from(when: WhenAsked) -> Self {
        match when {
            WhenAsked::WhenEnrolled => Self::WhenEnrolled,
            WhenAsked::Required => Self::Required,
            WhenAsked::OnRequest => Self::OnRequest,
            WhenAsked::Off => Self::Off,
        }
    }
}

/// A name that can stand in `acr_values`, and is not the password's.
fn class_name(name: &str) -> Result<String, String> {
    let sound = (1..=255).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    if !sound {
        return Err("a class is a name of visible ASCII without spaces, such as mfa".to_owned());
    }
    if name == ACR_PASSWORD {
        return Err("this is the name of a sign-in by password alone".to_owned());
    }
    Ok(name.to_owned())
}

pub(crate) async fn run(
    arguments: Arguments,
    directory: Result<PathBuf, Problem>,
) -> Result<(), Problem> {
    let requested = Requested {
        listen: arguments.listen,
        issuer: arguments.issuer.clone(),
        tls: arguments
            .tls_cert
            .clone()
            .zip(arguments.tls_key.clone())
            .map(|(certificates, key)| TlsFiles { certificates, key }),
        trusted_proxies: arguments.trusted_proxies.clone(),
    };
    // Heard from here on, so that no start is half undone.
    let ending =
        ending().map_err(|error| Problem::new("signals cannot be heard").because(error))?;
    // Once with what was asked, so that nothing is opened in vain, and once
    // with the port that was got.
    settle(&requested, requested.listen)?;
    let tls = match &requested.tls {
        None => None,
        Some(files) => Some(
            tls::acceptor(files)
                .map_err(|error| Problem::new("the certificate cannot be used").because(error))?,
        ),
    };
    let key_servers = arguments.validation.servers()?;
    // Before the port is taken: a second server in the same directory has to
    // hear about the directory.
    let directory = if arguments.memory {
        None
    } else {
        Some(directory?)
    };
    let running = match &directory {
        Some(directory) => Some(Arc::new(Running::begin(directory, now())?)),
        None => None,
    };
    let listener = listen(requested.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Problem::new("the address in use is unknown").because(error))?;
    let issuer = settle(&requested, address)?;

    let mut policy = Policy::new(issuer.clone());
    policy.lifetimes.access_token = Duration::from_secs(arguments.access_token_lifetime);
    policy.limits.starts_per_address = Limit {
        attempts: arguments.start_limit,
        ..policy.limits.starts_per_address
    };
    policy.require_dpop_nonce = arguments.require_dpop_nonce;
    policy.require_par = arguments.require_par;
    policy.second_factor = arguments.second_factor.into();
    policy.mfa_acr = arguments.mfa_acr;
    let core = open(directory.as_deref(), policy)?;
    let core = match running.as_ref().and_then(|running| running.crashed()) {
        Some(last_alive) => core.resumed_after_crash(last_alive, now())?,
        None => core,
    };
    let core = match key_servers {
        Some(servers) => core.with_key_servers(servers),
        None => core,
    };
    let core = Arc::new(core);
    core.ensure_default_client(now()).await?;
    make_rsa_key(&core, directory.as_deref().map(state::key_file));
    let house = tokio::spawn(keep_house(Arc::clone(&core), running.clone()));

    let state = AppState::new(
        Arc::clone(&core),
        Settings::new(issuer.as_url().clone()),
        now,
    )
    .with_reporter(report);
    print(format!("listening={address}"))?;
    print(format!("issuer={}", issuer.as_str()))?;
    greet(&core, &state).await?;

    let server = Server {
        listener,
        tls,
        trusted_proxies: requested
            .trusted_proxies
            .iter()
            .map(IpAddr::to_canonical)
            .collect(),
        router: router(&state),
    };
    server
        .run(ending)
        .await
        .map_err(|error| Problem::new("connections cannot be served").because(error))?;
    house.abort();
    if let Some(running) = running {
        // Left undone, the next start only gives more grace than needed.
        let _ = running.end();
    }
    Ok(())
}

fn settle(requested: &Requested, listen: SocketAddr) -> Result<Issuer, Problem> {
    issuer_for(requested, listen).map_err(|refused| {
        let hints = refused.hints();
        let problem = Problem::new(refused.to_string());
        let problem = match refused.source() {
            Some(source) => problem.because(source),
            None => problem,
        };
        hints.into_iter().fold(problem, Problem::hint)
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                Problem::new(format!("{address} is in use by another program")).hint(format!(
                    "choose another port, or any free one: --listen {}:0",
                    address.ip()
                ))
            }
            _ => Problem::new(format!("{address} cannot be listened on")).because(error),
        })
}

fn open(directory: Option<&Path>, policy: Policy) -> Result<Core, Problem> {
    let provider = aws_lc::provider();
    let (storage, keys): (Box<dyn Storage>, Keys) = match directory {
        None => {
            let keys = Keys::generate(provider)
                .map_err(|error| Problem::new("keys cannot be made").because(error))?;
            (Box::new(Memory::new()), keys)
        }
        Some(directory) => {
            let storage = Box::new(state::open_database(directory)?);
            let path = state::key_file(directory);
            let keys = keyfile::load_or_generate(&path, provider)
                .map_err(|error| Problem::new("the issuer's keys cannot be used").because(error))?;
            (storage, keys)
        }
    };
    let core = Core::new(storage, keys, policy);
    // What nobody remembers was never used.
    Ok(match directory {
        Some(_) => core.serving_since(now()),
        None => core,
    })
}

/// Makes the RSA key while the server serves: it takes between a tenth of a
/// second and several seconds, and hardly any client needs it.
fn make_rsa_key(core: &Arc<Core>, path: Option<PathBuf>) {
    let keys = core.keys();
    if keys.has_rs256() {
        return;
    }
    let core = Arc::downgrade(core);
    // A thread of its own, which may be cut short with the program: tasks of
    // the runtime would be waited for.
    std::thread::spawn(move || {
        let made = keys.with_rs256().map_err(KeyFileError::from);
        let stored = made.and_then(|keys| {
            if let Some(path) = path {
                keyfile::save(&path, &keys)?;
            }
            Ok(keys)
        });
        match (stored, core.upgrade()) {
            (Ok(keys), Some(core)) => core.replace_keys(keys),
            // The server has ended meanwhile.
            (Ok(_), None) => {}
            (Err(error), _) => report(&error),
        }
    });
}

async fn keep_house(core: Arc<Core>, running: Option<Arc<Running>>) {
    let mut times = tokio::time::interval(HOUSEKEEPING);
    loop {
        times.tick().await;
        if let Err(error) = core.purge(now()).await {
            report(&error);
        }
        if let Some(Err(error)) = running.as_ref().map(|running| running.is_alive(now())) {
            report(&error);
        }
    }
}

/// Tells the person at the terminal what to do next.
async fn greet(core: &Core, state: &AppState) -> Result<(), Problem> {
    let settings = &state.settings;
    if settings.development {
        tell(format!(
            "development issuer {}: reachable from this machine only",
            core.issuer()
        ));
    } else {
        tell(format!("issuer {}", core.issuer()));
    }
    if let Some(token) = core.offer_setup_link(now()).await? {
        tell("nobody can sign in yet; make the first account within an hour, once, at");
        tell(format!("  {}", state.setup_link(&token)));
        tell("or with: countersign-issuer user add NAME");
    }
    Ok(())
}

fn report(error: &(dyn Error + 'static)) {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let line: Vec<String> = causes.map(ToString::to_string).collect();
    tell(format!("error: {}", line.join(": ")));
}

/// Done when the server is told to end.
fn ending() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

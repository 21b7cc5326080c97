//! An issuer with one person and a clock.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countersign_issuer::core::{
    AskedSignIn, BrowserSession, ClientCredentials, CodeLookup, Core, Decision, DeviceRequest,
    Failure, Keys, Limits, NewAccount, Policy, Refusal, SignIn, StartedDevice, Tokens,
};
use countersign_issuer::storage::{Memory, Sqlite, Storage};
use countersign_jose::{Timestamp, crypto::aws_lc};
use countersign_oauth::{Issuer, Secret};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Runs a test over every storage there is.
#[macro_export]
macro_rules! over_both {
    ($($(#[$meta:meta])* $test:ident),* $(,)?) => {$(
        $(#[$meta])*
        mod $test {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_memory() {
                super::$test($crate::fixture::Fixture::in_memory().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_sqlite() {
                super::$test($crate::fixture::Fixture::in_sqlite().await).await;
            }
        }
    )*};
}

pub(crate) struct Fixture {
    pub(crate) core: Arc<Core>,
    now: Arc<AtomicI64>,
    directory: Option<TempDir>,
}

impl Fixture {
    pub(crate) async fn in_memory() -> Self {
        Self::with_ada(Box::new(Memory::new()), None, policy()).await
    }

    pub(crate) async fn with_limits(change: impl FnOnce(&mut Limits)) -> Self {
        Self::with_policy(|policy| change(&mut policy.limits)).await
    }

    pub(crate) async fn with_policy(change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = policy();
        change(&mut policy);
        Self::with_ada(Box::new(Memory::new()), None, policy).await
    }

    pub(crate) async fn in_sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let storage = Sqlite::open(&directory.path().join("issuer.sqlite")).unwrap();
        Self::with_ada(Box::new(storage), Some(directory), policy()).await
    }

    async fn with_ada(
        storage: Box<dyn Storage>,
        directory: Option<TempDir>,
        policy: Policy,
    ) -> Self {
        let fixture = Self {
            core: Arc::new(core(storage, policy)),
            now: Arc::new(AtomicI64::new(1_800_000_000_000)),
            directory,
        };
        fixture
            .core
            .ensure_default_client(fixture.now())
            .await
            .unwrap();
        fixture.add_account("ada", vec!["eng".to_owned()]).await;
        fixture
    }

    pub(crate) async fn add_account(&self, username: &str, groups: Vec<String>) {
        let account = NewAccount {
            username: username.to_owned(),
            name: Some("Ada Lovelace".to_owned()),
            email: Some("ada@example.com".to_owned()),
            password: Secret::new(PASSWORD),
        };
        self.core
            .add_account(account, groups, self.now())
            .await
            .unwrap()
            .unwrap();
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap();
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn advance_secs(&self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    /// The same issuer in another process, with other keys for signatures.
    pub(crate) fn database(&self) -> Option<std::path::PathBuf> {
        self.directory
            .as_ref()
            .map(|directory| directory.path().join("issuer.sqlite"))
    }

    pub(crate) async fn sign_in(&self, username: &str) -> BrowserSession {
        let password = Secret::new(PASSWORD);
        let outcome = self
            .core
            .sign_in(username, &password, PEER, self.now())
            .await
            .unwrap();
        let SignIn::Accepted(session) = outcome else {
            panic!("{username} signs in, not {outcome:?}");
        };
        self.core
            .session(&session.token, self.now())
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn start(&self, scope: &str) -> StartedDevice {
        self.core
            .start_device(request(scope), self.now())
            .await
            .unwrap()
    }

    pub(crate) async fn approve(&self, started: &StartedDevice, session: &BrowserSession) {
        let decision = self
            .core
            .approve(&started.user_code, session, PEER, self.now());
        let decision = decision.await.unwrap();
        assert!(matches!(decision, Decision::Recorded), "{decision:?}");
    }

    pub(crate) async fn poll(&self, started: &StartedDevice) -> Result<Tokens, Failure> {
        let code = started.device_code.expose();
        self.core.redeem_device(&cli(), code, &[], self.now()).await
    }

    pub(crate) async fn refresh(&self, token: &Secret) -> Result<Tokens, Failure> {
        self.core
            .refresh(&cli(), token.expose(), None, &[], self.now())
            .await
    }

    /// A whole login.
    pub(crate) async fn log_in(&self, scope: &str) -> Tokens {
        let session = self.sign_in("ada").await;
        let started = self.start(scope).await;
        self.approve(&started, &session).await;
        self.poll(&started).await.unwrap()
    }

    pub(crate) fn look_up(&self, code: &str, session: &BrowserSession) -> CodeLookup {
        self.core
            .lookup_user_code(code, session, PEER, self.now())
            .unwrap()
    }
}

pub(crate) fn policy() -> Policy {
    Policy::new(Issuer::parse("http://127.0.0.1:8628").unwrap())
}

pub(crate) fn core(storage: Box<dyn Storage>, policy: Policy) -> Core {
    Core::new(storage, Keys::generate(aws_lc::provider()).unwrap(), policy)
}

pub(crate) fn cli() -> ClientCredentials {
    ClientCredentials::public("cli")
}

pub(crate) fn request(scope: &str) -> DeviceRequest {
    DeviceRequest {
        credentials: cli(),
        scope: Some(scope.to_owned()),
        resources: Vec::new(),
        audiences: Vec::new(),
        sign_in: AskedSignIn::default(),
        peer: PEER,
        claimed_host: Some("box".to_owned()),
        claimed_command: Some("countersign login".to_owned()),
    }
}

/// The refusal that an operation has to end in.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> Refusal {
    match outcome {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("a refusal, not {other:?}"),
    }
}

#[track_caller]
pub(crate) fn code_of<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> &'static str {
    refused(outcome).code()
}

/// A claim of a token of ours, without looking at the signature.
pub(crate) fn claims(token: &Secret) -> serde_json::Value {
    let payload = token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&countersign_jose::base64url::decode(payload).unwrap()).unwrap()
}

//! A person with a key and an authenticator, and a clock that is moved.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countersign_oauth::Secret;
use countersign_otp::crypto::aws_lc;
use countersign_otp::oath::{self, Totp};
use countersign_otp::yubico::Secrets;
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_resource::otp::{
    Devices, Method, NewDevice, OtpLimits, OtpService, Person, SealingKey, SealingKeys, Typed,
};
use countersign_resource::state::{Key, SharedState};
use countersign_resource::{Clock, SqliteFile, Timestamp};
use countersign_testkit::Database;

pub(crate) const ADA: Person<'static> = Person {
    issuer: "https://id.example.com",
    subject: "ada",
};

/// How many requests there are at one time.
pub(crate) const PARALLEL: usize = 64;

/// How often each race is run: a few times by default, 1,000 times by `cargo xtask prove`.
pub(crate) fn trials(by_default: u32) -> u32 {
    std::env::var("COUNTERSIGN_TRIALS").map_or(by_default, |trials| {
        5 * trials
            .parse::<u32>()
            .expect("COUNTERSIGN_TRIALS is a number")
    })
}

/// Shows what it was set to, everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn at(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    pub(crate) fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.now().since(Timestamp::UNIX_EPOCH)
    }
}

/// The time of day, once.
pub(crate) fn now() -> i64 {
    countersign_resource::SystemClock::default()
        .now()
        .as_millis()
}

/// A replica. So many wrong ones are allowed that no race is decided by the lock.
pub(crate) fn replica(
    devices: Arc<dyn Devices>,
    state: Arc<dyn SharedState>,
    clock: &Hands,
) -> OtpService {
    let keys = SealingKeys::new(SealingKey::new(&[7; 32]).unwrap());
    OtpService::builder(devices, keys, state)
        .limits(OtpLimits::new(100, Duration::from_secs(900)))
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap()
}

/// A replica over a file that is another's, too.
pub(crate) fn over_file(path: &Path, clock: &Hands) -> OtpService {
    let file = SqliteFile::create(path).unwrap();
    replica(Arc::new(file.clone()), Arc::new(file), clock)
}

/// What ADA has.
pub(crate) struct Bag {
    key: SimulatedKey,
    totp: Totp,
}

impl Bag {
    /// Enrols a key and an authenticator for ADA.
    pub(crate) async fn packed(service: &OtpService) -> Self {
        let key = SimulatedKey::new("ccccccccccck".parse().unwrap(), secrets());
        let new = NewDevice::Yubikey(key.public_id().clone(), secrets());
        service.enrol(ADA, "key", new, None).await.unwrap();
        let new = NewDevice::totp().unwrap();
        let NewDevice::Totp(totp) = &new else {
            unreachable!("it is one");
        };
        let totp = totp.clone();
        service.enrol(ADA, "phone", new, None).await.unwrap();
        Self { key, totp }
    }

    /// Nobody's: for when it does not come to that.
    pub(crate) fn stranger() -> Self {
        Self {
            key: SimulatedKey::new("ccccccccccck".parse().unwrap(), secrets()),
            totp: Totp::new(oath::Secret::from_random([5; 20])),
        }
    }

    /// What a process is told in a line.
    pub(crate) fn touch_in_words(&mut self) -> (Method, String) {
        (Method::Yubikey, self.key.press(1).expose().to_owned())
    }

    pub(crate) fn code_in_words(&self, clock: &Hands) -> (Method, String) {
        let code = self.totp.code_at(clock.monotonic(), aws_lc::provider());
        (Method::Totp, code.to_string())
    }

    pub(crate) fn touch(&mut self) -> Typed {
        let (method, otp) = self.touch_in_words();
        Typed::new(method, Secret::new(otp))
    }

    pub(crate) fn code(&self, clock: &Hands) -> Typed {
        let (method, code) = self.code_in_words(clock);
        Typed::new(method, Secret::new(code))
    }
}

pub(crate) fn secrets() -> Secrets {
    Secrets::new([3; 6], [9; 16])
}

/// Verifies a password for a challenge, at the time that the service has.
pub(crate) async fn says(
    service: &OtpService,
    clock: &impl Clock,
    typed: &Typed,
    nonce: &str,
) -> &'static str {
    let key = Key::new("test-nonce", &[nonce.as_bytes()]);
    let claim = async {
        let (now, state) = (clock.now(), service.state());
        state.claim(&key, now + Duration::from_secs(600), now).await
    };
    match service.verify(ADA, typed, claim).await {
        Ok(_) => "right",
        Err(error) => error.code(),
    }
}

pub(crate) const PASSWORD: &str = "a password";

pub(crate) fn remote(database: &Database) -> countersign_resource::state::Remote {
    use countersign_resource::state::Remote;
    let socket = database.socket().display().to_string();
    let remote = if socket.contains("PGSQL") {
        let remote = Remote::parse(&format!("postgres+unix://{socket}")).unwrap();
        let remote = remote.user("countersign").database("postgres");
        remote.password(Secret::new(PASSWORD))
    } else {
        Remote::parse(&format!("redis+unix://{socket}")).unwrap()
    };
    // Half a second is enough for a request and not for a machine that builds something.
    remote.timeout(Duration::from_secs(10))
}

//! What the service promises, with a clock that is moved and devices made of
//! nothing.

mod reseal;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use countersign_oauth::Secret;
use countersign_otp::crypto::aws_lc;
use countersign_otp::oath::Totp;
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_otp::yubico::{KeyFile, Secrets};

use super::*;
use crate::Clock as _;
use crate::state::{Claim, MemoryState, SharedState, StateError};
use crate::testing::{FakeClock, ISSUER};

const ADA: Person<'static> = Person {
    issuer: ISSUER,
    subject: "ada",
};
const BOB: Person<'static> = Person {
    issuer: ISSUER,
    subject: "bob",
};

const MINUTE: Duration = Duration::from_secs(60);

struct Scene {
    clock: FakeClock,
    devices: Arc<MemoryDevices>,
    state: Arc<dyn SharedState>,
    service: OtpService,
}

fn sealing() -> SealingKeys {
    SealingKeys::new(SealingKey::new(&[7; 32]).unwrap())
}

impl Scene {
    fn new() -> Self {
        let clock = FakeClock::default();
        let state = Arc::new(MemoryState::new(clock.now()));
        Self::over(clock, Arc::default(), state)
    }

    fn over(clock: FakeClock, devices: Arc<MemoryDevices>, state: Arc<dyn SharedState>) -> Self {
        let registry = Arc::<MemoryDevices>::clone(&devices);
        let builder = OtpService::builder(registry, sealing(), Arc::clone(&state));
        let service = builder.clock(Arc::new(clock.clone())).build().unwrap();
        Self {
            clock,
            devices,
            state,
            service,
        }
    }

    async fn enrol(&self, who: Person<'_>, new: NewDevice) -> Device {
        self.service.enrol(who, "first", new, None).await.unwrap()
    }

    async fn yubikey(&self, who: Person<'_>, number: u8) -> SimulatedKey {
        let key = yubikey(number);
        let new = NewDevice::Yubikey(key.public_id().clone(), secrets_of(number));
        self.enrol(who, new).await;
        key
    }

    async fn totp(&self, who: Person<'_>) -> Totp {
        let new = NewDevice::totp().unwrap();
        let NewDevice::Totp(totp) = &new else {
            unreachable!("it is one");
        };
        let totp = totp.clone();
        self.enrol(who, new).await;
        totp
    }

    fn code(&self, totp: &Totp) -> Typed {
        let since_epoch = self.clock.now().since(Timestamp::UNIX_EPOCH);
        let code = totp.code_at(since_epoch, aws_lc::provider());
        Typed::new(Method::Totp, Secret::new(code.to_string()))
    }

    /// What becomes of a password whose challenge was answered by nobody before.
    async fn says(&self, who: Person<'_>, typed: &Typed) -> &'static str {
        self.says_when(who, typed, Ok(Claim::First)).await
    }

    async fn says_when(
        &self,
        who: Person<'_>,
        typed: &Typed,
        claim: Result<Claim, StateError>,
    ) -> &'static str {
        match self.service.verify(who, typed, ready(claim)).await {
            Ok(_) => "right",
            Err(error) => error.code(),
        }
    }

    async fn fail(&self, who: Person<'_>, times: u32) {
        let wrong = Typed::new(Method::Totp, Secret::new("00000000"));
        for _ in 0..times {
            assert_eq!(self.says(who, &wrong).await, "wrong_otp");
        }
    }
}

fn secrets_of(number: u8) -> Secrets {
    Secrets::new([number; 6], [number ^ 0x55; 16])
}

fn yubikey(number: u8) -> SimulatedKey {
    let letter = char::from(b"cbdefghijklnrtuv"[usize::from(number)]);
    let public_id = format!("ccccccccccc{letter}").parse().unwrap();
    SimulatedKey::new(public_id, secrets_of(number))
}

fn touch(key: &mut SimulatedKey) -> Typed {
    Typed::new(Method::Yubikey, Secret::new(key.press(7).expose()))
}

#[tokio::test]
async fn a_password_is_right_once() {
    let scene = Scene::new();
    let (mut key, totp) = (scene.yubikey(ADA, 1).await, scene.totp(ADA).await);
    let methods = scene.service.methods(ADA).await.unwrap();
    assert_eq!(methods, [Method::Yubikey, Method::Totp]);

    let first = touch(&mut key);
    let second = touch(&mut key);
    assert_eq!(scene.says(ADA, &second).await, "right");
    assert_eq!(scene.says(ADA, &second).await, "replayed_otp");
    // One that was made before and not used is no better.
    assert_eq!(scene.says(ADA, &first).await, "replayed_otp");

    let code = scene.code(&totp);
    assert_eq!(scene.says(ADA, &code).await, "right");
    assert_eq!(scene.says(ADA, &code).await, "replayed_otp");
    scene.clock.advance(MINUTE);
    assert_eq!(scene.says(ADA, &scene.code(&totp)).await, "right");
    let devices = scene.devices.of(ADA).await.unwrap();
    let used = devices.iter().map(|device| device.last_used_at.unwrap());
    assert_eq!(used.max(), Some(scene.clock.now()));
}

#[tokio::test]
async fn what_a_keyboard_adds_is_taken_off() {
    let scene = Scene::new();
    let (mut key, totp) = (scene.yubikey(ADA, 1).await, scene.totp(ADA).await);
    let capitals = format!(" {}\r\n", key.press(1).expose().to_uppercase());
    let typed = Typed::new(Method::Yubikey, Secret::new(capitals));
    assert_eq!(scene.says(ADA, &typed).await, "right");
    let code = scene.code(&totp);
    let (left, right) = code.otp().expose().split_at(3);
    let typed = Typed::new(Method::Totp, Secret::new(format!("{left} {right}\n")));
    assert_eq!(scene.says(ADA, &typed).await, "right");
}

/// A confused deputy: the password is right, and somebody else's.
#[tokio::test]
async fn a_password_of_another_persons_key_is_wrong() {
    let scene = Scene::new();
    let mut of_ada = scene.yubikey(ADA, 1).await;
    let totp_of_ada = scene.totp(ADA).await;
    scene.yubikey(BOB, 2).await;
    scene.totp(BOB).await;
    let namesake = Person::new("https://other.example.com", "ada");

    let otp = touch(&mut of_ada);
    assert_eq!(scene.says(BOB, &otp).await, "wrong_otp");
    assert_eq!(scene.says(namesake, &otp).await, "no_device");
    let code = scene.code(&totp_of_ada);
    assert_eq!(scene.says(BOB, &code).await, "wrong_otp");
    assert_eq!(scene.says(namesake, &code).await, "no_device");
    // Nothing of it was used up, and nothing was counted against its owner.
    assert_eq!(scene.says(ADA, &otp).await, "right");
    assert_eq!(scene.says(ADA, &code).await, "right");
}

/// Whoever tries keys that are not theirs is turned away after as many tries as
/// whoever has one, so that a public id is not found out by counting.
#[tokio::test]
async fn an_unknown_key_is_answered_like_a_wrong_password() {
    let (known, unknown) = (Scene::new(), Scene::new());
    let mut said = Vec::new();
    for (scene, number) in [(&known, 1), (&unknown, 3)] {
        scene.yubikey(ADA, 1).await;
        // The right public id or another one, and the wrong AES key.
        let mut key = SimulatedKey::new(yubikey(number).public_id().clone(), secrets_of(9));
        let mut answers = Vec::new();
        for _ in 0..7 {
            answers.push(scene.says(ADA, &touch(&mut key)).await);
        }
        said.push(answers);
    }
    assert_eq!(said[0], said[1]);
    let wrong = said[0].iter().filter(|code| **code == "wrong_otp");
    assert_eq!(wrong.count(), 5);
    assert_eq!(said[0].last(), Some(&"locked"));
}

#[tokio::test]
async fn what_is_no_password_is_no_guess() {
    let scene = Scene::new();
    let (mut key, _) = (scene.yubikey(ADA, 1).await, scene.totp(ADA).await);
    for text in ["", "12345", "1234567890", "kkk", "ccccccccccbb", "\u{0}"] {
        for method in Method::ALL {
            let typed = Typed::new(method, Secret::new(text));
            assert_eq!(scene.says(ADA, &typed).await, "wrong_otp", "{text:?}");
        }
    }
    assert_eq!(scene.says(ADA, &touch(&mut key)).await, "right");
}

#[tokio::test]
async fn five_wrong_ones_lock_a_person_for_a_quarter_of_an_hour() {
    let scene = Scene::new();
    let (mut key, totp) = (scene.yubikey(ADA, 1).await, scene.totp(ADA).await);
    let began = scene.clock.now();
    scene.fail(ADA, 4).await;
    scene.clock.advance(MINUTE);
    scene.fail(ADA, 1).await;
    let otp = touch(&mut key);
    for typed in [&scene.code(&totp), &otp] {
        match scene
            .service
            .verify(ADA, typed, ready(Ok(Claim::First)))
            .await
        {
            Err(OtpError::Locked { until }) => assert_eq!(until, began + 15 * MINUTE),
            other => panic!("{other:?}"),
        }
    }
    // Nobody else is.
    let mut of_bob = scene.yubikey(BOB, 2).await;
    assert_eq!(scene.says(BOB, &touch(&mut of_bob)).await, "right");

    scene.clock.advance(14 * MINUTE);
    // What was typed meanwhile was not looked at, and is not used up.
    assert_eq!(scene.says(ADA, &otp).await, "right");
}

#[tokio::test]
async fn a_right_one_forgives_those_before_it() {
    let scene = Scene::new();
    let totp = scene.totp(ADA).await;
    for _ in 0..4 {
        scene.fail(ADA, 4).await;
        assert_eq!(scene.says(ADA, &scene.code(&totp)).await, "right");
        scene.clock.advance(MINUTE);
    }
}

/// Somebody guesses at the authenticator while its owner uses their Yubikey.
#[tokio::test]
async fn a_right_one_of_another_device_does_not_forgive_guesses_at_this() {
    let scene = Scene::new();
    let (mut key, totp) = (scene.yubikey(ADA, 1).await, scene.totp(ADA).await);
    scene.fail(ADA, 4).await;
    assert_eq!(scene.says(ADA, &touch(&mut key)).await, "right");
    scene.fail(ADA, 1).await;
    assert_eq!(scene.says(ADA, &scene.code(&totp)).await, "locked");
    assert_eq!(scene.says(ADA, &touch(&mut key)).await, "right");
    // A second authenticator is not locked by what was guessed at the first.
    let second = scene.totp(ADA).await;
    assert_eq!(scene.says(ADA, &scene.code(&second)).await, "right");

    scene.service.unlock(ADA).await.unwrap();
    assert_eq!(scene.says(ADA, &scene.code(&totp)).await, "right");
}

#[tokio::test]
async fn a_challenge_that_was_answered_costs_no_password() {
    let scene = Scene::new();
    let mut key = scene.yubikey(ADA, 1).await;
    let otp = touch(&mut key);
    let again = scene.says_when(ADA, &otp, Ok(Claim::Again)).await;
    assert_eq!(again, "expired");
    let away = Err(StateError::Unavailable("connection refused".into()));
    assert_eq!(scene.says_when(ADA, &otp, away).await, "unavailable");
    assert_eq!(scene.says(ADA, &otp).await, "right");
}

#[tokio::test]
async fn a_wrong_password_costs_no_challenge() {
    let scene = Scene::new();
    scene.yubikey(ADA, 1).await;
    let mut other = yubikey(3);
    let claim = async { panic!("the challenge is not touched") };
    let verified = scene.service.verify(ADA, &touch(&mut other), claim).await;
    assert_eq!(verified.unwrap_err().code(), "wrong_otp");
}

#[tokio::test]
async fn a_key_that_is_enrolled_again_goes_on_where_it_was() {
    let scene = Scene::new();
    let mut key = scene.yubikey(ADA, 1).await;
    let seen = touch(&mut key);
    assert_eq!(scene.says(ADA, &seen).await, "right");
    let device = scene.devices.of(ADA).await.unwrap().remove(0);
    assert!(scene.service.remove(&device.id).await.unwrap());
    assert_eq!(scene.says(ADA, &touch(&mut key)).await, "no_device");

    scene.yubikey(BOB, 1).await;
    assert_eq!(scene.says(BOB, &seen).await, "replayed_otp");
    assert_eq!(scene.says(BOB, &touch(&mut key)).await, "right");
}

#[tokio::test]
async fn whoever_enrols_a_key_shows_a_password_of_it_which_is_used_up() {
    let scene = Scene::new();
    let mut key = yubikey(1);
    let enrol = async |otp: &Typed, secrets: Secrets| {
        let new = NewDevice::Yubikey(yubikey(1).public_id().clone(), secrets);
        let enrolled = scene.service.enrol(ADA, "blue", new, Some(otp.otp())).await;
        enrolled.map_err(|error| error.code())
    };
    let otp = touch(&mut key);
    assert_eq!(enrol(&otp, secrets_of(9)).await.unwrap_err(), "wrong_otp");
    let other = touch(&mut yubikey(2));
    let outcome = enrol(&other, secrets_of(1)).await;
    assert_eq!(outcome.unwrap_err(), "enrol_other_key");
    assert_eq!(scene.devices.of(ADA).await.unwrap(), []);

    let device = enrol(&otp, secrets_of(1)).await.unwrap();
    assert_eq!(device.public_id.as_deref(), Some("cccccccccccb"));
    assert_eq!(scene.says(ADA, &otp).await, "replayed_otp");
    assert_eq!(scene.says(ADA, &touch(&mut key)).await, "right");
    let outcome = enrol(&touch(&mut key), secrets_of(1)).await;
    assert_eq!(outcome.unwrap_err(), "device_taken");
}

#[tokio::test]
async fn keys_come_by_the_box_and_are_given_out_one_by_one() {
    let scene = Scene::new();
    let csv = "4711,cccccccccccb,010101010101,54545454545454545454545454545454,000000000000,\
               2026-01-01T00:00:00,,\n\
               4712,cccccccccccd,020202020202,57575757575757575757575757575757,000000000000,\
               2026-01-01T00:00:00,,\n";
    let file = KeyFile::parse(csv).unwrap();
    scene.service.stock(file.records()).await.unwrap();
    let again = scene.service.stock(file.records()).await.unwrap_err();
    assert_eq!(again.code(), "device_taken");

    let nobody = Person::new("", "");
    let mut key = yubikey(1);
    assert_eq!(scene.says(nobody, &touch(&mut key)).await, "no_device");
    assert_eq!(scene.service.methods(nobody).await.unwrap(), []);
    let give = async |who, number| {
        let new = NewDevice::Stocked(yubikey(number).public_id().clone());
        let given = scene.service.enrol(who, "from the box", new, None).await;
        given
            .map_err(|error| error.code())
            .map(|device| device.kind)
    };
    assert_eq!(give(ADA, 1).await, Ok(DeviceKind::Yubikey));
    assert_eq!(give(ADA, 1).await, Err("enrol_not_stocked"));
    assert_eq!(give(nobody, 2).await, Err("enrol_no_owner"));
    assert_eq!(scene.says(ADA, &touch(&mut key)).await, "right");
    assert_eq!(scene.service.devices().await.unwrap().len(), 2);
}

/// Somebody can write to the registry, and has no key file.
#[tokio::test]
async fn a_record_that_is_copied_or_changed_opens_for_nobody() {
    let scene = Scene::new();
    let mut key = scene.yubikey(ADA, 1).await;
    let of_ada = scene.devices.of(ADA).await.unwrap().remove(0);
    let changes: [fn(&mut Device); 5] = [
        |device| device.subject = "bob".to_owned(),
        |device| device.issuer = "https://other.example.com".to_owned(),
        |device| device.id = DeviceId::from_random([1; 16]),
        |device| *device.sealed.last_mut().unwrap() ^= 1,
        |device| device.sealed.truncate(20),
    ];
    for change in changes {
        let mut forged = of_ada.clone();
        change(&mut forged);
        scene
            .devices
            .replace(&of_ada.id, forged.clone())
            .await
            .unwrap();
        let otp = touch(&mut key);
        let said = scene.says(forged.owner(), &otp).await;
        assert_eq!(said, "unavailable", "{forged:?}");
        let back = scene.devices.replace(&forged.id, of_ada.clone()).await;
        assert!(back.unwrap());
        assert_eq!(scene.says(ADA, &otp).await, "right");
    }
}

#[tokio::test]
async fn another_key_file_is_named_as_the_reason() {
    let scene = Scene::new();
    let mut key = scene.yubikey(ADA, 1).await;
    let build = |keys| {
        let devices = Arc::<MemoryDevices>::clone(&scene.devices);
        OtpService::builder(devices, keys, Arc::clone(&scene.state))
            .build()
            .unwrap()
    };
    let other = || SealingKey::new(&[8; 32]).unwrap();
    let service = build(SealingKeys::new(other()));
    let otp = touch(&mut key);
    let verified = service.verify(ADA, &otp, ready(Ok(Claim::First)));
    match verified.await {
        Err(OtpError::Unavailable(why)) => {
            assert!(why.to_string().contains("another key file"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    // What was sealed by a key of before still opens beside a new one.
    let service = build(SealingKeys::new(other()).and(SealingKey::new(&[7; 32]).unwrap()));
    let otp = touch(&mut key);
    let verified = service.verify(ADA, &otp, ready(Ok(Claim::First)));
    assert_eq!(verified.await.unwrap().label(), "first");
}

#[test]
fn a_key_file_is_made_once_and_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otp.key");
    let made = SealingKey::create(&path).unwrap();
    assert_eq!(
        format!("{made:?}"),
        format!("{:?}", SealingKey::load(&path).unwrap())
    );
    assert_eq!(
        SealingKey::create(&path).unwrap_err().code(),
        "seal_key_file"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let readable_by = |bits| std::fs::Permissions::from_mode(bits);
        let found = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(found.mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, readable_by(0o644)).unwrap();
        assert_eq!(SealingKey::load(&path).unwrap_err().code(), "seal_key_file");
        std::fs::set_permissions(&path, readable_by(0o600)).unwrap();
    }
    for text in ["", "countersign-otp-key-1 AAAA\n", "hunter2\n"] {
        std::fs::write(&path, text).unwrap();
        let error = SealingKey::load(&path).unwrap_err();
        assert_eq!(error.code(), "seal_key_malformed", "{text:?}");
    }
}

/// 64 requests with one password: the limit does not let more than one through
/// either, and nobody is told twice that it was right.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_is_right() {
    let scene = Scene::new();
    let mut key = scene.yubikey(ADA, 1).await;
    for _ in 0..16 {
        let otp = touch(&mut key);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (service, otp) = (scene.service.clone(), otp.clone());
            tasks.spawn(async move {
                service
                    .verify(ADA, &otp, ready(Ok(Claim::First)))
                    .await
                    .is_ok()
            });
        }
        let right = tasks.join_all().await;
        assert_eq!(right.into_iter().filter(|right| *right).count(), 1);
        scene.service.unlock(ADA).await.unwrap();
    }
}

#[test]
fn no_password_is_shown() {
    let typed = Typed::new(Method::Totp, Secret::new("123456"));
    assert!(!format!("{typed:?}").contains("123456"));
}

#[tokio::test]
async fn the_memory_keeps_what_every_registry_promises() {
    let devices: Arc<dyn Devices> = Arc::new(MemoryDevices::new());
    conformance::check(&devices, &Arc::clone(&devices)).await;
}

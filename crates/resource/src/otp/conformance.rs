//! What every [`Devices`] has to keep, as one suite that is run over each
//! implementation.
//!
//! Its names are new in every run, so it may run over a registry that is in use.

use std::sync::Arc;
use std::time::Duration;

use countersign_jose::crypto;
use tokio::task::JoinSet;

use super::Person;
use super::device::{Device, DeviceId, DeviceKind, Devices, DevicesError, MAX_DEVICES, NewSeal};
use crate::Timestamp;

/// Holds an implementation to its promises. `other` is a second replica over
/// the same registry.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn check(devices: &Arc<dyn Devices>, other: &Arc<dyn Devices>) {
    let suite = Suite {
        devices,
        other,
        issuer: format!("https://{}.example", random_id()),
    };
    suite.what_is_added_is_read_back_as_it_was().await;
    suite.a_public_id_is_taken_once().await;
    suite.all_are_added_or_none().await;
    suite.a_person_has_so_many_and_no_more().await;
    suite.one_takes_the_place_of_another().await;
    suite.a_seal_is_put_in_the_place_of_the_one_before().await;
}

struct Suite<'a> {
    devices: &'a Arc<dyn Devices>,
    other: &'a Arc<dyn Devices>,
    issuer: String,
}

impl Suite<'_> {
    fn device(&self, subject: &str, public_id: Option<&str>) -> Device {
        Device {
            id: random_id(),
            issuer: self.issuer.clone(),
            subject: subject.to_owned(),
            kind: public_id.map_or(DeviceKind::Totp, |_| DeviceKind::RemoteYubikey),
            label: "Größe'; -- 1".to_owned(),
            public_id: public_id.map(str::to_owned),
            enrolled_at: Timestamp::from_millis(1_790_000_000_123),
            last_used_at: None,
            sealed: vec![0, 1, 0xff],
        }
    }

    async fn of(&self, subject: &str) -> Vec<Device> {
        let who = Person::new(&self.issuer, subject);
        self.other.of(who).await.expect("the registry answers")
    }

    async fn add(&self, devices: Vec<Device>) -> Result<(), &'static str> {
        let added = self.devices.add(devices).await;
        added.map_err(|error| error.code())
    }

    async fn what_is_added_is_read_back_as_it_was(&self) {
        assert_eq!(self.of("ada").await, []);
        let mut one = self.device("ada", None);
        let mut later = self.device("ada", Some(&random_public_id()));
        later.enrolled_at = one.enrolled_at + Duration::from_secs(1);
        self.add(vec![later.clone()]).await.expect("added");
        self.add(vec![one.clone()]).await.expect("added");
        assert_eq!(self.of("ada").await, [one.clone(), later.clone()]);
        assert_eq!(self.of("Ada").await, [], "another subject");
        let elsewhere = self.other.of(Person::new("https://other.example", "ada"));
        assert_eq!(elsewhere.await.expect("answered"), [], "another issuer");
        let all = self.other.all().await.expect("answered");
        assert!(all.contains(&one) && all.contains(&later));

        let at = one.enrolled_at + Duration::from_secs(60);
        for at in [at, one.enrolled_at] {
            self.devices.used(&one.id, at).await.expect("noted");
        }
        one.last_used_at = Some(at);
        assert_eq!(self.of("ada").await.first(), Some(&one));

        assert!(self.devices.remove(&one.id).await.expect("answered"));
        assert!(!self.devices.remove(&one.id).await.expect("answered"));
        assert_eq!(self.of("ada").await, [later]);
    }

    async fn a_public_id_is_taken_once(&self) {
        let public_id = random_public_id();
        let mut tasks = JoinSet::new();
        for number in 0..16 {
            let replica = Arc::clone(if number % 2 == 0 {
                self.devices
            } else {
                self.other
            });
            let device = self.device(&format!("racer {number}"), Some(&public_id));
            tasks.spawn(async move { replica.add(vec![device]).await });
        }
        let mut added = 0;
        for outcome in tasks.join_all().await {
            match outcome {
                Ok(()) => added += 1,
                Err(DevicesError::Taken(taken)) => assert_eq!(taken, public_id),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(added, 1, "of many enrolments of one key one happens");
    }

    async fn all_are_added_or_none(&self) {
        let (one, two) = (random_public_id(), random_public_id());
        self.add(vec![self.device("box", Some(&one))])
            .await
            .expect("added");
        let more = vec![
            self.device("box", Some(&two)),
            self.device("box", Some(&one)),
        ];
        assert_eq!(self.add(more).await, Err("device_taken"));
        assert_eq!(self.of("box").await.len(), 1);
    }

    async fn a_person_has_so_many_and_no_more(&self) {
        let many = (0..MAX_DEVICES).map(|_| self.device("collector", None));
        self.add(many.collect()).await.expect("added");
        let more = vec![self.device("collector", None)];
        assert_eq!(self.add(more).await, Err("devices_too_many"));
        assert_eq!(self.of("collector").await.len(), MAX_DEVICES);
        // A stock has no such limit.
        let mut stocked = Vec::new();
        for _ in 0..=MAX_DEVICES {
            let mut device = self.device("", Some(&random_public_id()));
            device.issuer.clear();
            stocked.push(device);
        }
        self.add(stocked.clone()).await.expect("added");
        for device in stocked {
            assert!(self.other.remove(&device.id).await.expect("answered"));
        }
    }

    async fn one_takes_the_place_of_another(&self) {
        let public_id = random_public_id();
        let old = self.device("before", Some(&public_id));
        let new = self.device("after", Some(&public_id));
        self.add(vec![old.clone()]).await.expect("added");
        let replaced = self.devices.replace(&old.id, new.clone()).await;
        assert!(replaced.expect("answered"));
        assert_eq!(self.of("before").await, []);
        assert_eq!(self.of("after").await, [new]);
        let again = self.device("late", Some(&random_public_id()));
        let replaced = self.devices.replace(&old.id, again).await;
        assert!(!replaced.expect("answered"));
        assert_eq!(self.of("late").await, []);
    }

    async fn a_seal_is_put_in_the_place_of_the_one_before(&self) {
        let devices = [(); 3].map(|()| self.device("keeper", None));
        self.add(devices.to_vec()).await.expect("added");
        let [mut one, other, gone] = devices;
        assert!(self.devices.remove(&gone.id).await.expect("answered"));
        let seal = |device: &Device, before: &[u8], after: &[u8]| NewSeal {
            id: device.id.clone(),
            before: before.to_vec(),
            after: after.to_vec(),
        };
        let seals = vec![
            seal(&one, &one.sealed, &[7]),
            seal(&other, &[9], &[7]),
            seal(&gone, &gone.sealed, &[7]),
        ];
        let resealed = self.devices.reseal(seals).await;
        assert_eq!(resealed.expect("answered"), 1);
        one.sealed = vec![7];
        let mut left = self.of("keeper").await;
        left.sort_by(|a, b| b.sealed.cmp(&a.sealed));
        assert_eq!(left, [one, other], "nothing else has changed");
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    crypto::aws_lc::provider()
        .fill_random(&mut bytes)
        .expect("this machine has random values");
    bytes
}

fn random_id() -> DeviceId {
    DeviceId::from_random(random())
}

fn random_public_id() -> String {
    let letters: Vec<char> = "cbdefghijklnrtuv".chars().collect();
    let letter = |byte| letters.get(usize::from(byte & 0xf_u8));
    random::<12>().into_iter().filter_map(letter).collect()
}

//! Another key for the registry of devices, by the real program: in one step, whenever it is killed.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use countersign_resource::SqliteFile;
use countersign_resource::otp::{Devices as _, OtpError, OtpService, SealingKey, SealingKeys};

use crate::devices::{FILE, Place};

/// Enough for the change to take a while.
const KEYS: u32 = 2000;

/// Names these key files in the configuration, and makes the first if it is missing.
fn name(place: &Place, files: &str) {
    let text = FILE.replace("key_file = \"otp.key\"", &format!("key_file = {files}"));
    fs::write(place.path("gateway.toml"), text).unwrap();
    place.otp(&["init", "gateway.toml"], "").expect_code(0);
}

/// A registry with a box of keys in stock, sealed with `otp.key`.
fn stocked() -> Place {
    let place = Place::new();
    let mut keys = String::new();
    for number in 0..KEYS {
        let letters: String = format!("{number:04x}")
            .chars()
            .filter_map(|digit| {
                let digit = usize::try_from(digit.to_digit(16)?).ok()?;
                "cbdefghijklnrtuv".chars().nth(digit)
            })
            .collect();
        let _ = writeln!(
            keys,
            "{number},cccccccc{letters},010101010101,{number:032x},,,,"
        );
    }
    let imported = place.otp(&["import", "gateway.toml", "-"], &keys);
    imported.expect_code(0);
    place
}

/// Whether every device opens with these keys.
fn opens(place: &Place, files: &[&str]) -> Result<(), OtpError> {
    let mut keys = files
        .iter()
        .map(|file| SealingKey::load(&place.path(file)).unwrap());
    let first = SealingKeys::new(keys.next().unwrap());
    let keys = keys.fold(first, SealingKeys::and);
    let file = SqliteFile::open(&place.path("otp.sqlite")).unwrap();
    let service = OtpService::builder(Arc::new(file.clone()), keys, Arc::new(file));
    wait(service.build().unwrap().probe())
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

#[test]
fn a_registry_is_sealed_with_another_key_and_the_old_one_opens_nothing() {
    let place = stocked();
    let file = SqliteFile::open(&place.path("otp.sqlite")).unwrap();
    let before = wait(file.all()).unwrap();
    drop(file);
    let again = place.otp(&["reseal", "gateway.toml"], "").expect_code(0);
    assert!(again.stdout.contains("otp.key already"), "{}", again.stdout);

    name(&place, "[\"new.key\", \"otp.key\"]");
    let done = place.otp(&["reseal", "gateway.toml"], "").expect_code(0);
    assert!(
        done.stdout.starts_with("sealed 2000 devices with "),
        "{}",
        done.stdout
    );
    let audited = place.audited();
    let line = audited.last().unwrap();
    assert_eq!(line["event"], "otp_reseal", "{line}");
    assert_eq!(line["keys"], 2000, "{line}");

    opens(&place, &["new.key"]).unwrap();
    assert_eq!(
        opens(&place, &["otp.key"]).unwrap_err().code(),
        "unavailable"
    );
    name(&place, "\"otp.key\"");
    let refused = place.otp(&["reseal", "gateway.toml"], "").expect_code(1);
    assert!(
        refused.stderr.contains("sealed with another key file"),
        "{}",
        refused.stderr
    );

    // What the old key opens is not on the disk any more.
    for name in ["otp.sqlite", "otp.sqlite-wal"] {
        let bytes = fs::read(place.path(name)).unwrap_or_default();
        for device in before.iter().step_by(100) {
            let sealed = device.sealed.get(9..).unwrap();
            let found = bytes.windows(sealed.len()).any(|piece| piece == sealed);
            assert!(!found, "{name}: {}", device.id);
        }
    }
}

#[test]
fn killed_at_any_time_it_leaves_what_both_keys_open() {
    let place = stocked();
    let orders = ["[\"new.key\", \"otp.key\"]", "[\"otp.key\", \"new.key\"]"];
    let mut killed = 0;
    loop {
        name(&place, orders[killed % 2]);
        let mut running = place.program(&["reseal", "gateway.toml"]).start();
        // A little later each time, until it is too late.
        thread::sleep(Duration::from_millis(10) * u32::try_from(killed).unwrap());
        if running.has_ended() {
            running.finish().expect_code(0);
            break;
        }
        running.kill();
        drop(running);
        opens(&place, &["new.key", "otp.key"]).unwrap();
        killed += 1;
    }
    assert!(killed > 0);
    let (first, second) = if killed % 2 == 0 {
        ("new.key", "otp.key")
    } else {
        ("otp.key", "new.key")
    };
    opens(&place, &[first]).unwrap();
    assert!(opens(&place, &[second]).is_err());
}

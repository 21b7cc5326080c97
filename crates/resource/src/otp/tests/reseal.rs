//! Another key for the secrets of a registry.

use super::*;

fn key(byte: u8) -> SealingKey {
    SealingKey::new(&[byte; 32]).unwrap()
}

impl Scene {
    /// The same registry and memory, with other keys.
    fn with(&self, keys: SealingKeys) -> Self {
        let registry = Arc::<MemoryDevices>::clone(&self.devices);
        let builder = OtpService::builder(registry, keys, Arc::clone(&self.state));
        let service = builder.clock(Arc::new(self.clock.clone())).build().unwrap();
        Self {
            clock: self.clock.clone(),
            devices: Arc::clone(&self.devices),
            state: Arc::clone(&self.state),
            service,
        }
    }
}

#[tokio::test]
async fn the_new_key_opens_everything_and_the_old_one_nothing() {
    let before = Scene::new();
    let mut yubikey = before.yubikey(ADA, 1).await;
    let totp = before.totp(BOB).await;
    let remote = NewDevice::RemoteYubikey("vvcccccccccb".parse().unwrap());
    before.enrol(BOB, remote).await;
    let stock =
        KeyFile::parse("7,cccccccccccd,020202020202,57575757575757575757575757575757,,,,\n");
    before
        .service
        .stock(stock.unwrap().records())
        .await
        .unwrap();

    let both = before.with(SealingKeys::new(key(9)).and(key(7)));
    assert_eq!(both.says(ADA, &touch(&mut yubikey)).await, "right");
    assert_eq!(both.service.reseal().await.unwrap(), 3);
    assert_eq!(both.service.reseal().await.unwrap(), 0);

    let after = before.with(SealingKeys::new(key(9)));
    after.service.probe().await.unwrap();
    assert_eq!(after.says(ADA, &touch(&mut yubikey)).await, "right");
    assert_eq!(after.says(BOB, &after.code(&totp)).await, "right");
    let stocked = NewDevice::Stocked("cccccccccccd".parse().unwrap());
    after.enrol(ADA, stocked).await;

    let refused = before.service.probe().await.unwrap_err();
    assert_eq!(refused.code(), "unavailable");
    assert_eq!(before.says(ADA, &touch(&mut yubikey)).await, "unavailable");
}

#[tokio::test]
async fn what_no_key_opens_is_named_and_nothing_is_changed() {
    let before = Scene::new();
    before.yubikey(ADA, 1).await;
    let odd = before.with(SealingKeys::new(key(8)));
    let device = odd.enrol(BOB, NewDevice::totp().unwrap()).await;
    let registered = before.devices.all().await.unwrap();

    let both = before.with(SealingKeys::new(key(9)).and(key(7)));
    let refused = both.service.reseal().await.unwrap_err();
    assert_eq!(refused.code(), "seal_other_key");
    assert!(
        refused.to_string().contains(device.id.as_str()),
        "{refused}"
    );
    assert_eq!(before.devices.all().await.unwrap(), registered);
}

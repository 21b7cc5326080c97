//! A registry that is gone with the process: for tests, and for whoever fills
//! one from somewhere else at every start.

use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Person;
use super::device::{Device, DeviceId, Devices, DevicesError, DevicesFuture, MAX_DEVICES, NewSeal};
use crate::Timestamp;

/// A [`Devices`] in memory.
#[derive(Debug, Default)]
pub struct MemoryDevices(Mutex<Vec<Device>>);

impl MemoryDevices {
    /// Without a device.
    pub fn new() -> Self {
        Self::default()
    }

    fn devices(&self) -> MutexGuard<'_, Vec<Device>> {
        // Each change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `old` away and adds the others, all of it or nothing; whether `old`
    /// was there.
    fn change(&self, old: Option<&DeviceId>, new: Vec<Device>) -> Result<bool, DevicesError> {
        let mut devices = self.devices();
        let mut after = devices.clone();
        if let Some(old) = old {
            let Some(at) = after.iter().position(|device| device.id == *old) else {
                return Ok(false);
            };
            after.remove(at);
        }
        for device in new {
            let is_taken = |other: &&Device| other.public_id == device.public_id;
            if let Some(public_id) = &device.public_id
                && after.iter().any(|other| is_taken(&other))
            {
                return Err(DevicesError::Taken(public_id.clone()));
            }
            let owned = after.iter().filter(|it| it.owner() == device.owner());
            if device.has_owner() && owned.count() >= MAX_DEVICES {
                return Err(DevicesError::TooMany);
            }
            after.push(device);
        }
        *devices = after;
        Ok(true)
    }
}

impl Devices for MemoryDevices {
    fn of<'a>(&'a self, who: Person<'a>) -> DevicesFuture<'a, Vec<Device>> {
        let mut found = self.devices().clone();
        found.retain(|device| device.owner() == who);
        found.sort_by(|a, b| (a.enrolled_at, &a.id).cmp(&(b.enrolled_at, &b.id)));
        Box::pin(ready(Ok(found)))
    }

    fn all(&self) -> DevicesFuture<'_, Vec<Device>> {
        let mut all = self.devices().clone();
        let order = |it: &Device| {
            let (issuer, subject) = (it.issuer.clone(), it.subject.clone());
            (issuer, subject, it.enrolled_at, it.id.clone())
        };
        all.sort_by_key(order);
        Box::pin(ready(Ok(all)))
    }

    fn add(&self, devices: Vec<Device>) -> DevicesFuture<'_, ()> {
        Box::pin(ready(self.change(None, devices).map(drop)))
    }

    fn replace<'a>(&'a self, old: &'a DeviceId, new: Device) -> DevicesFuture<'a, bool> {
        Box::pin(ready(self.change(Some(old), vec![new])))
    }

    fn reseal(&self, seals: Vec<NewSeal>) -> DevicesFuture<'_, usize> {
        let mut devices = self.devices();
        let mut resealed = 0;
        for seal in seals {
            let is_it = |it: &&mut Device| it.id == seal.id && it.sealed == seal.before;
            if let Some(device) = devices.iter_mut().find(is_it) {
                device.sealed = seal.after;
                resealed += 1;
            }
        }
        Box::pin(ready(Ok(resealed)))
    }

    fn remove<'a>(&'a self, id: &'a DeviceId) -> DevicesFuture<'a, bool> {
        let mut devices = self.devices();
        let before = devices.len();
        devices.retain(|device| device.id != *id);
        Box::pin(ready(Ok(devices.len() < before)))
    }

    fn used<'a>(&'a self, id: &'a DeviceId, at: Timestamp) -> DevicesFuture<'a, ()> {
        if let Some(device) = self.devices().iter_mut().find(|it| it.id == *id) {
            device.last_used_at = device.last_used_at.max(Some(at));
        }
        Box::pin(ready(Ok(())))
    }
}

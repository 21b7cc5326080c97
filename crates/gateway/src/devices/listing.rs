//! Devices as text for people, and as JSON for programs. Never a secret.

use std::fmt::Write as _;

use countersign_oauth::text::printable;
use countersign_resource::Timestamp;
use countersign_resource::otp::Device;
use serde_json::{Value, json};

use crate::audit::rfc_3339;

/// By owner, two lines for each device; none is longer than a terminal is wide, as long as the names
/// are not.
pub(super) fn text(devices: &[Device], with_stock: bool) -> String {
    let mut out = String::new();
    let mut owner = None;
    for device in devices.iter().filter(|device| device.has_owner()) {
        if owner != Some(device.owner()) {
            owner = Some(device.owner());
            let (subject, issuer) = (printable(&device.subject), printable(&device.issuer));
            let _ = writeln!(out, "{subject}  ({issuer})");
        }
        let what = match &device.public_id {
            Some(public_id) => format!("{} {public_id}", device.kind.as_str()),
            None => device.kind.as_str().to_owned(),
        };
        let used = match device.last_used_at {
            Some(at) => format!("last used {}", date(at)),
            None => "not used yet".to_owned(),
        };
        let enrolled = date(device.enrolled_at);
        let _ = writeln!(out, "  {}  {}", device.id, printable(&device.label));
        let _ = writeln!(out, "    {what}, enrolled {enrolled}, {used}");
    }
    let stocked = devices.iter().filter(|device| !device.has_owner()).count();
    if out.is_empty() {
        out.push_str("nobody has a device\n");
    }
    if with_stock && stocked > 0 {
        let _ = writeln!(out, "in stock: {}", keys(stocked));
    }
    out
}

/// One object for each device; those in stock have no `sub`.
pub(super) fn json(devices: &[Device]) -> String {
    let values: Vec<Value> = devices.iter().map(value).collect();
    format!("{}\n", Value::from(values))
}

pub(super) fn value(device: &Device) -> Value {
    let mut value = json!({
        "device": device.id.as_str(),
        "kind": device.kind.as_str(),
        "label": device.label,
        "enrolled_at": device.enrolled_at.as_secs(),
    });
    if let Some(members) = value.as_object_mut() {
        if device.has_owner() {
            members.insert("iss".to_owned(), device.issuer.as_str().into());
            members.insert("sub".to_owned(), device.subject.as_str().into());
        }
        if let Some(public_id) = &device.public_id {
            members.insert("public_id".to_owned(), public_id.as_str().into());
        }
        if let Some(at) = device.last_used_at {
            members.insert("last_used_at".to_owned(), at.as_secs().into());
        }
    }
    value
}

/// A device in a sentence, in lines of its own.
pub(super) fn name(device: &Device) -> String {
    let mut out = format!("{} \"{}\"", device.kind.as_str(), printable(&device.label));
    if device.has_owner() {
        let _ = write!(out, " of {}", printable(&device.subject));
    }
    let _ = write!(out, "\n  device  {}", device.id);
    if let Some(public_id) = &device.public_id {
        let _ = write!(out, "\n  key     {public_id}");
    }
    out
}

pub(super) fn keys(number: usize) -> String {
    match number {
        1 => "one key".to_owned(),
        _ => format!("{number} keys"),
    }
}

fn date(at: Timestamp) -> String {
    let text = rfc_3339(at);
    text.split('T').next().unwrap_or_default().to_owned()
}

//! What can be wrong with the device authorization (RFC 8628, section 3.2).

use countersign_testkit::Endpoint::DeviceAuthorization as DEVICE;
use countersign_testkit::Reply;
use serde_json::json;

use super::{Fault, always, dripping, fault, html, huge, raw_json, refuse, remove, set};

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const ROWS: [Fault; 27] = [
    fault("the client may not use the grant", |p| refuse(p, DEVICE, 400, "unauthorized_client"), "unauthorized_client", 7),
    fault("the client is unknown", |p| refuse(p, DEVICE, 401, "invalid_client"), "invalid_client", 7),
    fault("the scope is unknown", |p| refuse(p, DEVICE, 400, "invalid_scope"), "invalid_scope", 7),
    fault("the request is not understood", |p| refuse(p, DEVICE, 400, "invalid_request"), "invalid_request", 1),
    fault("an error with an empty body", |p| always(p, DEVICE, Reply::new(403)), "refused_without_reason", 1),
    fault("a web page for codes", |p| always(p, DEVICE, html(200)), "html_response", 1),
    fault("no codes because of trouble", |p| always(p, DEVICE, html(503)), "server_unavailable", 3),
    fault("too many requests", |p| always(p, DEVICE, Reply::new(429).with_header("retry-after", "60")), "server_unavailable", 3),
    fault("codes elsewhere", |p| always(p, DEVICE, Reply::redirect(307, "https://elsewhere.example/")), "redirect_refused", 7),
    fault("codes cut short", |p| always(p, DEVICE, raw_json("{\"device_code\":\"secret-abc")), "invalid_json", 1),
    fault("codes of a megabyte", |p| always(p, DEVICE, huge()), "response_too_large", 1),
    fault("no answer to the request for codes", |p| always(p, DEVICE, Reply::never()), "timeout", 3),
    fault("codes that drip", |p| always(p, DEVICE, dripping()), "timeout", 3),
    fault("codes lost in the middle", |p| always(p, DEVICE, raw_json("{\"device_code\":\"secret-abc\"}").cut_after(20)), "connection_closed", 3),
    fault("nothing at all for codes", |p| always(p, DEVICE, Reply::new(200)), "empty_response", 1),
    fault("two device codes", |p| always(p, DEVICE, raw_json("{\"device_code\":\"secret-a\",\"device_code\":\"secret-b\"}")), "duplicate_member", 1),
    fault("no device code", |p| remove(p, DEVICE, "device_code"), "missing_member", 1),
    fault("no user code", |p| remove(p, DEVICE, "user_code"), "missing_member", 1),
    fault("no lifetime", |p| remove(p, DEVICE, "expires_in"), "missing_member", 1),
    fault("no verification address", |p| remove(p, DEVICE, "verification_uri"), "missing_member", 1),
    fault("a verification address that is a program", |p| set(p, DEVICE, "verification_uri", json!("javascript:alert(1)")), "insecure_endpoint_url", 1),
    fault("a verification address that is a file", |p| set(p, DEVICE, "verification_uri", json!("file:///etc/passwd")), "insecure_endpoint_url", 1),
    fault("a complete address that is a program", |p| set(p, DEVICE, "verification_uri_complete", json!("javascript:alert(1)")), "insecure_endpoint_url", 1),
    fault("a verification address without TLS", |p| set(p, DEVICE, "verification_uri", json!("http://id.example.com/device")), "insecure_endpoint_url", 1),
    fault("a user code that moves the cursor", |p| set(p, DEVICE, "user_code", json!("AB\u{1b}[2JCD")), "unusable_user_code", 1),
    fault("codes that expire before the first poll", |p| set(p, DEVICE, "expires_in", json!(1)), "no_time_to_poll", 1),
    fault("a lifetime that is no number", |p| set(p, DEVICE, "expires_in", json!("soon")), "wrong_member_type", 1),
];

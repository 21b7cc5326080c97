//! A `CheckRequest` of Envoy, read from the bytes of a call.
//!
//! The numbers of its fields are those of `envoy/service/auth/v3/external_auth.proto` and
//! `attribute_context.proto` beside it; those of addresses, headers and lists of headers are in
//! `envoy/config/core/v3/address.proto` and `base.proto`. What is said twice is refused, because parts
//! of a message could be put together in two ways.
//!
//! Not responsible for what becomes of the request.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::subject::Subject;
use super::wire::{Malformed, fields, nested};

/// Why a call asks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoQuestion {
    /// The bytes are no message.
    Malformed,
    /// A message that lacks a part.
    Incomplete,
    /// A part is no method, or no host.
    Unfit,
}

impl NoQuestion {
    /// A stable name for logs and metrics.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Malformed => "grpc_malformed",
            Self::Incomplete => "forward_missing",
            Self::Unfit => "forward_malformed",
        }
    }
}

/// The request in a `CheckRequest`.
pub(super) fn question(body: &[u8]) -> Result<Subject, NoQuestion> {
    let malformed = |_: Malformed| NoQuestion::Malformed;
    // A flag for compression, which nobody agreed on, and the length.
    let message = match body.split_at_checked(5) {
        Some(([0, length @ ..], message))
            if <[u8; 4]>::try_from(length)
                .is_ok_and(|length| u32::from_be_bytes(length) as usize == message.len()) =>
        {
            message
        }
        _ => return Err(NoQuestion::Malformed),
    };
    let attributes = nested(message, 1).map_err(malformed)?;
    let http = nested(nested(attributes, 4).map_err(malformed)?, 2).map_err(malformed)?;
    let (mut method, mut target, mut host) = (None, None, None);
    let mut content: Option<&[u8]> = None;
    let mut headers = HeaderMap::new();
    fields(http, |field, value| {
        let place = match field {
            2 => &mut method,
            4 => &mut target,
            5 => &mut host,
            // `headers`, a map, and `header_map`, a list, for an Envoy that was told to send it.
            3 => return header(&mut headers, value.bytes()?),
            13 => {
                return fields(value.bytes()?, |field, value| match field {
                    1 => header(&mut headers, value.bytes()?),
                    _ => Ok(()),
                });
            }
            // `body` as text, or `raw_body`, for an Envoy that was told to send it.
            11 | 12 => {
                return match content.replace(value.bytes()?) {
                    None => Ok(()),
                    Some(_) => Err(Malformed),
                };
            }
            _ => return Ok(()),
        };
        match place.replace(value.text()?) {
            None => Ok(()),
            Some(_) => Err(Malformed),
        }
    })
    .map_err(malformed)?;
    let missing = || NoQuestion::Incomplete;
    let host = host.filter(|host| !host.is_empty()).ok_or_else(missing)?;
    Ok(Subject {
        method: Method::from_bytes(method.ok_or_else(missing)?.as_bytes())
            .map_err(|_| NoQuestion::Unfit)?,
        target: target.ok_or_else(missing)?.to_owned(),
        host: HeaderValue::from_str(host).map_err(|_| NoQuestion::Unfit)?,
        headers,
        client: source(attributes).map_err(malformed)?,
        body: Some(content.unwrap_or_default().to_vec()),
    })
}

/// A header: an entry of a map, or a `HeaderValue` with its bytes. Pseudo-headers are said elsewhere.
fn header(headers: &mut HeaderMap, entry: &[u8]) -> Result<(), Malformed> {
    let (mut name, mut value) = (None, None);
    fields(entry, |field, bytes| {
        let place = match field {
            1 => &mut name,
            2 | 3 => &mut value,
            _ => return Ok(()),
        };
        match place.replace(bytes.bytes()?) {
            None => Ok(()),
            Some(_) => Err(Malformed),
        }
    })?;
    let name = name.ok_or(Malformed)?;
    if name.starts_with(b":") {
        return Ok(());
    }
    let name = HeaderName::from_bytes(name).map_err(|_| Malformed)?;
    let value = HeaderValue::from_bytes(value.unwrap_or_default()).map_err(|_| Malformed)?;
    headers.append(name, value);
    Ok(())
}

/// Where the request came from: the socket address of the `source`, when it has one.
fn source(attributes: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    let address = nested(nested(nested(attributes, 1)?, 1)?, 1)?;
    let mut text = None;
    fields(address, |field, value| {
        if field == 2 {
            text = Some(value.text()?);
        }
        Ok(())
    })?;
    // A pipe has a name and no address.
    Ok(text
        .and_then(|text| text.parse::<IpAddr>().ok())
        .map(|address| address.to_canonical()))
}

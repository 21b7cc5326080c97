//! The device authorization grant (RFC 8628), seen from the client.
//!
//! Two machines: [`DeviceAuthorizationFlow`] asks for the codes, [`DeviceFlow`] waits for the person.
//! Not responsible for: showing the codes, and the clock.

mod authorization;
mod flow;
mod request;

pub use authorization::DeviceAuthorization;
pub use flow::DeviceFlow;
pub use request::DeviceAuthorizationFlow;

//! Authorization requests, and the authorization code grant with PKCE (RFC 6749, section 4.1; RFC 7636;
//! RFC 8252), seen from the client.
//!
//! Two machines and a value between them: [`AuthorizationFlow`] prepares the request, and pushes it first
//! where the server wants that (RFC 9126); [`PendingAuthorization`] is the request that is under way in a
//! browser, and reads what comes back; [`CodeFlow`] redeems the code. Not responsible for: the browser,
//! and whatever listens for the answer.

mod callback;
mod code;
mod flow;
mod kept;
mod pasted;
mod pending;
mod request;

pub use callback::{AuthorizationCode, CallbackError, MAX_CALLBACK, NotOurs};
pub use code::CodeFlow;
pub use flow::AuthorizationFlow;
pub use kept::KeptAuthorization;
pub use pending::PendingAuthorization;
pub use request::{AuthorizationRequest, Push};

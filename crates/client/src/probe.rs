//! Looking how things are, without signing anybody in: what `countersign doctor` is made of.
//!
//! Each function looks at one thing, ends within a limit (looking up a name has the system's own),
//! and says what it found. What that means to a person, and what to do about it, is for the caller to
//! say.

mod certificate;
mod flows;
mod place;
mod server;
mod store;
mod tls;
mod vault;

pub use certificate::Certificate;
pub use flows::{Allowed, Ways, client_credentials, code, device, ways};
pub use place::{Family, Proxy, bind, proxy};
pub use server::{Dated, Discovered, ServerClock, discover};
pub use store::{Store, store};
pub use tls::{Chain, danger_look_at_chain};
pub use vault::{Kept, Program, Vaults, kept, vaults};

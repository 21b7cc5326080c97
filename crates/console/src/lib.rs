//! What the programs of this house say to those who run them, and how they read what these wrote.
//!
//! - [`Problem`]: what went wrong, why, and what to type. Every program ends with it.
//! - [`settings`] (feature `settings`): a file of settings in TOML, in which a slip is told with its line
//!   and with the key that was probably meant; lengths of time and numbers of bytes.
//! - [`qr`] (feature `qr`): a QR code in half blocks, for a telephone that is held before the terminal.
//!
//! ```
//! use countersign_console::Problem;
//!
//! let problem = Problem::new("/etc/countersign/pam.toml is not used")
//!     .why("others than root can write it (mode 0666)")
//!     .hint("chmod go-w /etc/countersign/pam.toml");
//! assert_eq!(
//!     problem.to_string(),
//!     "error: /etc/countersign/pam.toml is not used\n  \
//!        why: others than root can write it (mode 0666)\n\
//!      hint: chmod go-w /etc/countersign/pam.toml\n"
//! );
//! ```
//!
//! Not responsible for which settings there are and what they mean together, nor for where anything is
//! printed. What the caller of a service is told, or a person who signs in, never comes from here.

mod problem;
#[cfg(feature = "qr")]
pub mod qr;
#[cfg(feature = "settings")]
pub mod settings;

pub use countersign_oauth::text::without_number;
pub use problem::Problem;

//! Each preset against the shapes its provider is documented to send, so that none can rot silently.
//!
//! The shapes were written for these tests after the providers' documentation; nothing in them was
//! recorded from a live account.

mod issuers;

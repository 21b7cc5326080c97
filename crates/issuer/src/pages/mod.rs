//! The pages people see: device, sign-in, set-up.
//!
//! Not responsible for any rule: a page asks [`crate::core::Core`] and shows
//! the outcome.

use axum::Router;

use crate::AppState;

/// The routes of all pages, to be merged into the server's router.
pub fn router(state: AppState) -> Router {
    Router::new().with_state(state)
}

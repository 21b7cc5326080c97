//! An API over axum, protected in ten lines, with one route that asks for a recent sign-in.
//!
//! `cargo run -p countersign-resource --example axum --features axum`, with an issuer at
//! <http://127.0.0.1:8910> (`countersign-issuer serve`). Then:
//!
//! ```text
//! curl -i http://127.0.0.1:3000/stock        # 401, with a challenge that says where to go
//! countersign curl http://127.0.0.1:3000/stock
//! ```

#![allow(
    clippy::print_stdout,
    reason = "an example says where it can be reached"
)]

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use countersign_resource::{Caller, Demands, Refused, Validator, ValidatorLayer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = std::env::var("ISSUER").unwrap_or_else(|_| "http://127.0.0.1:8910".to_owned());
    let validator = Validator::builder(issuer)
        .resource("http://127.0.0.1:3000")
        .required_scope("profile")
        .build()?;

    let mut app = Router::new()
        .route("/stock", get(stock))
        .route("/stock/clear", post(clear))
        .layer(ValidatorLayer::new(validator.clone()))
        .with_state(validator.clone());
    // In front of the layer: whoever has no token yet has to read it.
    if let Some(metadata) = validator.metadata() {
        app = app.route(metadata.path(), get(metadata.clone()));
    }

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Cannot be reached without a verified caller.
async fn stock(caller: Caller) -> String {
    format!("{} may look\n", caller.subject())
}

/// Asks for a sign-in of the last five minutes: an older one gets 401 with a challenge (RFC 9470),
/// upon which `countersign curl` signs in again and repeats the request.
async fn clear(State(validator): State<Validator>, caller: Caller) -> Result<String, Refused> {
    let recent = Demands::builder().max_age(Duration::from_secs(300));
    let recent = recent.build().unwrap_or_default();
    validator.demand(&caller, &recent)?;
    Ok(format!("{} may clear\n", caller.subject()))
}

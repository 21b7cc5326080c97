//! A protected API: what somebody writes who has an API and uses
//! `countersign-resource` in front of it.

use axum::routing::get;
use axum::{Json, Router};
use countersign_resource::{Caller, Validator, ValidatorLayer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::failure::{Failure, because};

/// The running API. It ends with the program.
#[derive(Debug)]
pub(crate) struct Api {
    /// The identifier that tokens for it carry as `aud`.
    pub(crate) audience: String,
    /// The one thing it offers.
    pub(crate) hello: Url,
}

impl Api {
    /// Serves on any free port of this machine.
    pub(crate) async fn start(issuer: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(because("the API cannot listen"))?;
        let address = listener
            .local_addr()
            .map_err(because("the API has no address"))?;
        let audience = format!("http://{address}");
        let hello =
            Url::parse(&format!("{audience}/hello")).map_err(because("the API has no URL"))?;

        let validator = Validator::builder(issuer)
            .resource(&*audience)
            .required_scope("profile")
            .build()
            .map_err(because("the validator cannot be built"))?;
        let mut app = Router::new()
            .route("/hello", get(greet))
            .layer(ValidatorLayer::new(validator.clone()));
        // Whoever has no token yet has to be able to read it.
        if let Some(metadata) = validator.metadata() {
            app = app.route(metadata.path(), get(metadata.clone()));
        }
        // It serves until the runtime ends; an error here shows as a refused
        // connection in the step that calls it.
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { audience, hello })
    }
}

/// Only ever called with a verified caller.
async fn greet(caller: Caller) -> Json<Value> {
    let name = caller.claims().str("name").ok().flatten();
    let name = name.unwrap_or_else(|| caller.subject());
    Json(json!({ "message": format!("Welcome, {name}") }))
}

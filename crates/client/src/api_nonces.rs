//! The nonces that APIs want in proofs (RFC 9449, section 9), from one process to the next.
//!
//! No secret: whoever asks the API is told one. Without the file, or with an old one, the first request
//! of a process is refused once more.

use countersign_oauth::{DpopKey, HttpResponse};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::cache::Cache;
use crate::{Context, SessionName};

/// As many APIs as anybody has in use; those of the last answers.
const MOST: usize = 16;

#[derive(Serialize, Deserialize)]
struct ApiNonce {
    origin: Url,
    nonce: String,
}

/// Has the key learn what is kept for its session.
pub(crate) fn recall(context: &Context, session: &SessionName, key: &DpopKey) {
    for kept in kept(context, session) {
        key.learn(&kept.origin, &answer(&kept.nonce));
    }
}

/// Keeps the nonce of an answer from `url`.
pub(crate) fn keep(context: &Context, session: &SessionName, url: &Url, nonce: &str) {
    let Ok(origin) = Url::parse(&url.origin().ascii_serialization()) else {
        return;
    };
    let mut all = kept(context, session);
    if all
        .iter()
        .any(|it| it.origin == origin && it.nonce == nonce)
    {
        return;
    }
    all.retain(|it| it.origin != origin);
    if all.len() >= MOST {
        all.remove(0);
    }
    all.push(ApiNonce {
        origin,
        nonce: nonce.to_owned(),
    });
    let now = context.clock().now();
    Cache::of(context).keep(&about(session), all, None, now);
}

/// The head of an answer that brings this nonce.
pub(crate) fn answer(nonce: &str) -> HttpResponse {
    HttpResponse {
        status: 401,
        headers: vec![("dpop-nonce".to_owned(), nonce.to_owned())],
        body: Vec::new(),
    }
}

fn kept(context: &Context, session: &SessionName) -> Vec<ApiNonce> {
    let now = context.clock().now();
    let kept = Cache::of(context).fresh::<Vec<ApiNonce>>(&about(session), now);
    kept.map(|(nonces, _)| nonces).unwrap_or_default()
}

fn about(session: &SessionName) -> String {
    format!("DPoP nonces of APIs, for {session}")
}

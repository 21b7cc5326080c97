//! The static files of the pages: one style sheet and one icon, named by their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;

use super::refusal::Refusal;

/// A file that never changes under its name, so that browsers may keep it for good.
pub(super) struct Asset {
    /// The path below the issuer's own, such as `/assets/style.1a2b3c.css`.
    pub(super) path: String,
    /// The media type to serve it with.
    pub(super) media_type: &'static str,
    /// The content.
    pub(super) content: &'static str,
}

/// The style sheet of every page.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "style",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../templates/assets/style.css"),
    )
});

/// The mark of Countersign, as the browser's icon for the pages.
pub(super) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "mark",
        "svg",
        "image/svg+xml",
        include_str!("../../templates/assets/mark.svg"),
    )
});

impl Asset {
    fn new(name: &str, extension: &str, media_type: &'static str, content: &'static str) -> Self {
        // FNV-1a: the name has to change with the content, nobody gains by forging it.
        let tag = content
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self {
            path: format!("/assets/{name}.{tag:016x}.{extension}"),
            media_type,
            content,
        }
    }

    /// The asset served under `path`, if there is one.
    pub(super) fn find(path: &str) -> Option<&'static Self> {
        [&*STYLE, &*ICON]
            .into_iter()
            .find(|asset| asset.path == path)
    }
}

/// `GET /assets/{file}`.
pub(super) async fn serve(Path(file): Path<String>) -> Response {
    match Asset::find(&format!("/assets/{file}")) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.content,
        )
            .into_response(),
        None => Refusal::NotFound.into_response(),
    }
}

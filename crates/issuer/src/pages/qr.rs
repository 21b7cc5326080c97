//! A QR code as the path of an inline drawing: black on white in either colour scheme, which is
//! what cameras read.
//!
//! Not responsible for what it says.

use std::fmt::Write as _;

use countersign_oauth::Secret;
use qrcode::types::Color;
use qrcode::{EcLevel, QrCode};

/// The light border that readers need around the code, in modules (ISO/IEC 18004, section 6.3.8).
const QUIET: usize = 4;

/// A QR code, in units of one module.
#[derive(Debug)]
pub(super) struct Qr {
    /// How wide and high it is, the border included.
    pub(super) size: usize,
    /// The dark modules, as the `d` of a path. It says what the code says.
    pub(super) path: Secret,
}

impl Qr {
    /// Encodes `text`; `None` when it is too long for any QR code.
    pub(super) fn new(text: &Secret) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text.expose(), EcLevel::M).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (row, modules) in code.to_colors().chunks(width).enumerate() {
            let mut column = 0;
            // One stroke for each run of dark modules.
            for run in modules.chunk_by(|one, next| one == next) {
                if run.first() == Some(&Color::Dark) {
                    let (x, y, length) = (column + QUIET, row + QUIET, run.len());
                    // Writing to a string cannot fail.
                    let _ = write!(path, "M{x} {y}h{length}v1h-{length}z");
                }
                column += run.len();
            }
        }
        Some(Self {
            size: width + 2 * QUIET,
            path: Secret::from(path),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finder pattern in the corner: seven dark modules, a ring, three by three.
    #[test]
    fn the_drawing_begins_with_the_corner_of_every_qr_code() {
        let qr = Qr::new(&Secret::new("otpauth://totp/x?secret=AAAA")).unwrap();
        let path = qr.path.expose();
        assert!(path.starts_with("M4 4h7v1h-7z"), "{path}");
        assert!(path.contains("M4 5h1v1h-1z") && path.contains("M6 6h3v1h-3z"));
        assert!(qr.size >= 21 + 8);
        assert!(Qr::new(&Secret::new("x".repeat(5_000))).is_none());
    }
}

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

    /// What an independent reader reads from the drawing.
    fn read(qr: &Qr) -> String {
        const SCALE: usize = 4;
        let mut dark = vec![vec![false; qr.size]; qr.size];
        for stroke in qr.path.expose().split_terminator('z') {
            let (place, length) = stroke.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let (length, back) = length.split_once("v1h-").unwrap();
            assert_eq!(length, back);
            let (x, y, length): (usize, usize, usize) = (
                x.parse().unwrap(),
                y.parse().unwrap(),
                length.parse().unwrap(),
            );
            dark[y][x..x + length].fill(true);
        }
        let side = qr.size * SCALE;
        let mut image =
            rqrr::PreparedImage::prepare_from_bitmap(side, side, |x, y| dark[y / SCALE][x / SCALE]);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn an_independent_reader_reads_what_was_drawn() {
        let longest = "x".repeat(2_048);
        for text in [
            "otpauth://totp/127.0.0.1:ada?secret=GEZDGNBVGY3TQOJQ&issuer=127.0.0.1",
            "a",
            &longest,
        ] {
            let qr = Qr::new(&Secret::new(text)).unwrap();
            assert_eq!(read(&qr), text);
        }
        assert!(Qr::new(&Secret::new("x".repeat(5_000))).is_none());
    }
}

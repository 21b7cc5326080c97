//! A QR code in half blocks: two modules to a character, one above the other.
//!
//! Not responsible for what it says.

use qrcode::types::Color;
use qrcode::{EcLevel, QrCode};

/// The light border that readers need around the code, in modules (ISO/IEC 18004, section 6.3.8).
const QUIET: usize = 4;

/// Draws `text`, black on white whatever the terminal's own colours are. `None` when it is too long.
pub(crate) fn draw(text: &str) -> Option<String> {
    // The smallest, because it has to fit on a screen.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let size = code.width();
    let colors = code.to_colors();
    let is_dark = |row: usize, column: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < size);
        let at = inside(row).zip(inside(column));
        let color = at.and_then(|(row, column)| colors.get(row * size + column));
        color == Some(&Color::Dark)
    };
    let mut out = String::new();
    for row in (0..size + 2 * QUIET).step_by(2) {
        // Colours 16 and 231 of the 256 are black and white; themes may change the first 16.
        out.push_str("\x1b[38;5;16;48;5;231m");
        for column in 0..size + 2 * QUIET {
            out.push(match (is_dark(row, column), is_dark(row + 1, column)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str("\x1b[0m\n");
    }
    Some(out)
}

//! A QR code in half blocks: two modules to a character, one above the other, and no colours, because
//! the ssh client prints escape sequences as text.
//!
//! Not responsible for what it says, nor for deciding whether there is room for it.

use qrcode::types::Color;
use qrcode::{EcLevel, QrCode};

/// The light border around the code, in modules. Half of what ISO/IEC 18004 wants, which readers take,
/// and a blank line above and below besides.
const BORDER: usize = 2;

/// A QR code, ready to be drawn.
#[derive(Debug)]
pub(crate) struct Drawing {
    dark: Vec<bool>,
    size: usize,
}

impl Drawing {
    /// Encodes `text` as small as it goes; `None` when it is too long for any QR code.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let size = code.width();
        let dark = code.to_colors().into_iter();
        Some(Self {
            dark: dark.map(|color| color == Color::Dark).collect(),
            size,
        })
    }

    /// Columns it takes, the border included.
    pub(crate) fn columns(&self) -> usize {
        self.size + 2 * BORDER
    }

    /// Draws it. Light modules are drawn in the colour of the text, which is right on a dark terminal;
    /// `inverted` is right on a light one.
    pub(crate) fn draw(&self, inverted: bool) -> String {
        let mut text = String::new();
        for row in (0..self.columns()).step_by(2) {
            for column in 0..self.columns() {
                let inked = |row| self.is_dark(row, column) == inverted;
                // An odd number of rows leaves half a line, which is nobody's.
                let lower = row + 1 < self.columns() && inked(row + 1);
                text.push(match (inked(row), lower) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push('\n');
        }
        text
    }

    /// Whether a module is dark. The border is light.
    fn is_dark(&self, row: usize, column: usize) -> bool {
        let inside = |at: usize| at.checked_sub(BORDER).filter(|at| *at < self.size);
        match (inside(row), inside(column)) {
            (Some(row), Some(column)) => self
                .dark
                .get(row * self.size + column)
                .copied()
                .unwrap_or(false),
            _ => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a camera would read: the half blocks turned back into squares of some pixels each, with the
    /// rest of the screen around them, and given to a decoder that shares no code with the encoder.
    pub(crate) fn read_back(drawing: &str, ink_is_dark: bool) -> String {
        const SCALE: usize = 4;
        let mut rows: Vec<Vec<bool>> = Vec::new();
        for line in drawing.lines() {
            let cells: Vec<char> = line.chars().collect();
            rows.push(cells.iter().map(|c| matches!(c, '█' | '▀')).collect());
            rows.push(cells.iter().map(|c| matches!(c, '█' | '▄')).collect());
        }
        let width = rows.first().map_or(0, Vec::len);
        let mut pixels = Vec::new();
        for row in &rows {
            assert_eq!(row.len(), width, "every line is as long as the first");
            for _ in 0..SCALE {
                for cell in row {
                    let value = if *cell == ink_is_dark { 0 } else { 255 };
                    pixels.extend([value; SCALE]);
                }
            }
        }
        let (width, height) = (width * SCALE, rows.len() * SCALE);
        let mut image = rqrr::PreparedImage::prepare_from_bitmap(width, height, |x, y| {
            pixels[y * width + x] == 0
        });
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap().1
    }

    #[test]
    fn an_independent_reader_reads_what_was_drawn() {
        let long = format!("https://id.example/device?user_code={}", "X".repeat(200));
        for text in [
            "https://id.example/device?user_code=BCDF-GHJK",
            "https://a.b/d",
            &long,
        ] {
            let drawing = Drawing::new(text).unwrap();
            // On a dark terminal ink is light, on a light one it is dark.
            assert_eq!(read_back(&drawing.draw(false), false), text);
            assert_eq!(read_back(&drawing.draw(true), true), text);
        }
    }

    #[test]
    fn it_takes_the_room_it_says() {
        let drawing = Drawing::new("https://id.example/device?user_code=BCDF-GHJK").unwrap();
        assert!(drawing.columns() <= 37, "an ordinary address is small");
        for line in drawing.draw(false).lines() {
            assert_eq!(line.chars().count(), drawing.columns());
        }
        assert!(Drawing::new(&"x".repeat(3000)).is_none());
    }
}

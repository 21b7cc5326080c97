//! A QR code in Unicode half blocks: two modules to a character, one above the other.
//!
//! Not responsible for what it says, nor for deciding whether there is room for it.

use qrcode::types::Color;
use qrcode::{EcLevel, QrCode};

use crate::output::Paint;

/// The light border that readers need around the code, in modules (ISO/IEC 18004, section 6.3.8).
const QUIET: usize = 4;

/// A QR code, ready to be drawn.
#[derive(Debug)]
pub(crate) struct Qr {
    dark: Vec<bool>,
    size: usize,
}

impl Qr {
    /// Encodes `text`; `None` when it is too long for any QR code.
    pub(crate) fn new(text: &str) -> Option<Self> {
        // The smallest code there is, because it has to fit on a screen; and then the strongest
        // correction that does not make it larger, because it costs nothing.
        let smallest = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let version = smallest.version();
        let code = [EcLevel::H, EcLevel::Q, EcLevel::M]
            .into_iter()
            .find_map(|level| QrCode::with_version(text, version, level).ok())
            .unwrap_or(smallest);
        let size = code.width();
        let dark = code
            .to_colors()
            .into_iter()
            .map(|color| color == Color::Dark)
            .collect();
        Some(Self { dark, size })
    }

    /// Columns it takes, the border included.
    pub(crate) fn columns(&self) -> usize {
        self.size + 2 * QUIET
    }

    /// Rows it takes, the border included.
    pub(crate) fn rows(&self) -> usize {
        self.columns().div_ceil(2)
    }

    /// Draws it, one line of text to two rows of modules.
    ///
    /// With colours it is black on white whatever the terminal's own colours are. Without, light
    /// modules are drawn in the colour of the text, which is right on a dark terminal; on a light
    /// one the code is inverted, which today's phones read as well.
    pub(crate) fn draw(&self, paint: Paint) -> String {
        let mut text = String::new();
        for row in (0..self.columns()).step_by(2) {
            if paint == Paint::Ansi {
                // Colours 16 and 231 of the 256 are black and white; themes may change the first 16.
                text.push_str("\x1b[38;5;16;48;5;231m");
            }
            for column in 0..self.columns() {
                let (upper, lower) = (self.is_dark(row, column), self.is_dark(row + 1, column));
                // What is drawn is dark on a white ground, and light on the terminal's own.
                let (upper, lower) = match paint {
                    Paint::Ansi => (upper, lower),
                    Paint::Plain => (!upper, !lower),
                };
                text.push(match (upper, lower) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push_str(if paint == Paint::Ansi {
                "\x1b[0m\n"
            } else {
                "\n"
            });
        }
        text
    }

    /// Whether a module is dark. The border and everything beyond it is light.
    fn is_dark(&self, row: usize, column: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.size);
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
mod tests {
    use super::*;

    /// What a camera would read: the half blocks turned back into squares of some pixels each, and
    /// given to a decoder that shares no code with the encoder.
    fn read_back(drawing: &str, drawn_is_dark: bool) -> String {
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
                    let value = if *cell == drawn_is_dark { 0 } else { 255 };
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

    fn without_colours(drawing: &str) -> String {
        drawing
            .replace("\x1b[38;5;16;48;5;231m", "")
            .replace("\x1b[0m", "")
    }

    #[test]
    fn an_independent_reader_reads_what_was_drawn() {
        let long = format!(
            "https://id.example.com/device?user_code={}",
            "X".repeat(200)
        );
        for text in [
            "http://127.0.0.1:8080/device?user_code=BCDF-GHJK",
            "https://a.b/d",
            &long,
        ] {
            let qr = Qr::new(text).unwrap();
            for (drawing, drawn_is_dark) in [
                (without_colours(&qr.draw(Paint::Ansi)), true),
                // As a dark terminal shows it.
                (qr.draw(Paint::Plain), false),
            ] {
                assert_eq!(read_back(&drawing, drawn_is_dark), text);
            }
        }
    }

    #[test]
    fn it_takes_the_room_it_says() {
        let qr = Qr::new("http://127.0.0.1:8080/device?user_code=BCDF-GHJK").unwrap();
        let drawing = qr.draw(Paint::Plain);
        assert_eq!(drawing.lines().count(), qr.rows());
        assert!(
            drawing
                .lines()
                .all(|line| line.chars().count() == qr.columns())
        );
        assert!(
            qr.columns() <= 41,
            "an ordinary address fits half a terminal"
        );
    }

    #[test]
    fn the_border_is_light_on_every_side() {
        let qr = Qr::new("https://id.example.com/device").unwrap();
        let drawing = without_colours(&qr.draw(Paint::Ansi));
        let lines: Vec<Vec<char>> = drawing.lines().map(|line| line.chars().collect()).collect();
        let blank = |line: &[char]| line.iter().all(|c| *c == ' ');
        assert!(lines.iter().take(2).all(|line| blank(line)));
        assert!(lines.iter().rev().take(1).all(|line| blank(line)));
        for line in &lines {
            assert!(blank(&line[..QUIET]) && blank(&line[line.len() - QUIET..]));
        }
    }

    #[test]
    fn what_no_code_can_hold_is_left_out() {
        assert!(Qr::new(&"x".repeat(3000)).is_none());
    }
}

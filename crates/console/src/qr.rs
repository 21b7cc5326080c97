//! A QR code in half blocks: two modules to a character, one above the other.
//!
//! Not responsible for what it says, nor for deciding whether there is room for it.

use qrcode::types::Color;
use qrcode::{EcLevel, QrCode};

/// The light border that readers need around a code, in modules (ISO/IEC 18004, section 6.3.8).
pub const QUIET: usize = 4;

/// In which colours a code is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// Black on white whatever the terminal's own are, by escape sequences.
    BlackOnWhite,
    /// The terminal's own, which are light letters on a dark ground. Where they are the other way round
    /// the code is inverted, which today's phones read as well.
    OfDarkTerminal,
    /// The terminal's own, which are dark letters on a light ground.
    OfLightTerminal,
}

/// A QR code, ready to be drawn.
#[derive(Debug)]
pub struct Qr {
    dark: Vec<bool>,
    size: usize,
    border: usize,
}

impl Qr {
    /// Encodes `text`, to be drawn with a light border of so many modules; `None` when it is too long for
    /// any QR code.
    pub fn new(text: &str, border: usize) -> Option<Self> {
        // The smallest code there is, because it has to fit on a screen; and then the strongest
        // correction that does not make it larger, because it costs nothing.
        let smallest = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let version = smallest.version();
        let code = [EcLevel::H, EcLevel::Q, EcLevel::M]
            .into_iter()
            .find_map(|level| QrCode::with_version(text, version, level).ok())
            .unwrap_or(smallest);
        let size = code.width();
        let colors = code.to_colors().into_iter();
        Some(Self {
            dark: colors.map(|color| color == Color::Dark).collect(),
            size,
            border,
        })
    }

    /// Columns it takes, the border included.
    pub fn columns(&self) -> usize {
        self.size + 2 * self.border
    }

    /// Rows it takes, the border included.
    pub fn rows(&self) -> usize {
        self.columns().div_ceil(2)
    }

    /// Draws it, one line of text to two rows of modules.
    pub fn draw(&self, colours: Colours) -> String {
        let (before, after) = match colours {
            // Colours 16 and 231 of the 256 are black and white; themes may change the first 16.
            Colours::BlackOnWhite => ("\x1b[38;5;16;48;5;231m", "\x1b[0m\n"),
            Colours::OfDarkTerminal | Colours::OfLightTerminal => ("", "\n"),
        };
        let ink_is_dark = colours != Colours::OfDarkTerminal;
        let mut text = String::new();
        for row in (0..self.columns()).step_by(2) {
            text.push_str(before);
            for column in 0..self.columns() {
                let inked = |row| self.is_dark(row, column) == ink_is_dark;
                // An odd number of rows leaves half a line, which is nobody's.
                let lower = row + 1 < self.columns() && inked(row + 1);
                text.push(match (inked(row), lower) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push_str(after);
        }
        text
    }

    /// Whether a module is dark. The border is light.
    fn is_dark(&self, row: usize, column: usize) -> bool {
        let inside = |at: usize| at.checked_sub(self.border).filter(|at| *at < self.size);
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
    use countersign_testkit::{Ground, scan};

    use super::*;

    fn without_colours(drawing: &str) -> String {
        drawing
            .replace("\x1b[38;5;16;48;5;231m", "")
            .replace("\x1b[0m", "")
    }

    #[test]
    fn an_independent_reader_reads_what_was_drawn() {
        let long = format!("https://id.example/device?user_code={}", "X".repeat(200));
        for text in [
            "http://127.0.0.1:8080/device?user_code=BCDF-GHJK",
            "https://a.b/d",
            &long,
        ] {
            for border in [2, QUIET] {
                let qr = Qr::new(text, border).unwrap();
                let drawn = |colours| without_colours(&qr.draw(colours));
                assert_eq!(scan(&drawn(Colours::BlackOnWhite), Ground::Light), text);
                assert_eq!(scan(&drawn(Colours::OfLightTerminal), Ground::Light), text);
                assert_eq!(scan(&drawn(Colours::OfDarkTerminal), Ground::Dark), text);
            }
        }
    }

    #[test]
    fn it_takes_the_room_it_says() {
        let qr = Qr::new("http://127.0.0.1:8080/device?user_code=BCDF-GHJK", QUIET).unwrap();
        for colours in [Colours::OfDarkTerminal, Colours::OfLightTerminal] {
            let drawing = qr.draw(colours);
            assert_eq!(drawing.lines().count(), qr.rows());
            for line in drawing.lines() {
                assert_eq!(line.chars().count(), qr.columns());
            }
        }
        assert!(
            qr.columns() <= 41,
            "an ordinary address fits half a terminal"
        );
    }

    #[test]
    fn the_border_is_light_on_every_side() {
        let qr = Qr::new("https://id.example.com/device", QUIET).unwrap();
        let drawing = without_colours(&qr.draw(Colours::BlackOnWhite));
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
        assert!(Qr::new(&"x".repeat(3000), QUIET).is_none());
    }
}

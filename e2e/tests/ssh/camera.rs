//! A telephone that is held before the screen: it finds the QR code in what the client printed, and reads
//! it with a decoder that shares no code with the encoder.

/// What the terminal looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// Light letters on a dark ground.
    Dark,
    /// Dark letters on a light ground.
    Light,
}

/// How many pixels a module is wide and high.
const SCALE: usize = 4;

/// Reads the one QR code on a terminal that shows `shown`.
///
/// Every row is on the picture, also those that have text, as they would be before a camera.
pub(crate) fn scan(shown: &str, terminal: Terminal) -> String {
    let lines: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let mut pixels = Vec::new();
    for line in &lines {
        for half in ['▀', '▄'] {
            let mut row = Vec::with_capacity(columns * SCALE);
            for column in 0..columns {
                let cell = line.get(column).copied().unwrap_or(' ');
                let inked = cell == '█' || cell == half;
                let dark = inked == (terminal == Terminal::Light);
                row.extend([dark; SCALE]);
            }
            for _ in 0..SCALE {
                pixels.push(row.clone());
            }
        }
    }
    let (width, height) = (columns * SCALE, pixels.len());
    let mut picture = rqrr::PreparedImage::prepare_from_bitmap(width, height, |x, y| pixels[y][x]);
    let codes = picture.detect_grids();
    assert_eq!(codes.len(), 1, "QR codes in\n{shown}");
    codes[0].decode().unwrap().1
}

//! A telephone that is held before the screen: it finds the QR code in what a program printed, and reads
//! it with a decoder that shares no code with the encoder.

/// What a terminal shows letters on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A dark ground, with light letters.
    Dark,
    /// A light ground, with dark letters.
    Light,
}

/// How many pixels a module is wide and high.
const SCALE: usize = 4;

/// Reads the one QR code on a terminal that shows `shown`, which has no escape sequences.
///
/// Every row is on the picture, also those that have text, as they would be before a camera.
///
/// # Panics
/// When there is no code that can be read, or more than one.
pub fn scan(shown: &str, ground: Ground) -> String {
    let lines: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let mut pixels = Vec::new();
    for line in &lines {
        for half in ['▀', '▄'] {
            let mut row = Vec::with_capacity(columns * SCALE);
            for column in 0..columns {
                let cell = line.get(column).copied().unwrap_or(' ');
                let inked = cell == '█' || cell == half;
                let dark = inked == (ground == Ground::Light);
                row.extend([dark; SCALE]);
            }
            for _ in 0..SCALE {
                pixels.push(row.clone());
            }
        }
    }
    let (width, height) = (columns * SCALE, pixels.len());
    let is_dark = |x: usize, y: usize| pixels.get(y).and_then(|row| row.get(x)) == Some(&true);
    let mut picture = rqrr::PreparedImage::prepare_from_bitmap(width, height, is_dark);
    match picture.detect_grids().as_slice() {
        [code] => code.decode().expect("the QR code is readable").1,
        codes => panic!("{} QR codes in\n{shown}", codes.len()),
    }
}

//! What a person needs to approve a login, laid out so that it stays on the screen as a whole.
//!
//! Not responsible for how it is coloured or linked: a sheet is words.

use countersign_console::qr::Qr;

/// What stands before the code.
pub(crate) const CODE: &str = "Your one-time code: ";

/// The code, the addresses, and the QR code if there is room for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Approval<'a> {
    /// The code to enter or to compare (RFC 8628, section 3.2).
    pub(crate) user_code: &'a str,
    /// The address to type.
    pub(crate) verification_uri: &'a str,
    /// The address that carries the code; not every server has one.
    pub(crate) verification_uri_complete: Option<&'a str>,
}

/// A line, or what stands in the place of some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Text(String),
    /// The code, and words after it.
    Code(&'a str, &'static str),
    /// An address, alone on its line so that a terminal can be told to open it.
    Address(&'a str),
    Qr,
    Blank,
}

impl<'a> Approval<'a> {
    /// What the QR code says.
    pub(crate) fn address(&self) -> &'a str {
        self.verification_uri_complete
            .unwrap_or(self.verification_uri)
    }

    /// Every word, and air between them.
    fn roomy(&self, qr: bool) -> Vec<Line<'a>> {
        let then = match self.verification_uri_complete {
            Some(_) => "Open this page and check that it shows the same code:",
            None => "Open this page and enter the code:",
        };
        let mut lines = vec![
            Line::Code(self.user_code, ""),
            Line::Blank,
            Line::Text(then.to_owned()),
            Line::Blank,
            Line::Address(self.address()),
            Line::Blank,
        ];
        if qr {
            lines.extend([Line::Qr, Line::Blank]);
        }
        if self.verification_uri_complete.is_some() {
            lines.extend([
                Line::Text("Or enter the code on any device at".to_owned()),
                Line::Blank,
                Line::Address(self.verification_uri),
                Line::Blank,
            ]);
        }
        lines
    }

    /// As few lines as possible: an ordinary QR code then fits a terminal of 24 rows.
    fn tight(&self) -> Vec<Line<'a>> {
        let mut lines = vec![
            Line::Code(self.user_code, " (check that this page shows the same)"),
            Line::Address(self.address()),
            Line::Qr,
        ];
        if self.verification_uri_complete.is_some() {
            lines.push(Line::Text(format!(
                "Or enter the code at {}",
                self.verification_uri
            )));
        }
        lines
    }

    /// The layout with the QR code if there is room for one, that leaves `spare` rows below.
    ///
    /// `size` is columns and rows; without one there is all the room in the world.
    pub(crate) fn lines(
        &self,
        qr: Option<&Qr>,
        size: Option<(usize, usize)>,
        spare: usize,
    ) -> Vec<Line<'a>> {
        let (Some(qr), Some((columns, rows))) = (qr, size) else {
            return self.roomy(qr.is_some());
        };
        let fits = |lines: &[Line<'_>]| {
            let used: usize = lines.iter().map(|line| line.rows(qr, columns)).sum();
            qr.columns() <= columns && used + spare <= rows
        };
        let candidates = [self.roomy(true), self.tight()];
        let fitting = candidates.into_iter().find(|lines| fits(lines));
        fitting.unwrap_or_else(|| self.roomy(false))
    }
}

impl Line<'_> {
    /// Rows it takes on a screen of so many columns.
    fn rows(&self, qr: &Qr, columns: usize) -> usize {
        let width = match self {
            Self::Qr => return qr.rows(),
            Self::Blank => 0,
            Self::Text(text) => text.chars().count(),
            Self::Code(code, words) => {
                CODE.chars().count() + code.chars().count() + words.chars().count()
            }
            Self::Address(address) => address.chars().count(),
        };
        width.div_ceil(columns.max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use countersign_console::qr::QUIET;

    use super::*;

    const APPROVAL: Approval<'_> = Approval {
        user_code: "BCDF-GHJK",
        verification_uri: "https://id.example.com/device",
        verification_uri_complete: Some("https://id.example.com/device?user_code=BCDF-GHJK"),
    };

    fn lines(columns: usize, rows: usize) -> Vec<Line<'static>> {
        let qr = Qr::new(APPROVAL.address(), QUIET).unwrap();
        APPROVAL.lines(Some(&qr), Some((columns, rows)), 2)
    }

    #[test]
    fn the_code_and_every_address_are_there_whatever_the_room() {
        for size in [(80, 50), (80, 24), (80, 20), (30, 50)] {
            let lines = lines(size.0, size.1);
            assert!(matches!(lines[0], Line::Code("BCDF-GHJK", _)), "{size:?}");
            assert!(
                lines.contains(&Line::Address(APPROVAL.address())),
                "{size:?}"
            );
            let text = format!("{lines:?}");
            assert!(
                text.contains("https://id.example.com/device\""),
                "{size:?}: {text}"
            );
        }
    }

    #[test]
    fn an_ordinary_terminal_has_room_for_the_qr_code_and_a_small_one_does_not() {
        assert_eq!(lines(80, 50), APPROVAL.roomy(true));
        assert_eq!(lines(80, 24), APPROVAL.tight());
        assert_eq!(lines(80, 23), APPROVAL.roomy(false));
        assert_eq!(lines(30, 50), APPROVAL.roomy(false));
    }

    #[test]
    fn without_an_address_that_carries_the_code_the_person_is_told_to_enter_it() {
        let approval = Approval {
            verification_uri_complete: None,
            ..APPROVAL
        };
        let lines = approval.lines(None, None, 2);
        assert!(format!("{lines:?}").contains("enter the code:"));
        assert_eq!(
            lines
                .iter()
                .filter(|line| matches!(line, Line::Address(_)))
                .count(),
            1
        );
    }
}

//! `countersign version`.

use crate::error::CliError;
use crate::output;

pub(crate) fn run() -> Result<(), CliError> {
    output::artefact(concat!("countersign ", env!("CARGO_PKG_VERSION"), "\n"))
}

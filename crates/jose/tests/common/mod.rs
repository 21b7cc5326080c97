//! What every test of this crate needs: each body runs over both crypto libraries.

use countersign_jose::CryptoProvider;

/// All providers this build has; the tests are meant to run with `--all-features`.
pub(crate) fn providers() -> Vec<&'static CryptoProvider> {
    vec![
        #[cfg(feature = "ring")]
        countersign_jose::crypto::ring::provider(),
        #[cfg(feature = "aws-lc-rs")]
        countersign_jose::crypto::aws_lc::provider(),
    ]
}

//! A login in ten lines: prints a header with a good token for whatever API the token is for.
//!
//! ```text
//! cargo run -p countersign-client --example login -- https://id.example.com my-client-id
//! ```

#![allow(clippy::print_stdout, reason = "the header is what was asked for")]

use std::time::Duration;

use countersign_client::{Error, Login, PlainPrompt};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let issuer = arguments.next().unwrap_or_default();
    let client_id = arguments.next().unwrap_or_default();

    let login = Login::new(&issuer, &client_id)?;
    let tokens = login.ensure(&mut PlainPrompt::new(std::io::stderr()))?;
    let token = tokens.access_token(Duration::from_secs(60))?;
    println!("Authorization: Bearer {}", token.expose());
    Ok(())
}

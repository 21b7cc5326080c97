//! An upstream that costs as little as one can, so that what is measured is whatever stands before it.
//!
//! It takes every request for a GET without a body.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// What its answers hold.
pub(crate) const BODY: &str = "ok\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";
const LONGEST_HEAD: usize = 16 * 1024;

/// Says where it listens, and answers until it is killed.
pub(crate) fn run() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening={}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A connection that breaks concerns nobody else.
            tokio::spawn(async move { serve(stream).await.ok() });
        }
    })
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::with_capacity(LONGEST_HEAD);
    while stream.read_buf(&mut head).await? > 0 {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(ANSWER).await?;
        } else if head.len() > LONGEST_HEAD {
            break;
        }
    }
    Ok(())
}

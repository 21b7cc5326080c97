//! A `PostgreSQL` server that several replicas share: how it is reached.
//!
//! Not responsible for what is kept there; that is [`state`](crate::state)'s and
//! [`otp`](crate::otp)'s.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::Error;
use crate::state::StateError;
use crate::state::remote::{Dialer, Failure, Remote, Wire, unavailable};

/// A server, by its address.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) remote: Remote,
    dialer: Dialer,
}

impl Server {
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`], [`Error::Tls`], [`Error::StateAddress`].
    pub(crate) fn new(remote: Remote) -> Result<Self, Error> {
        Ok(Self {
            dialer: remote.dialer()?,
            remote,
        })
    }

    /// A new connection, and whether it is still alive. `schema` makes the
    /// tables where `has_tables` does not find them, or finds a standby.
    pub(crate) async fn connect(
        &self,
        has_tables: &str,
        schema: &str,
    ) -> Result<(Client, Arc<AtomicBool>), StateError> {
        let wire = self.dialer.dial().await.map_err(unavailable)?;
        let wire = self.encrypt(wire).await.map_err(unavailable)?;
        let mut config = Config::new();
        config
            .user(self.remote.user.as_deref().unwrap_or("countersign"))
            .application_name("countersign")
            // Of the connection as it is now: encrypted already, where it has to be.
            .ssl_mode(tokio_postgres::config::SslMode::Disable);
        if let Some(database) = &self.remote.database {
            config.dbname(database);
        }
        if let Some(password) = &self.remote.password {
            config.password(password.expose());
        }
        let (client, driver) = config.connect_raw(wire, NoTls).await.map_err(unavailable)?;
        let alive = Arc::new(AtomicBool::new(true));
        let gone = Arc::clone(&alive);
        tokio::spawn(async move {
            // Why it ended, the next question is told.
            let _ = driver.await;
            gone.store(false, Ordering::Relaxed);
        });
        let prepare = async {
            // What was answered has to outlive a crash of the server.
            client.batch_execute("SET synchronous_commit TO on").await?;
            if !client.query_one(has_tables, &[]).await?.try_get(0)? {
                client.batch_execute(schema).await?;
            }
            Ok(())
        };
        prepare
            .await
            .map_err(|error: tokio_postgres::Error| unavailable(error))?;
        Ok((client, alive))
    }

    /// TLS begins inside of the protocol, after a question whether it may.
    async fn encrypt(&self, mut wire: Box<dyn Wire>) -> io::Result<Box<dyn Wire>> {
        const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
        if !self.dialer.is_encrypted() {
            return Ok(wire);
        }
        wire.write_all(&SSL_REQUEST).await?;
        if wire.read_u8().await? != b'S' {
            return Err(io::Error::other("the server speaks no TLS"));
        }
        self.dialer.secure(wire).await
    }
}

pub(crate) fn failure(error: tokio_postgres::Error) -> Failure {
    Failure {
        connection_is_lost: error.is_closed(),
        error: match error.code() {
            Some(&SqlState::DISK_FULL | &SqlState::OUT_OF_MEMORY) => StateError::Full,
            // The server has become a standby: the name may lead to another by now.
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
                return Failure {
                    connection_is_lost: true,
                    error: unavailable(error),
                };
            }
            _ => unavailable(error),
        },
    }
}

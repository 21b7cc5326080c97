//! One-time passwords: the service of a configuration.
//!
//! Not responsible for when one is asked for, nor for who gets a device; that is `commands`.

use std::path::Path;
use std::sync::Arc;

use countersign_console::Problem;
use countersign_oauth::Secret;
use countersign_resource::SqliteFile;
use countersign_resource::otp::{
    Devices, OtpLimits, OtpService, PostgresDevices, SealError, SealingKey, SealingKeys,
    ValidationServers,
};
use countersign_resource::state::SharedState;

use crate::config::{Config, Otp, Registry, Validation};
use crate::live::{read, read_secret};
use crate::state::{Memory, remote};

/// What verifies the passwords of a configuration, if it has any. Files are opened; nothing is sent.
///
/// With a memory of this process, what was used is kept in the file of the registry: a restart must
/// not make it good again.
pub(crate) fn service(config: &Config, memory: &Memory) -> Result<Option<OtpService>, Problem> {
    let Some(otp) = &config.otp else {
        return Ok(None);
    };
    let keys = keys(otp)?;
    let (devices, state): (Arc<dyn Devices>, Arc<dyn SharedState>) = match &otp.registry {
        Registry::File(path) => {
            let file = SqliteFile::open(path).map_err(|error| unusable(path, error))?;
            let state: Arc<dyn SharedState> = match memory {
                Memory::Own(_) => Arc::new(file.clone()),
                Memory::Redis(_) | Memory::Postgres(_) => memory.shared(),
            };
            (Arc::new(file), state)
        }
        Registry::Shared => {
            let shared = config.state.shared.as_ref();
            let shared = shared.ok_or_else(|| Problem::new("there is no database of [state]"))?;
            let devices = PostgresDevices::new(remote(shared)?);
            let devices = devices.map_err(|error| {
                Problem::new("devices cannot be registered at [state]").because(error)
            })?;
            (Arc::new(devices), memory.shared())
        }
    };
    let mut builder =
        OtpService::builder(devices, keys, state).limits(OtpLimits::new(otp.failures, otp.window));
    if let Some(validation) = &otp.validation {
        builder = builder.servers(servers(validation)?);
    }
    let service = builder.build();
    let service = service
        .map_err(|error| Problem::new("one-time passwords cannot be verified").because(error))?;
    Ok(Some(service))
}

fn keys(otp: &Otp) -> Result<SealingKeys, Problem> {
    let mut keys: Option<SealingKeys> = None;
    for path in &otp.key_files {
        let key = SealingKey::load(path).map_err(|error| no_key(path, error))?;
        keys = Some(match keys {
            None => SealingKeys::new(key),
            Some(keys) => keys.and(key),
        });
    }
    keys.ok_or_else(|| Problem::new("[otp] names no key file"))
}

fn no_key(path: &Path, error: SealError) -> Problem {
    let problem = Problem::new("the secrets of devices cannot be opened").because(error);
    if path.exists() {
        return problem.hint(format!("chmod 600 {}", path.display()));
    }
    problem.hint("make it: countersign-gateway otp init FILE; or bring it from where it was made")
}

fn unusable(path: &Path, error: countersign_resource::Error) -> Problem {
    let problem = Problem::new("the registry of devices cannot be used").because(error);
    if path.exists() {
        return problem;
    }
    problem.hint("make it: countersign-gateway otp init FILE")
}

fn servers(validation: &Validation) -> Result<ValidationServers, Problem> {
    let key = Secret::new(read_secret(&validation.key_file)?);
    let mut builder = ValidationServers::builder(&validation.client_id, key);
    for server in &validation.servers {
        builder = builder.server(server);
    }
    if let Some(time) = validation.time {
        builder = builder.time_limit(time);
    }
    if validation.without_counters {
        builder = builder.danger_without_counters();
    }
    if let Some(path) = &validation.ca_file {
        builder = builder.add_ca_pem(read(path)?);
    }
    builder
        .build()
        .map_err(|error| Problem::new("[otp.validation] cannot be used").because(error))
}

//! `[otp]`, checked.

use std::path::PathBuf;
use std::time::Duration;

/// Who has which device for one-time passwords, and who verifies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Otp {
    pub(crate) registry: Registry,
    /// The first seals, all of them open.
    pub(crate) key_files: Vec<PathBuf>,
    /// How many wrong ones there may be within so long.
    pub(crate) failures: u32,
    pub(crate) window: Duration,
    pub(crate) validation: Option<Validation>,
}

/// Where devices are registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Registry {
    /// A file of this host.
    File(PathBuf),
    /// The database of `[state]`.
    Shared,
}

/// The servers that verify Yubikeys whose secrets are not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validation {
    pub(crate) client_id: String,
    pub(crate) key_file: PathBuf,
    pub(crate) servers: Vec<String>,
    pub(crate) time: Option<Duration>,
    pub(crate) ca_file: Option<PathBuf>,
    /// That a password counts once is up to them.
    pub(crate) without_counters: bool,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, explain};
    use super::*;

    fn parse(more: &str) -> Result<Config, String> {
        let file = format!("[listen]\naddress = \"127.0.0.1:8443\"\n\n{more}");
        Config::parse(&file, "gateway.toml", Path::new("/etc/gateway"))
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_is_left_out_has_a_meaning() {
        let config = parse("[otp]\nregistry = \"otp.sqlite\"\nkey_file = \"otp.key\"\n").unwrap();
        let otp = config.otp.as_ref().unwrap();
        let expected = Otp {
            registry: Registry::File(PathBuf::from("/etc/gateway/otp.sqlite")),
            key_files: vec![PathBuf::from("/etc/gateway/otp.key")],
            failures: 5,
            window: Duration::from_secs(15 * 60),
            validation: None,
        };
        assert_eq!(*otp, expected);
        let words = explain(&config);
        for part in [
            "knows who has which one-time passwords in /etc/gateway/otp.sqlite, what was used as well\n",
            "locks a person after 5 wrong ones in 15 min\n",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn replicas_register_devices_in_their_database() {
        let config = parse(
            "[state]\nurl = \"postgres://gateway@localhost/state\"\n\
             [otp]\nregistry = \"shared\"\nkey_file = [\"new.key\", \"old.key\"]\nfailures = 3\n\
             [otp.validation]\nclient_id = \"87\"\napi_key_file = \"api.key\"\n\
             server = \"https://one.example.com/wsapi/2.0/verify\"\n\
             danger_without_counters = true\n",
        );
        let config = config.unwrap();
        assert_eq!(config.files().count(), 2);
        let words = explain(&config);
        for part in [
            "postgres://gateway@localhost/state, what was used where proofs are\n",
            "asks https://one.example.com/wsapi/2.0/verify about Yubikeys whose secrets are there, \
             and believes them without counters\n",
            "after 3 wrong ones",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        let base = "registry = \"otp.sqlite\"\nkey_file = \"otp.key\"\n";
        for (more, said) in [
            ("failures = 0\n", "line 4: failures is from 1 to 100"),
            ("window = \"10s\"\n", "line 4: window is from 1m to 24h"),
            ("windw = \"10m\"\n", "did you mean `window`?"),
            (
                "[otp.validation]\nclient_id = \"87\"\napi_key_file = \"k\"\n\
                 server = \"http://one.example.com/verify\"\n",
                "a validation server is an https address",
            ),
            (
                "[otp.validation]\nclient_id = \"one\"\napi_key_file = \"k\"\nserver = []\n",
                "decimal number",
            ),
        ] {
            let complaint = parse(&format!("[otp]\n{base}{more}")).unwrap_err();
            assert!(complaint.contains(said), "{complaint}");
        }
        for state in ["", "[state]\nurl = \"redis://localhost\"\n"] {
            let otp = "[otp]\nregistry = \"shared\"\nkey_file = \"otp.key\"\n";
            let complaint = parse(&format!("{state}{otp}")).unwrap_err();
            assert!(complaint.contains("can register devices"), "{complaint}");
        }
    }
}

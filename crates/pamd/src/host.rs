//! What the host knows: its own name, and its accounts.

use std::net::IpAddr;

use nix::unistd::User;

/// The name of this host, as people call it.
pub(crate) fn name() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

/// The number of an account, local or from a directory; `None` when there is none, or nobody can say.
pub(crate) fn uid_of(account: &str) -> Option<u32> {
    ids_of(account).map(|(uid, _)| uid)
}

/// User and group of an account.
pub(crate) fn ids_of(account: &str) -> Option<(u32, u32)> {
    let user = User::from_name(account).ok().flatten()?;
    // A directory that folds names would make one account of two.
    (user.name == account).then(|| (user.uid.as_raw(), user.gid.as_raw()))
}

/// The address that a login comes from: of the connection where the service has one, else what it calls
/// the remote host, if that is an address. A name is none: whoever owns the address chooses it.
pub(crate) fn source(ssh_connection: &str, rhost: &str) -> Option<IpAddr> {
    let first = ssh_connection.split(' ').next().unwrap_or_default();
    let text = if first.is_empty() { rhost } else { first };
    // An address of a link has its interface behind it.
    let text = text.split('%').next().unwrap_or_default();
    text.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_an_address_or_nothing() {
        for (connection, rhost, expected) in [
            (
                "192.0.2.7 50000 192.0.2.1 22",
                "evil.example",
                Some("192.0.2.7"),
            ),
            ("", "192.0.2.7", Some("192.0.2.7")),
            ("", "::ffff:192.0.2.7", Some("192.0.2.7")),
            ("fe80::1%eth0 1 fe80::2%eth0 22", "", Some("fe80::1")),
            ("", "host.example.com", None),
            ("UNKNOWN 65535 UNKNOWN 65535", "192.0.2.7", None),
            ("", "", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(
                source(connection, rhost),
                expected,
                "{connection:?} {rhost:?}"
            );
        }
    }

    #[test]
    fn accounts_are_those_of_the_host() {
        assert_eq!(uid_of("root"), Some(0));
        assert_eq!(uid_of("no-such-account-here"), None);
        assert_eq!(uid_of(""), None);
        assert!(!name().is_empty());
    }
}

//! Which crate may depend on which. An arrow that is not in the table does not exist; adding one
//! is a decision, and this is the place where it is written down.

use crate::metadata::{Metadata, Package};

/// A crate of the workspace.
struct Room {
    package: &'static str,
    floor: u8,
    /// The only crates of the workspace it may depend on.
    may_use: &'static [&'static str],
    /// Why not others: printed with every arrow that is refused.
    because: &'static str,
}

/// Only tests may depend on it.
const TESTKIT: &str = "countersign-testkit";

const HOUSE: &[Room] = &[
    Room {
        package: "countersign-jose",
        floor: 0,
        may_use: &[],
        because: "keys and signatures know nothing of OAuth, HTTP, files or the clock, so that a \
                  reviewer can judge them alone",
    },
    Room {
        package: "countersign-otp",
        floor: 0,
        may_use: &[],
        because: "one-time passwords are arithmetic: no HTTP, no files, no clock",
    },
    Room {
        package: "countersign-pam-wire",
        floor: 0,
        may_use: &[],
        because: "what root's module and root's daemon say to each other is read by code that does \
                  nothing else",
    },
    Room {
        package: "countersign-policy",
        floor: 0,
        may_use: &[],
        because: "a decision must not depend on where the claims came from",
    },
    Room {
        package: "countersign-oauth",
        floor: 1,
        may_use: &["countersign-jose"],
        because: "the protocol is sans-IO: one machine serves the CLI, servers, tests and fuzzers",
    },
    Room {
        package: "countersign-store",
        floor: 1,
        may_use: &[],
        because: "the store keeps any serialisable session and knows no message of OAuth or HTTP",
    },
    Room {
        package: "countersign-client",
        floor: 2,
        may_use: &["countersign-jose", "countersign-oauth", "countersign-store"],
        because: "a CLI author who takes the client gets no server, no terminal and no runtime",
    },
    Room {
        package: "countersign-resource",
        floor: 2,
        may_use: &[
            "countersign-jose",
            "countersign-oauth",
            "countersign-otp",
            "countersign-policy",
        ],
        because: "an API does not know how a client logs in, and never carries a token issuer",
    },
    Room {
        package: "countersign-console",
        floor: 2,
        may_use: &["countersign-oauth", "countersign-policy"],
        because: "how a program speaks with those who run it says nothing of what the program does",
    },
    Room {
        package: "countersign-issuer",
        floor: 3,
        may_use: &[
            "countersign-console",
            "countersign-jose",
            "countersign-oauth",
            "countersign-otp",
        ],
        because: "the issuer must not share code with those who judge its tokens (client, \
                  resource): a shared misreading would go unseen",
    },
    Room {
        package: "countersign",
        floor: 3,
        may_use: &[
            "countersign-client",
            "countersign-console",
            "countersign-otp",
        ],
        because: "the CLI is a user of the client's public API like any other; a laptop carries \
                  neither issuer nor resource server",
    },
    Room {
        package: "countersign-keyring",
        floor: 3,
        may_use: &["countersign-store"],
        because: "it knows a keyring and what is asked of it, and nothing of sessions, servers or \
                  people; nobody links it, because of what it links",
    },
    Room {
        package: "countersign-gateway",
        floor: 3,
        may_use: &[
            "countersign-console",
            "countersign-jose",
            "countersign-oauth",
            "countersign-policy",
            "countersign-resource",
        ],
        because: "the gateway is a user of the resource crate like any other service, and must not \
                  carry the issuer whose tokens it judges",
    },
    Room {
        package: "countersign-pam",
        floor: 3,
        may_use: &["countersign-pam-wire"],
        because: "what runs as root inside of sshd knows how to ask the daemon, and nothing that \
                  could be asked of anybody else",
    },
    Room {
        package: "countersign-pamd",
        floor: 3,
        may_use: &[
            "countersign-client",
            "countersign-console",
            "countersign-jose",
            "countersign-oauth",
            "countersign-pam-wire",
            "countersign-policy",
        ],
        because: "the daemon is a client of the authorization server like any other, and neither \
                  serves tokens nor stands in front of an API",
    },
    Room {
        package: "opsctl",
        floor: 3,
        may_use: &["countersign-client"],
        because: "the example is what somebody else's command line would be, who has the client and \
                  nothing else of ours",
    },
    Room {
        package: "opsctl-api",
        floor: 3,
        may_use: &["countersign-resource"],
        because: "the example is what somebody else's API would be, who has the resource crate and \
                  nothing else of ours",
    },
    Room {
        package: "countersign-demo",
        floor: 4,
        may_use: &[
            "countersign-jose",
            "countersign-otp",
            "countersign-resource",
        ],
        because: "the demo drives the real programs; what it linked it would not be showing",
    },
    Room {
        package: TESTKIT,
        floor: 0,
        may_use: &[],
        because: "a tester that shares code with the tested mirrors its faults",
    },
    Room {
        package: "countersign-e2e",
        floor: 5,
        may_use: &[TESTKIT],
        because: "tests only",
    },
    Room {
        package: "countersign-benches",
        floor: 6,
        may_use: &[
            TESTKIT,
            "countersign-e2e",
            "countersign-client",
            "countersign-jose",
            "countersign-oauth",
            "countersign-pam-wire",
            "countersign-resource",
        ],
        because: "what is measured is what is shipped: programs from outside, ours and those of \
                  others, the client's transport beside the bare TLS library, the validator \
                  beside the bare signature check, and the daemon of SSH hosts as the module asks it",
    },
    Room {
        package: "xtask",
        floor: 5,
        may_use: &[],
        because: "the build commands must build when nothing else does",
    },
];

pub(crate) fn check(metadata: &Metadata) -> Vec<String> {
    metadata.members().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<String> {
    let Some(room) = room(&package.name) else {
        return vec![format!(
            "{} is not in the table of xtask/src/check/arrows.rs: give it a floor",
            package.name
        )];
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some())
        .filter(|dependency| {
            if dependency.is_dev() {
                !may_test_with(room, &dependency.name)
            } else {
                !room.may_use.contains(&dependency.name.as_str())
            }
        })
        .map(|dependency| {
            let kind = if dependency.is_dev() {
                " (for tests)"
            } else {
                ""
            };
            format!(
                "{} -> {}{kind}: not an arrow of this house, because {}",
                room.package, dependency.name, room.because
            )
        })
        .collect()
}

/// Tests may look further down than the code, and use the test kit, but never look up.
fn may_test_with(room: &Room, name: &str) -> bool {
    name == TESTKIT
        // Itself, with features that only tests want.
        || name == room.package
        || room.may_use.contains(&name)
        || self::room(name).is_some_and(|other| other.floor < room.floor)
}

fn room(package: &str) -> Option<&'static Room> {
    HOUSE.iter().find(|room| room.package == package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrow_of_the_table_points_strictly_down() {
        for from in HOUSE {
            for name in from.may_use {
                let to = room(name).unwrap();
                assert!(to.floor < from.floor, "{} -> {name}", from.package);
            }
        }
    }

    fn package(name: &str, dependency: &str, kind: &str) -> Package {
        serde_json::from_value(serde_json::json!({
            "id": name, "name": name, "version": "0.0.0", "license": null, "source": null,
            "manifest_path": "/x/Cargo.toml",
            "dependencies": [{
                "name": dependency, "rename": null, "path": "/y",
                "kind": if kind.is_empty() { None } else { Some(kind) },
            }],
        }))
        .unwrap()
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_refused_with_its_reason() {
        let up = check_package(&package("countersign-oauth", "countersign-client", ""));
        assert!(up[0].contains("countersign-oauth -> countersign-client"));
        assert!(up[0].contains("sans-IO"));
        assert_eq!(
            check_package(&package("countersign-oauth", "countersign-jose", "")).len(),
            0
        );
        assert_eq!(
            check_package(&package("new-crate", "countersign-jose", "")).len(),
            1
        );
    }

    #[test]
    fn the_test_kit_reaches_tests_only() {
        assert_eq!(
            check_package(&package("countersign-client", TESTKIT, "dev")).len(),
            0
        );
        assert_eq!(
            check_package(&package("countersign-client", TESTKIT, "")).len(),
            1
        );
        assert_eq!(
            check_package(&package("countersign-oauth", "countersign-issuer", "dev")).len(),
            1
        );
    }
}

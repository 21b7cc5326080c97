//! What the worker gives up before it speaks with anybody: the right to get rights, to write or run any
//! file, and every system call that it does not need.
//!
//! Each part is used where the kernel has it. What is missing is said, and does not stop the worker:
//! its own user is the fence that is always there.
//!
//! Not responsible for that user, which the supervisor gives it.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};

mod calls;

/// What is read to look up names and to know certificates. What others cannot read there, the worker's
/// user cannot either.
const READABLE: [&str; 8] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/var/lib/ca-certificates",
];

/// Closes the sandbox for this process and says what it consists of. No thread may run yet.
pub(super) fn close(also_readable: &[&Path]) -> Vec<String> {
    vec![
        no_new_privileges(),
        file_system(also_readable),
        calls::close(),
    ]
}

fn no_new_privileges() -> String {
    match rustix::thread::set_no_new_privs(true) {
        Ok(()) => "no_new_privs: set".to_owned(),
        Err(error) => format!("no_new_privs: missing ({error})"),
    }
}

fn file_system(also_readable: &[&Path]) -> String {
    let restrict = || {
        let abi = ABI::V6;
        let readable = READABLE.iter().map(Path::new);
        let readable = readable.chain(also_readable.iter().copied());
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            // Nobody is let in; out is wherever the server is.
            .handle_access(AccessNet::BindTcp)?
            .scope(Scope::from_all(abi))?
            .create()?
            .add_rules(path_beneath_rules(
                readable,
                AccessFs::ReadFile | AccessFs::ReadDir,
            ))?
            .restrict_self()
    };
    match restrict() {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => "landlock: in force".to_owned(),
            RulesetStatus::PartiallyEnforced => {
                "landlock: in force, as far as this kernel has it".to_owned()
            }
            RulesetStatus::NotEnforced => "landlock: missing (this kernel has none)".to_owned(),
        },
        Err(error) => format!("landlock: missing ({error})"),
    }
}

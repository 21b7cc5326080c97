//! No picture of this program's memory on a disk: tokens pass through it, and a crash, or whoever sends
//! it a signal, must not write them down.

/// Sees to it that none is made, whatever limits are set and whichever program collects them. The
/// programs that this one becomes or starts are not concerned: on Linux the kernel takes this back with
/// their first instruction.
///
/// Nobody else of the same person can look into the memory from then on, either, nor read the
/// environment, where a ready-made token may stand.
pub(crate) fn forbid() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // It can only fail for a behaviour that there is not.
        if !is_watched_by_a_test() {
            let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        }
    }
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = Rlimit {
            current: Some(0),
            ..getrlimit(Resource::Core)
        };
        let _ = setrlimit(Resource::Core, limit);
    }
}

/// `COUNTERSIGN_TEST_WATCHED` is for Countersign's own tests, which look at every call that the program
/// makes. A program that is built to be used does not know it.
#[cfg(target_os = "linux")]
fn is_watched_by_a_test() -> bool {
    cfg!(debug_assertions) && std::env::var_os("COUNTERSIGN_TEST_WATCHED").is_some()
}

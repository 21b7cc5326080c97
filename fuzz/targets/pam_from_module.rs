//! What the daemon reads: any bytes from the module's side of the socket, in pieces of any size.

#![no_main]

mod pam_stream;

use countersign_pam_wire::{Process, Stat, ToDaemon};
use libfuzzer_sys::fuzz_target;
use pam_stream::check_stream;

fuzz_target!(|bytes: &[u8]| {
    check_stream(bytes, ToDaemon::encode);
    if let Ok(stat) = Stat::parse(bytes) {
        assert_eq!(Process::from_stat(bytes), Ok(stat.process));
        assert!(!stat.state.is_whitespace());
    }
});

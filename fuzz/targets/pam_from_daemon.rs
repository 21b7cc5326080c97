//! What the module reads, as root inside of sshd: any bytes from the daemon's side of the socket, in
//! pieces of any size.

#![no_main]

mod pam_stream;

use countersign_pam_wire::ToModule;
use libfuzzer_sys::fuzz_target;
use pam_stream::check_stream;

fuzz_target!(|bytes: &[u8]| {
    check_stream(bytes, ToModule::encode);
});

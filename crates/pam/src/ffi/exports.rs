//! The six functions that PAM looks for (`pam_sm_authenticate(3)` and its neighbours).

use std::ffi::{CStr, c_char, c_int};
use std::ptr::NonNull;

use super::handle::Handle;
use super::raw::PamHandle;
use super::system::System;
use crate::guard::guarded;
use crate::hook::{self, Hook};
use crate::pam::{Level, Pam as _};

/// What PAM promises to each of the six, and each of them passes on to [`call`]: `pamh` is its handle,
/// which nobody else uses before the hook returns, and `strings` points to `count` C strings (`argv` and
/// `argc` in C) that stay as they are until then.
///
/// # Safety
/// That.
unsafe fn call(
    hook: Hook,
    pamh: *mut PamHandle,
    flags: c_int,
    count: c_int,
    strings: *const *const c_char,
) -> c_int {
    let Some(raw) = NonNull::new(pamh) else {
        return hook.refusal() as c_int;
    };
    let done = guarded(|| {
        // SAFETY: by this function's contract it has so many strings.
        let words = unsafe { words(count, strings) };
        // SAFETY: by this function's contract it is PAM's handle, and ours until the hook returns.
        let mut handle = unsafe { Handle::new(raw, flags) };
        hook::run(hook, &mut handle, &System, &words)
    });
    let code = done.unwrap_or_else(|caught| {
        // To report a panic is not worth another.
        let _ = guarded(|| {
            let line = format!(
                "{hook}: refused: an error of this module at {}",
                caught.place
            );
            // SAFETY: as above; the handle of before was dropped when its closure was left.
            unsafe { Handle::new(raw, flags) }.log(Level::Error, &line);
        });
        hook.refusal()
    });
    code as c_int
}

/// Copies the arguments.
///
/// # Safety
/// `strings` points to `count` C strings, or `count` is not above 0.
unsafe fn words(count: c_int, strings: *const *const c_char) -> Vec<Vec<u8>> {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || strings.is_null() {
        return Vec::new();
    }
    // SAFETY: it is not null, and by this function's contract it has so many pointers.
    let pointers = unsafe { std::slice::from_raw_parts(strings, count) };
    pointers
        .iter()
        .filter(|pointer| !pointer.is_null())
        .map(|pointer| {
            // SAFETY: not null, and so a C string, by this function's contract.
            unsafe { CStr::from_ptr(*pointer) }.to_bytes().to_vec()
        })
        .collect()
}

/// A hook under the name that PAM looks for.
macro_rules! export {
    ($name:ident, $hook:expr) => {
        // SAFETY: no other library that a program loads for itself has a symbol of this name: PAM looks
        // for it in the module alone.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name(
            pamh: *mut PamHandle,
            flags: c_int,
            count: c_int,
            strings: *const *const c_char,
        ) -> c_int {
            // SAFETY: PAM keeps the promise that `call` asks for (`pam_sm_authenticate(3)`).
            unsafe { call($hook, pamh, flags, count, strings) }
        }
    };
}

export!(pam_sm_authenticate, Hook::Authenticate);
export!(pam_sm_setcred, Hook::SetCredentials);
export!(pam_sm_acct_mgmt, Hook::Account);
export!(pam_sm_open_session, Hook::OpenSession);
export!(pam_sm_close_session, Hook::CloseSession);
export!(pam_sm_chauthtok, Hook::ChangeToken);

//! The part of Linux-PAM's headers that is used here. A test compares it with the headers.

use std::ffi::{c_char, c_int, c_void};
use std::marker::{PhantomData, PhantomPinned};

/// `PAM_SUCCESS`
pub(super) const SUCCESS: c_int = 0;

/// `PAM_SERVICE`
pub(super) const SERVICE: c_int = 1;
/// `PAM_USER`
pub(super) const USER: c_int = 2;
/// `PAM_TTY`
pub(super) const TTY: c_int = 3;
/// `PAM_RHOST`
pub(super) const RHOST: c_int = 4;
/// `PAM_CONV`
pub(super) const CONV: c_int = 5;
/// `PAM_RUSER`
pub(super) const RUSER: c_int = 8;

/// `PAM_PROMPT_ECHO_OFF`
pub(super) const PROMPT_ECHO_OFF: c_int = 1;
/// `PAM_PROMPT_ECHO_ON`
pub(super) const PROMPT_ECHO_ON: c_int = 2;
/// `PAM_ERROR_MSG`
pub(super) const ERROR_MSG: c_int = 3;
/// `PAM_TEXT_INFO`
pub(super) const TEXT_INFO: c_int = 4;

/// `PAM_SILENT`
pub(super) const SILENT: c_int = 0x8000;

/// `pam_handle_t`, which only PAM looks into.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct PamHandle {
    opaque: [u8; 0],
    /// Neither sent to another thread nor moved.
    marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// `struct pam_message`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Message {
    pub(super) msg_style: c_int,
    pub(super) msg: *const c_char,
}

/// `struct pam_response`
#[derive(Debug)]
#[repr(C)]
pub(super) struct Response {
    pub(super) resp: *mut c_char,
    pub(super) resp_retcode: c_int,
}

/// The function of a `struct pam_conv`.
pub(super) type Converse = unsafe extern "C" fn(
    num_msg: c_int,
    msg: *mut *const Message,
    resp: *mut *mut Response,
    appdata_ptr: *mut c_void,
) -> c_int;

/// `struct pam_conv`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Conversation {
    pub(super) conv: Option<Converse>,
    pub(super) appdata_ptr: *mut c_void,
}

// By its versioned name, which is there without any development package.
#[link(name = "libpam.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    pub(super) fn pam_get_item(
        pamh: *const PamHandle,
        item_type: c_int,
        item: *mut *const c_void,
    ) -> c_int;

    pub(super) fn pam_get_user(
        pamh: *mut PamHandle,
        user: *mut *const c_char,
        prompt: *const c_char,
    ) -> c_int;

    pub(super) fn pam_getenv(pamh: *mut PamHandle, name: *const c_char) -> *const c_char;

    pub(super) fn pam_syslog(pamh: *const PamHandle, priority: c_int, fmt: *const c_char, ...);
}

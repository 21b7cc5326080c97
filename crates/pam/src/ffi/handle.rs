//! PAM's handle, as [`Pam`].

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use countersign_pam_wire::{Echo, Line, Text, Typed};

use super::raw;
use crate::pam::{Failed, Item, Level, Pam, Tone};

/// The handle of one call of a hook.
pub(super) struct Handle<'a> {
    raw: NonNull<raw::PamHandle>,
    /// `PAM_SILENT`: say nothing.
    silent: bool,
    /// PAM lends it for the time of the call.
    call: PhantomData<&'a mut raw::PamHandle>,
}

impl fmt::Debug for Handle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle<'_> {
    /// The handle that PAM called a hook with.
    ///
    /// # Safety
    /// `raw` is what PAM gave to the hook; the hook does not return before the last use of the value.
    pub(super) unsafe fn new(raw: NonNull<raw::PamHandle>, flags: c_int) -> Self {
        Self {
            raw,
            silent: flags & raw::SILENT != 0,
            call: PhantomData,
        }
    }

    /// The pointer that PAM has for an item; null for none.
    fn pointer(&self, item: c_int) -> *const c_void {
        let mut pointer = ptr::null();
        // SAFETY: the handle is valid for the call of the hook (`new`), and `pointer` is a place that
        // PAM may write one pointer to. The item stays PAM's.
        let code = unsafe { raw::pam_get_item(self.raw.as_ptr(), item, &raw mut pointer) };
        if code == raw::SUCCESS {
            pointer
        } else {
            ptr::null()
        }
    }

    /// Calls the program's conversation function with one message.
    fn converse(&mut self, style: c_int, text: &str) -> Result<Typed, Failed> {
        // A `Text` has no control character, and so no NUL.
        let text = CString::new(text).map_err(|_| Failed::NoConversation)?;
        let conversation = self.pointer(raw::CONV).cast::<raw::Conversation>();
        if conversation.is_null() {
            return Err(Failed::NoConversation);
        }
        // SAFETY: PAM_CONV is a `struct pam_conv` that PAM copied from the program and keeps as long as
        // the handle; it was not null.
        let conversation = unsafe { conversation.read() };
        let converse = conversation.conv.ok_or(Failed::NoConversation)?;
        let message = raw::Message {
            msg_style: style,
            msg: text.as_ptr(),
        };
        let mut messages = &raw const message;
        let mut response = ptr::null_mut();
        // SAFETY: the function and its `appdata_ptr` come from one `struct pam_conv`. One message is
        // passed, by an array of one pointer, and both live until the call returns; `response` is a
        // place that the function may write one pointer to.
        let code = unsafe {
            converse(
                1,
                &raw mut messages,
                &raw mut response,
                conversation.appdata_ptr,
            )
        };
        if code != raw::SUCCESS {
            // What the function left in `response` is not defined now: nobody frees it.
            return Err(Failed::Code(code));
        }
        // SAFETY: after a success `response` is null, or what pam_conv(3) says: an array of one response,
        // allocated with malloc, that is now ours.
        Ok(unsafe { take(response) })
    }
}

impl Pam for Handle<'_> {
    fn ask_user(&mut self) -> Result<Vec<u8>, Failed> {
        let mut user = ptr::null();
        // SAFETY: the handle is valid (`new`), `user` is a place that PAM may write one pointer to, and no
        // prompt of ours is a null pointer.
        let code = unsafe { raw::pam_get_user(self.raw.as_ptr(), &raw mut user, ptr::null()) };
        if code != raw::SUCCESS {
            return Err(Failed::Code(code));
        }
        // SAFETY: after a success it is a string of PAM's, which nobody changes before this returns.
        Ok(unsafe { bytes(user) })
    }

    fn item(&self, item: Item) -> Vec<u8> {
        let number = match item {
            Item::Service => raw::SERVICE,
            Item::User => raw::USER,
            Item::Tty => raw::TTY,
            Item::RemoteHost => raw::RHOST,
            Item::RemoteUser => raw::RUSER,
        };
        let pointer = self.pointer(number);
        // SAFETY: each of these five items is a string of PAM's or null, and nobody changes it before
        // this returns.
        unsafe { bytes(pointer.cast()) }
    }

    fn variable(&self, name: &CStr) -> Vec<u8> {
        // SAFETY: the handle is valid (`new`), and `name` is a C string.
        let value = unsafe { raw::pam_getenv(self.raw.as_ptr(), name.as_ptr()) };
        // SAFETY: it is null, or a string in PAM's environment that nobody changes before this returns.
        unsafe { bytes(value) }
    }

    fn ask(&mut self, text: &Text, echo: Echo) -> Result<Typed, Failed> {
        let style = match echo {
            Echo::On => raw::PROMPT_ECHO_ON,
            Echo::Off => raw::PROMPT_ECHO_OFF,
        };
        self.converse(style, text.as_str())
    }

    fn tell(&mut self, text: &Text, tone: Tone) -> Result<(), Failed> {
        if self.silent {
            return Ok(());
        }
        let style = match tone {
            Tone::Info => raw::TEXT_INFO,
            Tone::Error => raw::ERROR_MSG,
        };
        self.converse(style, text.as_str()).map(drop)
    }

    fn log(&self, level: Level, line: &str) {
        let priority = match level {
            Level::Error => libc::LOG_ERR,
            Level::Warning => libc::LOG_WARNING,
            Level::Notice => libc::LOG_NOTICE,
            Level::Debug => libc::LOG_DEBUG,
        };
        let Ok(line) = CString::new(Line::clean(line).as_str()) else {
            return;
        };
        // SAFETY: the handle is valid (`new`), the format takes one string, and it is given one. PAM adds
        // the facility, LOG_AUTHPRIV.
        unsafe { raw::pam_syslog(self.raw.as_ptr(), priority, c"%s".as_ptr(), line.as_ptr()) }
    }
}

/// The bytes of a C string; none for a null pointer.
///
/// # Safety
/// `string` is null or a C string that does not change until this returns.
unsafe fn bytes(string: *const c_char) -> Vec<u8> {
    if string.is_null() {
        return Vec::new();
    }
    // SAFETY: not null, and so a C string, by this function's contract.
    unsafe { CStr::from_ptr(string) }.to_bytes().to_vec()
}

/// Takes what was answered out of a response, and wipes and frees the latter.
///
/// # Safety
/// `response` is null, or points to one response. Both it and the string in it, unless null, were
/// allocated by malloc and belong to the caller, who uses neither afterwards.
unsafe fn take(response: *mut raw::Response) -> Typed {
    if response.is_null() {
        return Typed::default();
    }
    // SAFETY: not null, and so one response, by this function's contract.
    let string = unsafe { response.read() }.resp;
    // SAFETY: it was allocated by malloc and is ours, and only the string in it is used from here on.
    unsafe { libc::free(response.cast()) };
    if string.is_null() {
        return Typed::default();
    }
    // SAFETY: not null, and so a C string of ours alone, by this function's contract.
    let answer = unsafe { CStr::from_ptr(string) };
    let length = answer.count_bytes();
    let typed = typed(answer.to_bytes());
    // SAFETY: so many bytes stand before the NUL of a string that is ours, and nobody borrows them now.
    unsafe { libc::explicit_bzero(string.cast(), length) };
    // SAFETY: it was allocated by malloc, is ours, and is not used again.
    unsafe { libc::free(string.cast()) };
    typed
}

/// What is not UTF-8 is shown as such, and is a wrong answer.
fn typed(bytes: &[u8]) -> Typed {
    match std::str::from_utf8(bytes) {
        Ok(text) => Typed::clean(text),
        Err(_) => Typed::clean("\u{fffd}"),
    }
}

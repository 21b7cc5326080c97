//! A whole Debian host with systemd as its first process, logind and root's own sshd, on which an
//! administrator does what `docs/ssh.md` and `docs/ssh-sudo.md` say, with the package as it is shipped.
//!
//! Not responsible for what people are shown (`ssh_guide`), nor for providers that misbehave (`ssh`).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod guide;
mod host;
mod machine;
mod sessions;
mod sudo;

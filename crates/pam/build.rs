//! Links the module so that it stays where it is once it was loaded.
//!
//! PAM unloads modules at the end of a login. Rust's library leaves destructors of thread-local
//! variables behind, which a thread may still call then.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}

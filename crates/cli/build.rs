//! Links the stack unwinder into the program, where it would be a shared library of its own.
//!
//! Rust asks for `-lgcc_s` on Linux. To find, map and relocate that library takes 0.15 ms at each
//! start, a seventh of what `countersign token` takes in all; the compiler that links us has the same
//! code as an archive. A linker script of the library's name, in a directory that is searched first,
//! says so. `cargo xtask bench` shows the difference.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let native = env::var("HOST") == env::var("TARGET");
    if !native || target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    let Some(directory) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    if !has_archive("libgcc_eh.a") {
        // The shared library does as well, a little later.
        return;
    }
    let script = directory.join("libgcc_s.so");
    if fs::write(script, "GROUP(-lgcc_eh -lgcc)\n").is_ok() {
        println!("cargo::rustc-link-search=native={}", directory.display());
    }
}

/// Whether the C compiler, which is the linker's driver, has this archive: it then answers with a path.
fn has_archive(name: &str) -> bool {
    Command::new("cc")
        .arg(format!("-print-file-name={name}"))
        .output()
        .is_ok_and(|output| {
            let path = String::from_utf8_lossy(&output.stdout);
            Path::new(path.trim()).is_absolute()
        })
}

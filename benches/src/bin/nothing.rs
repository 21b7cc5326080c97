//! A program that does nothing: what a process of ours costs before it has done any work.

fn main() {}

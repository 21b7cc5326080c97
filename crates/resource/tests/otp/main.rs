//! One-time passwords over real registries and real memories: what each promises, replicas and processes
//! that are asked at the same time, kill -9, and validation servers that lie.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod processes;
mod replicas;
mod scene;
mod servers;

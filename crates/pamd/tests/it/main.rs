//! The daemon as it runs, between a scripted authorization server and a client that plays the module.

mod failures;
mod fixture;
mod paste;
mod sign_in;

//! The watch over real processes: a login of these tests is a shell with an audit session of its own and
//! everything that people leave in the background.

mod ends;
mod state;
mod support;

//! The pages, asked in process as browsers ask.

mod device;
mod forms;
mod headers;
mod places;
mod setup;
mod sign_in;
mod site;

//! The Autograph surface, with requests signed by the Hawk code of this project and by that of others.

mod authentication;
mod client;
mod openpgp;
mod others;
mod replay;
mod signing;
mod status;

//! What the crate promises, and that it agrees with balenaSign, OpenSSL, sbsigntool, osslsigncode, efitools
//! and kmod.

#![allow(clippy::unwrap_used)]

mod authenticode;
mod authority;
mod certificates;
mod chain;
mod cms;
mod eeprom;
mod efi;
mod golden;
mod imx_srk;
mod imx_tree;
mod kmod;
mod properties;
mod support;
mod tools;

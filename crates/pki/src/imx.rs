//! NXP i.MX secure boot: the public key infrastructure that a chip's fuses are burnt for.
//!
//! A chip of the HABv4 or AHAB family has one hash in its fuses: that of a table of four *super root keys*
//! (SRK). Each signed image brings the table, names one of its keys and chains from there:
//!
//! ```text
//! HABv4   CA1 ── SRKi ── CSFi_1 (signs the commands), IMGi_1 (signs the image)
//! AHAB    CA1 ── SRKi ── SGKi_1 (signs containers)
//! ```
//!
//! [`srk`] makes tables and fuse values of the super root keys' public halves, [`tree`] says which keys and
//! certificates a tree has, how they are called and in which order they are issued.

pub mod srk;
pub mod tree;

//! Certificates, CMS and what boots: X.509, secure boot, kernel modules, Raspberry Pi. Pure: times and
//! random bytes are arguments.
//!
//! - [`subject`], [`x509`], [`csr`], [`ca`]: names, self-signed certificates, requests, a small authority.
//! - [`chain`]: a leaf with all authorities up to a root.
//! - [`cms`]: detached signatures, and the SignedData that the boot formats wrap.
//! - [`esl`], [`efi_var`], [`list_name`]: UEFI signature lists and the signed updates of PK, KEK, db and dbx.
//! - [`authenticode`]: PE images, that is EFI programs and kernels.
//! - [`kmod`]: Linux kernel modules.
//! - [`rpi_eeprom`], [`raw_digest`]: Raspberry Pi EEPROM images, and digests signed bare.
//!
//! All are used alike: `prepare` gives what the key signs and a `Pending`, `Pending::scheme` says under which
//! scheme, `Pending::finish` makes the artifact of the signature. Beside it stands `verify`. Who signs in
//! a format made of CMS is a [`x509::Certificate`]: the signature names its issuer and serial number.
//!
//! ```
//! use countersign_model::{PublicKey, RawSignature, Scheme, ToSign};
//! use countersign_pki::kmod;
//! use countersign_pki::subject::Subject;
//! use countersign_pki::x509::{self, SerialNumber, Validity};
//!
//! # let public_key = PublicKey::from_pem(include_str!("../../../fixtures/appliance/keys/kmod.pub.pem"))?;
//! # fn at_the_key_host(_: Scheme, _: ToSign) -> RawSignature { RawSignature(vec![7; 512]) }
//! let subject: Subject = "/O=Example/CN=Example modules".parse()?;
//! let validity = Validity::days("2026-01-02T03:04:05Z".parse()?, 7305)?;
//! let serial = SerialNumber::from_random([0x5a; 20]);
//! let (to_sign, pending) = x509::prepare(&subject, &public_key, serial, validity)?;
//! let signature = at_the_key_host(pending.scheme(), to_sign);
//! let certificate = pending.finish(signature)?;
//! assert_eq!(certificate.subject().to_string(), "/O=Example/CN=Example modules");
//!
//! let (to_sign, pending) = kmod::prepare(b"\x7fELF module".to_vec(), &certificate)?;
//! let signature = at_the_key_host(pending.scheme(), to_sign);
//! let module = pending.finish(signature)?;
//! assert!(module.ends_with(b"~Module signature appended~\n"));
//! // kmod::verify(&module, &certificate)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
mod asn1;
pub mod authenticode;
pub mod ca;
pub mod chain;
pub mod cms;
pub mod csr;
pub mod efi_var;
pub mod esl;
pub mod extension;
pub mod imx;
pub mod kmod;
pub mod list_name;
pub mod raw_digest;
pub mod rpi_eeprom;
pub mod subject;
pub mod x509;

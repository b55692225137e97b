//! The one RSA operation that the library's safe interface does not have: EMSA-PKCS1-v1_5 padding of the
//! caller's bytes without DigestInfo (RFC 8017, 9.2, steps 3 to 5), as old firmware expects it.
#![allow(unsafe_code, reason = "a call of the library that its safe interface does not offer")]

use std::ptr::NonNull;

use aws_lc_sys::{
    CBS, CBS_init, EVP_PKEY, EVP_PKEY_free, EVP_PKEY_get0_RSA, EVP_parse_private_key, RSA_PKCS1_PADDING,
    RSA_sign_raw, RSA_size,
};

/// An RSA private key as the C library holds it. Freed, and wiped by the library, when dropped.
pub(super) struct UnprefixedRsa(NonNull<EVP_PKEY>);

// SAFETY: the pointer is owned by this value alone; the library documents that an RSA key may be used by
// several threads at once as long as none changes it, and nothing here does.
unsafe impl Send for UnprefixedRsa {}
// SAFETY: as above: `RSA_sign_raw` takes the key as shared.
unsafe impl Sync for UnprefixedRsa {}

impl UnprefixedRsa {
    /// Reads PKCS#8; `None` if it is not an RSA key.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let mut cbs = std::mem::MaybeUninit::<CBS>::uninit();
        // SAFETY: `CBS_init` writes the whole structure, which then points into `der`; `der` outlives the
        // parsing, and the parsed key holds copies.
        let key = unsafe {
            CBS_init(cbs.as_mut_ptr(), der.as_ptr(), der.len());
            EVP_parse_private_key(cbs.as_mut_ptr())
        };
        let key = Self(NonNull::new(key)?);
        // SAFETY: the pointer is valid; the answer is null for other kinds of key.
        let rsa = unsafe { EVP_PKEY_get0_RSA(key.0.as_ptr()) };
        (!rsa.is_null()).then_some(key)
    }

    /// Signs `message`; `None` if it is too long or the library fails.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: the key is valid and an RSA key (checked when made); `get0` gives no ownership away. The
        // output has as many bytes as the modulus, and the library is told so.
        unsafe {
            let rsa = EVP_PKEY_get0_RSA(self.0.as_ptr());
            let mut signature = vec![0; RSA_size(rsa) as usize];
            let mut written = 0;
            let ok = RSA_sign_raw(
                rsa,
                &mut written,
                signature.as_mut_ptr(),
                signature.len(),
                message.as_ptr(),
                message.len(),
                RSA_PKCS1_PADDING,
            );
            (ok == 1 && written == signature.len()).then_some(signature)
        }
    }
}

impl Drop for UnprefixedRsa {
    fn drop(&mut self) {
        // SAFETY: owned, and dropped once.
        unsafe { EVP_PKEY_free(self.0.as_ptr()) }
    }
}

//! Authenticated updates of EFI variables.

use countersign_pki::efi_var::{AuthenticatedVariable, Variable, verify};

use super::certificate::known;

/// An update that verifies has been read, and its parts fill the file.
pub fn efi_variable(data: &[u8]) {
    let verified = Variable::ALL.into_iter().any(|variable| verify(data, variable, &known()).is_ok());
    match AuthenticatedVariable::parse(data) {
        Ok(update) => assert_eq!(40 + update.cms.len() + update.esl.len(), data.len()),
        Err(_) => assert!(!verified),
    }
}

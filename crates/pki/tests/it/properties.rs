//! What holds for any input.

use countersign_model::RawSignature;
use countersign_pki::authenticode::{self, PeImage};
use countersign_pki::cms::SignedData;
use countersign_pki::csr::Csr;
use countersign_pki::efi_var::AuthenticatedVariable;
use countersign_pki::esl::{Guid, SignatureDatabase, SignatureList};
use countersign_pki::kmod::{self, SignedModule};
use countersign_pki::list_name::{list_name, sorted_unique};
use countersign_pki::subject::Subject;
use countersign_pki::x509::Certificate;
use proptest::prelude::*;

use crate::authenticode::small_image;
use crate::support::{certificate, now};

proptest! {
    #[test]
    fn a_subject_that_is_printed_is_read_as_the_same(text in r"(/|\+)?(CN|O|C|DC|x)=[a-zé/+\\=]{0,6}(/|\+)?(OU=[^\x00-\x1f]{0,3})?") {
        if let Ok(subject) = text.parse::<Subject>() {
            prop_assert_eq!(subject.to_string().parse::<Subject>().unwrap(), subject);
        }
    }

    #[test]
    fn bytes_are_never_a_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Certificate::from_der(&bytes);
        let _ = Csr::from_der(&bytes);
        let _ = SignedData::parse(&bytes);
        let _ = SignatureDatabase::parse(&bytes);
        let _ = AuthenticatedVariable::parse(&bytes);
        let _ = PeImage::parse(&bytes);
        let _ = SignedModule::parse(&bytes);
    }

    #[test]
    fn changed_images_that_are_accepted_can_be_signed_and_read_again(
        trailing in 0_usize..20,
        changes in proptest::collection::vec((0x3c_usize..0x1a0, any::<u8>()), 0..4),
    ) {
        let mut image = small_image(0x20b, trailing);
        for (at, value) in changes {
            image[at] = value;
        }
        if let Ok((_, pending)) = authenticode::prepare(image.clone(), &certificate("db"), now()) {
            let digest = PeImage::parse(&image).unwrap().digest();
            let signed = pending.finish(RawSignature(vec![1; 256])).unwrap();
            let read = PeImage::parse(&signed).unwrap();
            prop_assert_eq!(read.digest(), digest);
            prop_assert_eq!(read.signatures().count(), 1);
        }
    }

    #[test]
    fn a_module_is_taken_apart_into_what_it_was_made_of(module in proptest::collection::vec(any::<u8>(), 1..300)) {
        let (_, pending) = kmod::prepare(module.clone(), &certificate("db")).unwrap();
        let signed = pending.finish(RawSignature(vec![1; 256])).unwrap();
        prop_assert_eq!(SignedModule::parse(&signed).unwrap().module, module);
    }

    #[test]
    fn lists_go_round(owner: [u8; 16], digests in proptest::collection::vec(any::<[u8; 32]>(), 1..5)) {
        let list = SignatureList::sha256(Guid::from_bytes(owner), &digests).unwrap();
        let database = SignatureDatabase::new(vec![list.clone(), list]).unwrap();
        prop_assert_eq!(SignatureDatabase::parse(&database.to_bytes()), Ok(database));
    }

    #[test]
    fn guids_go_round(bytes: [u8; 16]) {
        let guid = Guid::from_bytes(bytes);
        prop_assert_eq!(guid.to_string().parse(), Ok(guid));
    }

    #[test]
    fn the_name_of_a_list_is_that_of_its_set(ids in proptest::collection::vec("[a-d]{1,2}", 1..6)) {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        prop_assert_eq!(list_name(ids.iter().copied()), list_name(sorted_unique(ids.iter().copied())));
        prop_assert_eq!(list_name(ids.iter().copied()), list_name(ids.iter().rev().copied()));
    }
}

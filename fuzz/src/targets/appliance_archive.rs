//! Archives of the appliance, decrypted.

use countersign_keyhost::archive::{self, ArchiveError, Contents, layout, tar};

/// As gzip, and as what should be in it. Every key that is taken has a name here, and nothing that is public holds
/// a private key's mark.
pub fn appliance_archive(data: &[u8]) {
    for result in [archive::unpack(data), tar::read(data).and_then(|files| layout::read(&files))] {
        match result {
            Ok(contents) => check(&contents),
            Err(ArchiveError::Key { path, .. }) => assert!(path.len() <= data.len()),
            Err(error) => assert!(error.to_string().len() < 1000, "an error is a sentence: {error}"),
        }
    }
}

fn check(contents: &Contents) {
    assert!(contents.keys.len() <= archive::MAX_KEYS);
    for (archived, _) in &contents.keys {
        archived.key_name().expect("a key that was taken has a name");
    }
    for file in contents.public.certificates.iter() {
        assert!(archive::is_certificate_id(&file.name));
    }
    for file in &contents.public.variables {
        assert!(archive::is_list_name(&file.list) && layout::VARIABLES.contains(&file.variable.as_str()));
    }
}

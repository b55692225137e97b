//! One fuzz target a parser: a plain function over bytes that must neither panic, nor loop, nor take memory
//! by a number that it was told. Its assertions say what else holds for whatever is accepted.
//!
//! - A new target is a file in `targets/` with a function of the same name, a line in [`TARGETS`], and a
//!   folder of seeds in `corpus/`.
//! - `cargo test -p countersign-fuzz` replays the corpus and mutates it for `COUNTERSIGN_FUZZ_SECONDS`
//!   (60), on the stable toolchain. An input that fails is kept under `target/fuzz-failures/`.
//! - libFuzzer is run by hand on nightly: see `libfuzzer/README.md`.

pub mod targets;

/// A parser and what must hold for any input.
pub type Target = fn(&[u8]);

/// All targets by name. The name is also that of the target's file and of its folder of seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("accept_header", targets::accept_header::accept_header),
    ("appliance_archive", targets::appliance_archive::appliance_archive),
    ("authenticode", targets::authenticode::authenticode),
    ("authority_document", targets::authority_document::authority_document),
    ("autograph_answer", targets::autograph_answer::autograph_answer),
    ("autograph_request", targets::autograph_request::autograph_request),
    ("backup_records", targets::backup_records::backup_records),
    ("certificate", targets::certificate::certificate),
    ("certificate_chain", targets::certificate_chain::certificate_chain),
    ("changeset", targets::changeset::changeset),
    ("checkpoint", targets::checkpoint::checkpoint),
    ("cleartext", targets::cleartext::cleartext),
    ("cms_signed_data", targets::cms_signed_data::cms_signed_data),
    ("collection_batch", targets::collection_batch::collection_batch),
    ("collection_form", targets::collection_form::collection_form),
    ("collection_page_token", targets::collection_page_token::collection_page_token),
    ("collection_query", targets::collection_query::collection_query),
    ("collection_request", targets::collection_request::collection_request),
    ("control_checksums", targets::control_checksums::control_checksums),
    ("credentials", targets::credentials::credentials),
    ("csr", targets::csr::csr),
    ("efi_signature_list", targets::efi_signature_list::efi_signature_list),
    ("efi_variable", targets::efi_variable::efi_variable),
    ("entity_tags", targets::entity_tags::entity_tags),
    ("entry_bundle", targets::entry_bundle::entry_bundle),
    ("file_name", targets::file_name::file_name),
    ("gnupg_keybox", targets::gnupg_keybox::gnupg_keybox),
    ("gnupg_private_key", targets::gnupg_private_key::gnupg_private_key),
    ("hawk", targets::hawk::hawk),
    ("imx_srk_table", targets::imx_srk_table::imx_srk_table),
    ("json_patch", targets::json_patch::json_patch),
    ("kernel_module", targets::kernel_module::kernel_module),
    ("key_bundle", targets::key_bundle::key_bundle),
    ("keyhost_frame", targets::keyhost_frame::keyhost_frame),
    ("log_entry", targets::log_entry::log_entry),
    ("merkle_proof", targets::merkle_proof::merkle_proof),
    ("native_document", targets::native_document::native_document),
    ("note", targets::note::note),
    ("note_verifier_key", targets::note_verifier_key::note_verifier_key),
    ("openpgp_certificate", targets::openpgp_certificate::openpgp_certificate),
    ("openpgp_signature", targets::openpgp_signature::openpgp_signature),
    ("pem_import", targets::pem_import::pem_import),
    ("public_key_pem", targets::public_key_pem::public_key_pem),
    ("resource_line", targets::resource_line::resource_line),
    ("resource_pattern", targets::resource_pattern::resource_pattern),
    ("rpi_signature", targets::rpi_signature::rpi_signature),
    ("sealed_blob", targets::sealed_blob::sealed_blob),
    ("server_config", targets::server_config::server_config),
    ("ssh", targets::ssh::ssh),
    ("store_snapshot_line", targets::store_snapshot_line::store_snapshot_line),
    ("strict_json", targets::strict_json::strict_json),
    ("subject", targets::subject::subject),
    ("tag_file", targets::tag_file::tag_file),
    ("tag_head", targets::tag_head::tag_head),
    ("tag_name", targets::tag_name::tag_name),
    ("tag_request", targets::tag_request::tag_request),
    ("tile_path", targets::tile_path::tile_path),
    ("tlog_proof", targets::tlog_proof::tlog_proof),
    ("token", targets::token::token),
    ("tuf_bodies", targets::tuf_bodies::tuf_bodies),
    ("tuf_client", targets::tuf_client::tuf_client),
    ("tuf_file_name", targets::tuf_file_name::tuf_file_name),
    ("tuf_key", targets::tuf_key::tuf_key),
    ("tuf_metadata", targets::tuf_metadata::tuf_metadata),
    ("tuf_pattern", targets::tuf_pattern::tuf_pattern),
    ("tuf_text", targets::tuf_text::tuf_text),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

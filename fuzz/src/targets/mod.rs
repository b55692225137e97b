//! The targets, a file each.

pub mod backup_records;
pub mod checkpoint;
pub mod credentials;
pub mod entry_bundle;
pub mod file_name;
pub mod keyhost_frame;
pub mod log_entry;
pub mod merkle_proof;
pub mod native_document;
pub mod note;
pub mod note_verifier_key;
pub mod pem_import;
pub mod public_key_pem;
pub mod sealed_blob;
pub mod server_config;
pub mod store_snapshot_line;
pub mod strict_json;
pub mod tag_file;
pub mod tile_path;
pub mod tlog_proof;
pub mod token;

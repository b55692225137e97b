//! The configuration file.

use countersign_server::config::Config;

/// A configuration is read whole or refused with a reason and a hint.
pub fn server_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text) {
        Ok(config) => {
            let _ = config.warnings();
            assert!(config.limits.native_json() > 0 && config.limits.streamed() > 0);
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
}

//! Signatures over nothing, which nobody is given: they show whether a service signs, and which chains it uses.

use std::time::Instant;

use countersign_records::collections::content_signature::Profile;

use super::Error;
use crate::collections::settings::{self, AutographSettings, Settings, Signer};
use crate::context::Context;

/// The services that are configured, each once for everything that is asked of it in another way.
pub(in crate::collections) fn services(settings: &Settings) -> Vec<(&AutographSettings, Profile)> {
    let mut services: Vec<(&AutographSettings, Profile)> = Vec::new();
    for resource in &settings.resources {
        let Signer::Autograph(autograph) = &resource.signer else { continue };
        let profile = match resource.profile {
            settings::Profile::ContentSignature => Profile::Modern,
            settings::Profile::Seed => Profile::Seed,
        };
        let is_same = |(other, others): &(&AutographSettings, Profile)| {
            let (url, id) = (other.url == autograph.url, other.id == autograph.id);
            let (keys, pins) = (other.key_ids == autograph.key_ids, other.pins == autograph.pins);
            url && id && keys && pins && *others == profile
        };
        if !services.iter().any(is_same) {
            services.push((autograph, profile));
        }
    }
    services
}

/// Makes a signature with every key of a service, and keeps none of them.
///
/// # Errors
/// Why one cannot be made, or is not believed.
pub(in crate::collections) async fn probe(
    ctx: &Context,
    autograph: &AutographSettings,
    profile: Profile,
) -> Result<(), Error> {
    let content = match profile {
        Profile::Modern => r#"{"data":[],"last_modified":"0"}"#,
        Profile::Seed => r#"[{"id":"heartbeat"}]"#,
    };
    let deadline = Instant::now() + autograph.timeout;
    super::sign(ctx, autograph, profile, &[content.to_owned()], deadline).await.map(drop)
}

//! The private keys that come with a repository.

use countersign_model::policy::Permit;
use countersign_model::{Action, Format, KeyName, PublicKey, Resource, Surface};

use super::{AdoptError, Plan, check_free};
use crate::caller::Caller;
use crate::context::Context;
use crate::keys::{self, ImportKey};
use crate::pipeline;
use crate::snapshot::KeyState;
use crate::tuf::repository::Repository;
use crate::tuf::resource;

/// What became of a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is here now, under its name.
    New(KeyName),
    /// The same key was here already, maybe under another name.
    There(KeyName),
}

impl Imported {
    /// What it is called here.
    pub fn name(&self) -> &KeyName {
        match self {
            Self::New(name) | Self::There(name) => name,
        }
    }
}

/// What a key is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// So and not otherwise.
    Exactly(KeyName),
    /// So, or with a number behind it if another key has the name.
    About(KeyName),
}

/// Takes a private key in that signs something of the repository.
///
/// - `public`: its public half.
/// - `key`: the private half; its name is that of `called`, if that is free.
///
/// # Errors
/// [`AdoptError::ForeignKey`] for a key that signs nothing here, [`AdoptError::NameTaken`] if another key has the name,
/// and those of [`keys::import`].
pub async fn import(
    ctx: &Context,
    caller: &Caller,
    plan: &Plan,
    called: &Called,
    public: &PublicKey,
    key: ImportKey,
) -> Result<Imported, AdoptError> {
    permit(ctx, caller)?;
    check_free(&Repository::load(&mut ctx.store.tuf_read().await?).await?)?;
    if !plan.is_signed_by(public) {
        return Err(AdoptError::ForeignKey(called.name().to_string()));
    }
    if let Some(there) = known(ctx, public)? {
        return Ok(Imported::There(there));
    }
    let name = free_name(ctx, called)?;
    let new = ImportKey { name: name.clone(), formats: Some(vec![Format::Tuf]), ..key };
    keys::import(ctx, &Caller { surface: Surface::Tuf, ..caller.clone() }, new).await?;
    Ok(Imported::New(name))
}

/// Adopting brings private keys and a whole repository, past every signature that a change would need: it is for those
/// who may also change who may do what. What surfaces do with their own keys is not judged by the person, so this is.
pub(super) fn permit(ctx: &Context, caller: &Caller) -> Result<Permit, crate::Error> {
    pipeline::authorise_person(ctx, caller, Action::PolicyWrite, &Resource::policy())?;
    pipeline::authorise_person(ctx, caller, Action::TufWrite, &resource())
}

/// The name of the key of the service that has this public half.
fn known(ctx: &Context, public: &PublicKey) -> Result<Option<KeyName>, AdoptError> {
    let snapshot = ctx.cache.read();
    let mut ours = snapshot.keys.values().filter(|key| key.name.owner() == Some(Surface::Tuf));
    let Some(key) = ours.find(|key| key.spki == public.spki()) else { return Ok(None) };
    let signs = key.formats.as_ref().is_none_or(|formats| formats.contains(&Format::Tuf));
    if key.state == KeyState::Active && signs {
        Ok(Some(key.name.clone()))
    } else {
        Err(AdoptError::EndedKey(key.name.to_string()))
    }
}

fn free_name(ctx: &Context, called: &Called) -> Result<KeyName, AdoptError> {
    let is_free = |name: &KeyName| ctx.cache.key(name).is_none();
    let first = called.name();
    if is_free(first) {
        return Ok(first.clone());
    }
    let taken = || AdoptError::NameTaken(first.to_string());
    let Called::About(_) = called else { return Err(taken()) };
    let mut numbered = (2..1_000).filter_map(|number| format!("{first}-{number}").parse().ok());
    numbered.find(is_free).ok_or_else(taken)
}

impl Called {
    fn name(&self) -> &KeyName {
        match self {
            Self::Exactly(name) | Self::About(name) => name,
        }
    }
}

//! i.MX trees: made whole, with the table of super root keys and the value for the chip's fuses.

use std::collections::HashMap;

use countersign_model::Format;
use countersign_pki::imx::srk::{self, HabEntry, SuperRootKey};
use countersign_pki::imx::tree::{self, DAYS, Kind, Member, TreeSpec};
use countersign_pki::x509::{Certificate, Validity};
use countersign_store::{ApplianceBatch, TreeMemberRecord, TreeRecord};
use tokio::task::JoinSet;

use super::Error;
use super::id::member_key;
use super::making::{self, Made};
use crate::caller::Caller;
use crate::context::Context;
use crate::random;

/// A tree that is not stored yet.
pub(super) struct MadeTree {
    pub(super) keys: Vec<Made>,
    pub(super) record: TreeRecord,
}

/// Makes a tree and gives its id: 32 lower-case hex digits.
///
/// # Errors
/// When key host or database fail.
pub async fn create_tree(ctx: &Context, caller: &Caller, kind: Kind) -> Result<String, Error> {
    let made = make(ctx, caller, kind).await?;
    let id = made.record.id.clone();
    let batch = ApplianceBatch {
        keys: made.keys.into_iter().map(|key| key.record).collect(),
        trees: vec![made.record],
        ..ApplianceBatch::default()
    };
    making::keep(ctx, &batch, || format!("PKI tree {id} already exists")).await?;
    Ok(id)
}

/// Makes all keys at once, then the certificates from the root down.
pub(super) async fn make(ctx: &Context, caller: &Caller, kind: Kind) -> Result<MadeTree, Error> {
    let spec = match kind {
        Kind::Hab => TreeSpec::HAB,
        Kind::Ahab => TreeSpec::AHAB,
    };
    let id = hex::encode(random::bytes::<16>()?);
    let keys = make_keys(ctx, caller, &spec, &id).await?;
    let certificates = issue(ctx, caller, &spec, &keys).await?;
    let table = srk_table(&spec, &certificates)?;
    let member = |member: &Member| {
        let name = spec.common_name(*member);
        let signing_key = keys.get(member).map(|key| key.record.name.clone());
        let der = certificates.get(member).map(|one| one.der().to_vec()).unwrap_or_default();
        TreeMemberRecord { name, signing_key, der }
    };
    let mut members: Vec<TreeMemberRecord> = spec.members().iter().map(member).collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    let record = TreeRecord {
        id,
        kind: match kind {
            Kind::Hab => "hab".into(),
            Kind::Ahab => "ahab".into(),
        },
        fuses: srk::fuses(&table).map_err(unmade)?,
        srk_table: table,
        created: ctx.now(),
        members,
    };
    Ok(MadeTree { keys: keys.into_values().collect(), record })
}

fn unmade(error: srk::SrkError) -> Error {
    crate::Error::Internal(error.to_string()).into()
}

async fn make_keys(
    ctx: &Context,
    caller: &Caller,
    spec: &TreeSpec,
    tree: &str,
) -> Result<HashMap<Member, Made>, Error> {
    let mut making = JoinSet::new();
    for member in spec.members() {
        let name = member_key(tree, &spec.common_name(member))?;
        let (ctx, caller, key_type) = (ctx.clone(), caller.clone(), spec.key_type);
        making.spawn(async move { Ok((member, making::make(&ctx, &caller, name, key_type).await?)) });
    }
    let mut keys = HashMap::new();
    while let Some(made) = making.join_next().await {
        let made: Result<_, Error> = made.map_err(|_| crate::Error::Internal("work was cut short".into()))?;
        let (member, key) = made?;
        keys.insert(member, key);
    }
    Ok(keys)
}

/// Issues all certificates, in the order that their serial numbers show.
async fn issue(
    ctx: &Context,
    caller: &Caller,
    spec: &TreeSpec,
    keys: &HashMap<Member, Made>,
) -> Result<HashMap<Member, Certificate>, Error> {
    let missing = || crate::Error::Internal("a key of the tree was not made".into());
    let now = ctx.now();
    let validity = Validity::days(now, DAYS)?;
    let random = random::bytes()?;
    let mut certificates: HashMap<Member, Certificate> = HashMap::new();
    for member in spec.members() {
        let key = keys.get(&member).ok_or_else(missing)?;
        let issuer = keys.get(&spec.issuer(member)).ok_or_else(missing)?;
        // The root has none yet and signs its own.
        let issuer_certificate = certificates.get(&spec.issuer(member));
        let serial = spec.serial(member, now, random);
        let (to_sign, pending) =
            tree::prepare(spec, member, &key.public, issuer_certificate, serial, validity)?;
        let name = spec.common_name(member);
        let raw = issuer.sign(ctx, caller, Format::X509, pending.scheme(), to_sign, &name).await?;
        let certificate = pending.finish(raw)?;
        certificate.is_signed_by(&issuer.public).map_err(|why| Error::unverified("certificate", why))?;
        certificates.insert(member, certificate);
    }
    Ok(certificates)
}

fn srk_table(spec: &TreeSpec, certificates: &HashMap<Member, Certificate>) -> Result<Vec<u8>, Error> {
    let key = |number| {
        let certificate = certificates.get(&Member::Srk(number));
        let certificate =
            certificate.ok_or_else(|| crate::Error::Internal("a certificate is missing".into()))?;
        Ok::<_, Error>(SuperRootKey { key: certificate.public_key().clone(), is_ca: spec.srk_is_ca })
    };
    let keys = [key(1)?, key(2)?, key(3)?, key(4)?];
    match spec.kind {
        Kind::Hab => srk::hab_table(&keys.map(HabEntry::Key)),
        Kind::Ahab => srk::ahab_table(&keys, spec.hash),
    }
    .map_err(unmade)
}

/// The ids of all trees, for anybody.
///
/// # Errors
/// Those of any read.
pub async fn tree_ids(ctx: &Context) -> Result<Vec<String>, Error> {
    Ok(ctx.store.trees().await?)
}

/// The value for the fuses: 32 bytes (HABv4) or 64 (AHAB), for anybody.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn tree_fuses(ctx: &Context, id: &str) -> Result<Vec<u8>, Error> {
    let found = ctx.store.tree(&id.to_ascii_lowercase()).await?;
    Ok(found.ok_or_else(|| Error::NotFound(format!("PKI tree {id} is unknown")))?.fuses)
}

//! A new product's whole key set in one request, or nothing of it.

use countersign_model::KeyName;
use countersign_pki::efi_var::Variable;
use countersign_pki::esl::SignatureDatabase;
use countersign_pki::imx::tree::Kind;
use countersign_pki::list_name::list_name;
use countersign_store::{ApplianceBatch, ListRecord};

use super::certificates::{self, MadeCertificate, NewCertificate};
use super::openpgp::{self, NewOpenPgpKey};
use super::{Error, making, rsa, rsa_bits, secureboot, trees};
use crate::caller::Caller;
use crate::context::Context;

/// What to make.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The OpenPGP key.
    pub openpgp: NewOpenPgpKey,
    /// What the tree that clients call `hab` is made for.
    pub hab: Kind,
    /// What the tree that clients call `ahab` is made for.
    pub ahab: Kind,
    /// The certificates.
    pub certificates: BootstrapCertificates,
}

/// The certificates of a key set.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "named like the variables that they are for")]
pub struct BootstrapCertificates {
    pub pk: NewCertificate,
    pub kek: NewCertificate,
    pub kmod: NewCertificate,
    pub db: Option<NewCertificate>,
}

/// What was made. Certificates in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like what was asked for")]
pub struct Bootstrapped {
    pub openpgp: String,
    pub rsa: String,
    pub hab: String,
    pub ahab: String,
    pub pk: String,
    pub kek: String,
    pub kmod: String,
    pub db: Option<String>,
}

/// Makes a key set: all names are checked before the first key is made, and all is stored at once.
///
/// PK signs itself and KEK; KEK signs db, since no firmware takes a db that signs itself.
///
/// # Errors
/// [`Error::Conflict`] if a name is taken or stands twice.
pub async fn bootstrap(ctx: &Context, caller: &Caller, wanted: Bootstrap) -> Result<Bootstrapped, Error> {
    let certificates = wanted.certificates.all();
    let mut names = Vec::new();
    for new in &certificates {
        rsa_bits(new.key_length)?;
        certificates::validity(ctx, new)?;
        let name = new.id.key_name()?;
        if names.contains(&name) {
            return Err(Error::Conflict(format!("Certificate '{}' stands twice in the request", new.id)));
        }
        making::check_may_make(ctx, caller, &name)?;
        certificates::check_free(ctx, &new.id).await?;
        names.push(name);
    }
    rsa_bits(wanted.openpgp.key_length)?;

    let (made, openpgp, rsa, hab, ahab) = tokio::try_join!(
        make_certificates(ctx, caller, &certificates, &names),
        openpgp::make(ctx, caller, &wanted.openpgp),
        rsa::make(ctx, caller),
        trees::make(ctx, caller, wanted.hab),
        trees::make(ctx, caller, wanted.ahab),
    )?;
    let lists = sign_lists(ctx, caller, &made).await?;

    let pem = |place: usize| made.get(place).map(|one| one.certificate.to_pem());
    let answer = Bootstrapped {
        openpgp: openpgp.record.fingerprint.clone(),
        rsa: rsa.1.id.clone(),
        hab: hab.record.id.clone(),
        ahab: ahab.record.id.clone(),
        pk: pem(0).unwrap_or_default(),
        kek: pem(1).unwrap_or_default(),
        kmod: pem(2).unwrap_or_default(),
        db: pem(3),
    };
    let mut batch = ApplianceBatch { lists, ..ApplianceBatch::default() };
    for one in made {
        batch.keys.push(one.key.record);
        batch.certificates.push(one.record);
    }
    batch.keys.extend([openpgp.key.record, rsa.0.record]);
    batch.openpgp.push(openpgp.record);
    batch.rsa.push(rsa.1);
    for tree in [hab, ahab] {
        batch.keys.extend(tree.keys.into_iter().map(|key| key.record));
        batch.trees.push(tree.record);
    }
    making::keep(ctx, &batch, || "a name of the key set was taken meanwhile".into()).await?;
    Ok(answer)
}

impl BootstrapCertificates {
    /// In the order PK, KEK, kernel modules, db.
    fn all(&self) -> Vec<&NewCertificate> {
        [&self.pk, &self.kek, &self.kmod].into_iter().chain(&self.db).collect()
    }
}

async fn make_certificates(
    ctx: &Context,
    caller: &Caller,
    wanted: &[&NewCertificate],
    names: &[KeyName],
) -> Result<Vec<MadeCertificate>, Error> {
    let each = wanted.iter().zip(names).map(|(new, name)| certificates::make(ctx, caller, new, name.clone()));
    futures_util::future::try_join_all(each).await
}

async fn sign_lists(
    ctx: &Context,
    caller: &Caller,
    made: &[MadeCertificate],
) -> Result<Vec<ListRecord>, Error> {
    let [pk, kek, _kmod, db @ ..] = made else {
        return Err(crate::Error::Internal("certificates of the key set are missing".into()).into());
    };
    let mut lists = vec![
        sign_list(ctx, caller, Variable::Pk, pk, pk).await?,
        sign_list(ctx, caller, Variable::Kek, kek, pk).await?,
    ];
    for one in db {
        lists.push(sign_list(ctx, caller, Variable::Db, one, kek).await?);
    }
    Ok(lists)
}

/// Signs a list of one certificate by one that is not stored yet either.
async fn sign_list(
    ctx: &Context,
    caller: &Caller,
    variable: Variable,
    of: &MadeCertificate,
    signer: &MadeCertificate,
) -> Result<ListRecord, Error> {
    let esl = SignatureDatabase::new(vec![of.list()])?.to_bytes();
    let auth =
        secureboot::sign_by_new(ctx, caller, variable, esl.clone(), &signer.key, &signer.certificate).await?;
    Ok(ListRecord {
        list: list_name([of.record.id.as_str()]),
        variable: variable.name().to_owned(),
        esl,
        auth,
        created: ctx.now(),
    })
}

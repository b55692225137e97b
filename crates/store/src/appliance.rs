//! What the appliance keeps beside its keys: certificates, frozen lists, OpenPGP and RSA keys, trees.
//!
//! Everything that one request makes goes in by one [`Store::insert_appliance`]: all of it or nothing.

use jiff::Timestamp;

use crate::engine::{Row, Transaction};
use crate::error::StoreError;
use crate::generation;
use crate::keys::{self, KeyRecord};
use crate::store::Store;

/// A certificate that a client named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// The client's name for it.
    pub id: String,
    /// The key that it is for.
    pub signing_key: String,
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The owner GUID of its signature list, as 16 bytes in the order of a list.
    pub owner: [u8; 16],
    /// When it was made or imported.
    pub created: Timestamp,
}

/// A list of certificates that was signed for a variable. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRecord {
    /// The name of the set of its certificates, hex.
    pub list: String,
    /// `PK`, `KEK`, `db` or `dbx`.
    pub variable: String,
    /// The signature lists.
    pub esl: Vec<u8>,
    /// The authenticated update of the variable.
    pub auth: Vec<u8>,
    /// When it was signed or imported.
    pub created: Timestamp,
}

/// An OpenPGP key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPgpRecord {
    /// 40 upper-case hex digits.
    pub fingerprint: String,
    /// The key.
    pub signing_key: String,
    /// The packets of the public key, its user id and its certification.
    pub public_key: Vec<u8>,
    /// When it was made or imported.
    pub created: Timestamp,
}

/// An RSA key by its short name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaRecord {
    /// 32 lower-case hex digits.
    pub id: String,
    /// The key.
    pub signing_key: String,
    /// When it was made or imported.
    pub created: Timestamp,
}

/// An i.MX tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRecord {
    /// 32 lower-case hex digits.
    pub id: String,
    /// `hab` or `ahab`.
    pub kind: String,
    /// The table of super root keys.
    pub srk_table: Vec<u8>,
    /// The value for the chip's fuses.
    pub fuses: Vec<u8>,
    /// When it was made or imported.
    pub created: Timestamp,
    /// Its certificates, in the order of their names.
    pub members: Vec<TreeMemberRecord>,
}

/// A certificate of a tree, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeMemberRecord {
    /// The common name.
    pub name: String,
    /// The key; `None` where a tree was imported without it.
    pub signing_key: Option<String>,
    /// The certificate, DER.
    pub der: Vec<u8>,
}

/// Hex digits of a fingerprint.
const FINGERPRINT: usize = 40;

/// What one request makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named like their types")]
pub struct ApplianceBatch {
    pub keys: Vec<KeyRecord>,
    pub certificates: Vec<CertificateRecord>,
    pub lists: Vec<ListRecord>,
    pub openpgp: Vec<OpenPgpRecord>,
    pub rsa: Vec<RsaRecord>,
    pub trees: Vec<TreeRecord>,
}

impl Store {
    /// Stores all that a request made, or nothing. Of parallel calls with one name exactly one succeeds.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a name is taken; it says which.
    pub async fn insert_appliance(&self, batch: &ApplianceBatch) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let tx_mut = tx.as_mut();
        for key in &batch.keys {
            keys::insert(tx_mut, key).await?;
        }
        for certificate in &batch.certificates {
            insert_certificate(tx_mut, certificate).await?;
        }
        for list in &batch.lists {
            insert_list(tx_mut, list).await?;
        }
        for key in &batch.openpgp {
            insert_openpgp(tx_mut, key).await?;
        }
        for key in &batch.rsa {
            let sql = "insert into appliance_rsa (id, signing_key, created) values ($1, $2, $3)";
            let values = [(&key.id).into(), (&key.signing_key).into(), key.created.into()];
            let inserted = tx_mut.execute(sql, &values).await;
            inserted.map_err(|failure| failure.or_conflict(|| format!("RSA key `{}`", key.id)))?;
        }
        for tree in &batch.trees {
            insert_tree(tx_mut, tree).await?;
        }
        if !batch.keys.is_empty() {
            generation::bump(tx_mut).await?;
        }
        tx.commit().await
    }

    /// The certificate of that name.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn certificate(&self, id: &str) -> Result<Option<CertificateRecord>, StoreError> {
        let sql = "select * from appliance_certificate where id = $1";
        self.engine.query(sql, &[id.into()]).await?.first().map(read_certificate).transpose()
    }

    /// All certificates, in the order of their names.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn certificates(&self) -> Result<Vec<CertificateRecord>, StoreError> {
        let sql = "select * from appliance_certificate order by id";
        self.engine.query(sql, &[]).await?.iter().map(read_certificate).collect()
    }

    /// The list of that name as it was signed for a variable.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn certificate_list(
        &self,
        list: &str,
        variable: &str,
    ) -> Result<Option<ListRecord>, StoreError> {
        let sql = "select * from appliance_list where list = $1 and variable = $2";
        self.engine.query(sql, &[list.into(), variable.into()]).await?.first().map(read_list).transpose()
    }

    /// All signed lists, in the order of their names and variables.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn certificate_lists(&self) -> Result<Vec<ListRecord>, StoreError> {
        let sql = "select * from appliance_list order by list, variable";
        self.engine.query(sql, &[]).await?.iter().map(read_list).collect()
    }

    /// All OpenPGP keys, in the order of their fingerprints.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn openpgp_keys(&self) -> Result<Vec<OpenPgpRecord>, StoreError> {
        let sql = "select * from appliance_openpgp order by fingerprint";
        self.engine.query(sql, &[]).await?.iter().map(read_openpgp).collect()
    }

    /// The OpenPGP keys whose fingerprint ends with these upper-case hex digits: two of them if there are more.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn openpgp_keys_ending(&self, digits: &str) -> Result<Vec<OpenPgpRecord>, StoreError> {
        // The whole fingerprint is the primary key; a key id is its end.
        if digits.len() == FINGERPRINT {
            let sql = "select * from appliance_openpgp where fingerprint = $1";
            return self.engine.query(sql, &[digits.into()]).await?.iter().map(read_openpgp).collect();
        }
        let sql = "select * from appliance_openpgp
                   where fingerprint like '%' || $1 order by fingerprint limit 2";
        self.engine.query(sql, &[digits.into()]).await?.iter().map(read_openpgp).collect()
    }

    /// The RSA key of that short name.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn rsa_key(&self, id: &str) -> Result<Option<RsaRecord>, StoreError> {
        let sql = "select * from appliance_rsa where id = $1";
        self.engine.query(sql, &[id.into()]).await?.first().map(read_rsa).transpose()
    }

    /// All RSA keys, in the order of their short names.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn rsa_keys(&self) -> Result<Vec<RsaRecord>, StoreError> {
        let sql = "select * from appliance_rsa order by id";
        self.engine.query(sql, &[]).await?.iter().map(read_rsa).collect()
    }

    /// The names of all trees, in their order.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn trees(&self) -> Result<Vec<String>, StoreError> {
        let sql = "select id from appliance_tree order by id";
        self.engine.query(sql, &[]).await?.iter().map(|row| row.text("id")).collect()
    }

    /// The tree of that name, with its members.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tree(&self, id: &str) -> Result<Option<TreeRecord>, StoreError> {
        let rows = self.engine.query("select * from appliance_tree where id = $1", &[id.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        // Trees never change: two reads see one state.
        let sql = "select * from appliance_tree_member where tree = $1 order by name";
        let members =
            self.engine.query(sql, &[id.into()]).await?.iter().map(read_member).collect::<Result<_, _>>()?;
        Ok(Some(TreeRecord {
            id: row.text("id")?,
            kind: row.text("kind")?,
            srk_table: row.bytes("srk_table")?,
            fuses: row.bytes("fuses")?,
            created: row.time("created")?,
            members,
        }))
    }
}

async fn insert_certificate(
    tx: &mut dyn Transaction,
    certificate: &CertificateRecord,
) -> Result<(), StoreError> {
    let sql = "insert into appliance_certificate (id, signing_key, der, owner, created)
               values ($1, $2, $3, $4, $5)";
    let values = [
        (&certificate.id).into(),
        (&certificate.signing_key).into(),
        (&certificate.der).into(),
        certificate.owner.as_slice().into(),
        certificate.created.into(),
    ];
    let inserted = tx.execute(sql, &values).await;
    inserted.map(drop).map_err(|failure| failure.or_conflict(|| format!("certificate `{}`", certificate.id)))
}

async fn insert_list(tx: &mut dyn Transaction, list: &ListRecord) -> Result<(), StoreError> {
    let sql = "insert into appliance_list (list, variable, esl, auth, created) values ($1, $2, $3, $4, $5)";
    let values = [
        (&list.list).into(),
        (&list.variable).into(),
        (&list.esl).into(),
        (&list.auth).into(),
        list.created.into(),
    ];
    let inserted = tx.execute(sql, &values).await;
    inserted.map(drop).map_err(|failure| failure.or_conflict(|| format!("{} `{}`", list.variable, list.list)))
}

async fn insert_openpgp(tx: &mut dyn Transaction, key: &OpenPgpRecord) -> Result<(), StoreError> {
    let sql = "insert into appliance_openpgp (fingerprint, signing_key, public_key, created)
               values ($1, $2, $3, $4)";
    let values =
        [(&key.fingerprint).into(), (&key.signing_key).into(), (&key.public_key).into(), key.created.into()];
    let inserted = tx.execute(sql, &values).await;
    inserted.map(drop).map_err(|failure| failure.or_conflict(|| format!("OpenPGP key `{}`", key.fingerprint)))
}

async fn insert_tree(tx: &mut dyn Transaction, tree: &TreeRecord) -> Result<(), StoreError> {
    let sql = "insert into appliance_tree (id, kind, srk_table, fuses, created) values ($1, $2, $3, $4, $5)";
    let values = [
        (&tree.id).into(),
        (&tree.kind).into(),
        (&tree.srk_table).into(),
        (&tree.fuses).into(),
        tree.created.into(),
    ];
    let conflict = || format!("tree `{}`", tree.id);
    tx.execute(sql, &values).await.map_err(|failure| failure.or_conflict(conflict))?;
    for member in &tree.members {
        let sql = "insert into appliance_tree_member (tree, name, signing_key, der) values ($1, $2, $3, $4)";
        let values = [
            (&tree.id).into(),
            (&member.name).into(),
            member.signing_key.as_deref().into(),
            (&member.der).into(),
        ];
        tx.execute(sql, &values).await.map_err(|failure| failure.or_conflict(conflict))?;
    }
    Ok(())
}

fn read_certificate(row: &Row) -> Result<CertificateRecord, StoreError> {
    Ok(CertificateRecord {
        id: row.text("id")?,
        signing_key: row.text("signing_key")?,
        der: row.bytes("der")?,
        owner: row.guid("owner")?,
        created: row.time("created")?,
    })
}

fn read_list(row: &Row) -> Result<ListRecord, StoreError> {
    Ok(ListRecord {
        list: row.text("list")?,
        variable: row.text("variable")?,
        esl: row.bytes("esl")?,
        auth: row.bytes("auth")?,
        created: row.time("created")?,
    })
}

fn read_openpgp(row: &Row) -> Result<OpenPgpRecord, StoreError> {
    Ok(OpenPgpRecord {
        fingerprint: row.text("fingerprint")?,
        signing_key: row.text("signing_key")?,
        public_key: row.bytes("public_key")?,
        created: row.time("created")?,
    })
}

fn read_rsa(row: &Row) -> Result<RsaRecord, StoreError> {
    Ok(RsaRecord {
        id: row.text("id")?,
        signing_key: row.text("signing_key")?,
        created: row.time("created")?,
    })
}

fn read_member(row: &Row) -> Result<TreeMemberRecord, StoreError> {
    Ok(TreeMemberRecord {
        name: row.text("name")?,
        signing_key: row.opt_text("signing_key")?,
        der: row.bytes("der")?,
    })
}

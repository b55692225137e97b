//! Everything of the surface, in its place in an archive.

use std::collections::HashSet;

use countersign_keyhost::archive::{ArchivedKey, NamedFile, PublicPart, TreeFile, VariableFile};
use countersign_model::KeyName;
use countersign_pki::esl::{Guid, SignatureDatabase, SignatureList};
use countersign_pki::x509::Certificate;
use countersign_store::{CertificateRecord, ListRecord, TreeRecord};

use super::super::Error;
use super::internal;
use crate::context::Context;

/// What goes out.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Where each key stands, and its name.
    pub(super) keys: Vec<(ArchivedKey, KeyName)>,
    /// What stands beside them.
    pub(super) public: PublicPart,
}

/// Reads all that is stored. Nothing of it ever changes or goes, so what comes in meanwhile is there or not.
pub(super) async fn collect(ctx: &Context) -> Result<Outgoing, Error> {
    let mut outgoing = Outgoing::default();
    // Lists first: the certificates of each are there before it.
    let lists = ctx.store.certificate_lists().await?;
    let listed = listed(&lists);
    for certificate in ctx.store.certificates().await? {
        let is_listed = listed.contains(certificate.der.as_slice());
        outgoing.add_certificate(certificate, is_listed)?;
    }
    for list in lists {
        outgoing.add_list(list);
    }
    for key in ctx.store.openpgp_keys().await? {
        outgoing.add_key(ArchivedKey::OpenPgp(key.fingerprint.clone()), &key.signing_key)?;
        outgoing.public.openpgp.push(NamedFile { name: key.fingerprint, content: key.public_key });
    }
    for key in ctx.store.rsa_keys().await? {
        outgoing.add_key(ArchivedKey::Rsa(key.id), &key.signing_key)?;
    }
    for id in ctx.store.trees().await? {
        if let Some(tree) = ctx.store.tree(&id).await? {
            outgoing.add_tree(tree)?;
        }
    }
    Ok(outgoing)
}

/// The certificates that are in a list.
fn listed(lists: &[ListRecord]) -> HashSet<Vec<u8>> {
    let databases = lists.iter().filter_map(|list| SignatureDatabase::parse(&list.esl).ok());
    databases.flat_map(|database| database.certificates().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
}

impl Outgoing {
    fn add_key(&mut self, archived: ArchivedKey, name: &str) -> Result<(), Error> {
        self.keys.push((archived, name.parse().map_err(internal)?));
        Ok(())
    }

    fn add_certificate(&mut self, record: CertificateRecord, is_listed: bool) -> Result<(), Error> {
        let CertificateRecord { id, signing_key, der, owner, .. } = record;
        let certificate = Certificate::from_der(&der).map_err(internal)?;
        self.add_key(ArchivedKey::Certificate(id.clone()), &signing_key)?;
        let content = certificate.to_pem().into_bytes();
        self.public.certificates.push(NamedFile { name: id.clone(), content });
        // The original makes this file with the first list that a certificate is in. Where it finds one before,
        // it signs an empty list.
        if is_listed {
            let list = SignatureList::x509(Guid::from_bytes(owner), &der);
            let content = SignatureDatabase::new(vec![list])?.to_bytes();
            self.public.lists.push(NamedFile { name: id, content });
        }
        Ok(())
    }

    fn add_list(&mut self, record: ListRecord) {
        let ListRecord { list, variable, esl, auth, .. } = record;
        let known = self.public.lists.iter().any(|file| file.name == list);
        if !known && !esl.is_empty() {
            self.public.lists.push(NamedFile { name: list.clone(), content: esl });
        }
        self.public.variables.push(VariableFile { list, variable, content: auth });
    }

    fn add_tree(&mut self, record: TreeRecord) -> Result<(), Error> {
        let TreeRecord { id, srk_table, fuses, members, .. } = record;
        let files = &mut self.public.trees;
        let mut add = |path: String, content: Vec<u8>| {
            files.push(TreeFile { tree: id.clone(), path, content });
        };
        add("SRK_table.bin".into(), srk_table);
        add("SRK_efuses.bin".into(), fuses);
        for member in &members {
            let certificate = Certificate::from_der(&member.der).map_err(internal)?;
            add(format!("crts/{}_crt.pem", member.name), certificate.to_pem().into_bytes());
            add(format!("crts/{}_crt.der", member.name), member.der.clone());
        }
        for member in members {
            if let Some(name) = &member.signing_key {
                self.add_key(ArchivedKey::Pki { tree: id.clone(), name: member.name }, name)?;
            }
        }
        Ok(())
    }
}

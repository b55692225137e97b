//! What the API description says of this surface.

use utoipa::openapi::OpenApi;
use utoipa::openapi::path::HttpMethod::{self, Get, Post};

use crate::described::Asker::{self, Anybody, Keyholder};
use crate::described::{Described, Refusals, describe_refusing};

const JSON: &[&str] = &["application/json"];

const REFUSALS: Refusals = Refusals {
    description: "`{\"error\":TEXT}` where the request was understood, else a problem (RFC 9457) with `detail`",
    types: &["application/json", "application/problem+json"],
};

/// The description of all requests.
pub(super) fn description() -> OpenApi {
    describe_refusing("appliance", &REFUSALS, REQUESTS)
}

/// A request that is answered with JSON: a GET by anybody, a POST of JSON by who has a key.
const fn request(
    (method, path): (HttpMethod, &'static str),
    id: &'static str,
    summary: &'static str,
) -> Described {
    let (who, takes): (Asker, &'static [&'static str]) = match method {
        Post => (Keyholder, JSON),
        _ => (Anybody, &[]),
    };
    Described { method, path, id, summary, who, query: &[], takes, gives: (200, JSON) }
}

/// As [`request`], where the answer has a status alone.
const fn without_answer(status: u16, request: Described) -> Described {
    Described { gives: (status, &[]), ..request }
}

#[rustfmt::skip]
const REQUESTS: &[Described] = &[
    without_answer(200, request((Get, "/health"), "get_appliance_health", "Says that the server lives.")),
    request((Post, "/bootstrap"), "bootstrap",
        "Makes a product's whole key set, or nothing of it: `{gpg, rsa, hab, ahab, certificates: {pk, kek, kmod, db}}`."),
    request((Post, "/export"), "export_archive",
        "Gives out everything, encrypted with the passphrase `key`: `{data, salt}`."),
    without_answer(204, request((Post, "/import"), "import_archive",
        "Takes in everything of an archive, or nothing: `{key, data, salt}`.")),
    request((Get, "/gpg/keys"), "list_openpgp_keys", "Lists the fingerprints of OpenPGP keys: `{keys}`."),
    request((Post, "/gpg/key"), "create_openpgp_key",
        "Makes an OpenPGP key of `{name_real, name_email, name_comment, key_length}`: `{fingerprint}`."),
    request((Get, "/gpg/key/{id}"), "get_openpgp_key", "Gives an OpenPGP key's public half, armoured: `{key}`."),
    request((Post, "/gpg/sign"), "sign_openpgp",
        "Signs `payload` with the OpenPGP key `key_id`, detached: `{signature}`, both in base64."),
    request((Post, "/cert"), "create_certificate",
        "Makes a key and its self-signed certificate of `{cert_id, subject, key_length, days}`: `{cert}` in PEM."),
    request((Post, "/cert/sign"), "sign_certificate_digest",
        "Signs the SHA-256 `digest`, 64 hex digits, with the key of `cert_id`, without a DigestInfo: `{signature}` in base64."),
    request((Get, "/cert/{id}"), "get_certificate", "Gives a certificate in PEM: `{cert}`."),
    request((Get, "/kmod/cert/{id}"), "get_module_certificate", "Gives a certificate in PEM, as `/cert` does: `{cert}`."),
    request((Post, "/kmod/sign"), "sign_module",
        "Appends a signature by the certificate `key_id` to the kernel module `payload`: `{signed}`, both in base64."),
    request((Post, "/secureboot/pk"), "sign_secureboot_pk",
        "Freezes the platform key: the certificates `key_id`, signed by `signing_key_id`."),
    request((Post, "/secureboot/kek"), "sign_secureboot_kek",
        "Freezes the key exchange keys: the certificates `key_id`, signed by `signing_key_id`."),
    request((Post, "/secureboot/db"), "sign_secureboot_db",
        "Freezes a list of allowed certificates, or signs the lists in `esl`: `{auth}` in base64."),
    request((Post, "/secureboot/dbx"), "sign_secureboot_dbx",
        "Freezes a list of forbidden certificates, or signs the lists in `esl`: `{auth}` in base64."),
    request((Post, "/secureboot/efi"), "sign_secureboot_program",
        "Adds a signature by the certificate `key_id` to the PE image `payload`: `{signed}`, both in base64."),
    request((Get, "/secureboot/pk/{ids}"), "get_secureboot_pk",
        "Gives the signed platform key of these certificates: `{pk, esl, der}` in base64."),
    request((Get, "/secureboot/kek/{ids}"), "get_secureboot_kek",
        "Gives the signed key exchange keys of these certificates, which commas are between: `{kek, esl, der}` in base64."),
    request((Get, "/secureboot/db/{ids}"), "get_secureboot_db",
        "Gives the signed list of these allowed certificates, which commas are between: `{db, esl, der}` in base64."),
    request((Get, "/rsa/keys"), "list_rsa_keys", "Lists the ids of RSA keys: `{keys}`."),
    request((Post, "/rsa/key"), "create_rsa_key", "Makes an RSA-2048 key: `{fingerprint}`."),
    request((Get, "/rsa/key/{id}"), "get_rsa_key", "Gives an RSA key's public half in PEM: `{key}`."),
    request((Post, "/rsa/sign"), "sign_eeprom",
        "Signs the Raspberry Pi EEPROM image `payload` with the RSA key `key_id`: `{signature}`, both in base64."),
    request((Post, "/imx/pki"), "create_imx_tree", "Makes an i.MX tree of keys; `hab_type` is `hab` or `ahab`: `{pki_id}`."),
    request((Get, "/imx/pkis"), "list_imx_trees", "Lists the ids of i.MX trees: `{pkis}`."),
    request((Get, "/imx/efuses/{id}"), "get_imx_fuses", "Gives the value for a tree's fuses: `{efuses}` in base64."),
    request((Post, "/nxp/pki"), "create_nxp_tree", "As `/imx/pki`."),
    request((Get, "/nxp/pkis"), "list_nxp_trees", "As `/imx/pkis`."),
    request((Get, "/nxp/efuses/{id}"), "get_nxp_fuses", "As `/imx/efuses/{id}`."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::table;
    use super::*;

    #[test]
    fn every_route_is_described_once_and_nothing_else_is() {
        let described: Vec<&str> = REQUESTS.iter().map(|request| request.path).collect();
        let routes: Vec<&str> = table().into_iter().map(|(path, _)| path).collect();
        assert_eq!(described, routes, "in the order of the table");
        let names: BTreeSet<&str> = REQUESTS.iter().map(|request| request.id).collect();
        assert_eq!(names.len(), REQUESTS.len(), "a name stands for one request");
        assert_eq!(description().paths.paths.len(), REQUESTS.len());
    }
}

//! JSON documents of the native API, and the words of its queries.

use countersign_server::body::parse;
use countersign_server::call::query;
use countersign_server::surfaces::native::wire;

/// A document is read or refused; a refusal is itself a document, and has no more than a few words of it.
pub fn native_document(data: &[u8]) {
    let refusals = [
        parse::<wire::CreateKey>(data).err(),
        parse::<wire::ImportKey>(data).err(),
        parse::<wire::Sign>(data).err(),
        parse::<wire::SignBatch<'_>>(data).err(),
        parse::<wire::SignItem>(data).err(),
        parse::<wire::Verify>(data).err(),
        parse::<wire::SelfSign>(data).err(),
        parse::<wire::MakeRequest>(data).err(),
        parse::<wire::IssueCertificate>(data).err(),
        parse::<wire::MakeOpenPgp>(data).err(),
        parse::<wire::CreateToken>(data).err(),
        parse::<wire::PutPolicy>(data).err(),
    ];
    let uri = std::str::from_utf8(data).ok().and_then(|text| format!("/?{text}").parse().ok());
    let of_query = uri.and_then(|uri| query::<wire::SignQuery>(&uri).err());
    let id = "fuzz".parse().expect("a request id");
    for refusal in refusals.into_iter().flatten().chain(of_query) {
        let text = serde_json::to_string(&refusal.document(&id)).expect("a document");
        assert!(refusal.status().is_client_error() && text.len() < 4096, "{text}");
    }
}

//! Hash bins.

use countersign_tuf::bins::{BadCount, bit_length};
use countersign_tuf::build::{self, Head};
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::Document;
use serde_json::json;

use crate::support::{Signer, json, now};

fn bins(bits: u8) -> Delegations {
    let online = Signer::ed25519(9);
    let delegations = build::bins(&online.keyid, &online.object, bits);
    let document = build::targets(Head::first(now(), 1), [], Some(delegations)).unwrap();
    document.targets().unwrap().delegations.unwrap()
}

#[test]
fn paths_fall_in_the_bins_of_rstuf() {
    let vectors = json("bins.json");
    assert!(vectors.as_array().unwrap().len() >= 25);
    for vector in vectors.as_array().unwrap() {
        let delegations = bins(vector["bit_length"].as_u64().unwrap() as u8);
        let home = delegations.home_of(vector["path"].as_str().unwrap());
        assert_eq!(home.as_deref(), vector["role"].as_str(), "{vector}");
    }
}

#[test]
fn names_are_as_wide_as_the_greatest_number_and_go_round() {
    for (bits, first, last) in [
        (1, "bins-0", "bins-1"),
        (4, "bins-0", "bins-f"),
        (5, "bins-00", "bins-1f"),
        (8, "bins-00", "bins-ff"),
        (14, "bins-0000", "bins-3fff"),
    ] {
        let Delegated::Bins(bins) = bins(bits).delegated else { panic!() };
        let names: Vec<String> = bins.names().collect();
        assert_eq!((names[0].as_str(), names[names.len() - 1].as_str()), (first, last));
        assert_eq!(names.len() as u64, bins.count());
        assert!(names.iter().enumerate().all(|(i, name)| bins.bin_named(name) == Some(i as u32)));
    }
    let Delegated::Bins(bins) = bins(5).delegated else { panic!() };
    for other in ["bins-20", "bins-1F", "bins-1", "bins-001", "bins-+1", "bins01", "bin-01", "bins-"] {
        assert_eq!(bins.bin_named(other), None, "{other}");
    }
}

#[test]
fn the_number_of_bins_is_a_power_of_two() {
    assert_eq!(bit_length(2), Ok(1));
    assert_eq!(bit_length(256), Ok(8));
    assert_eq!(bit_length(16_384), Ok(14));
    for bad in [0, 1, 3, 12, 255, 32_768, u64::MAX] {
        assert_eq!(bit_length(bad), Err(BadCount(bad)));
    }
}

#[test]
fn a_bit_length_outside_of_1_to_32_is_refused() {
    let document = |bits: u64| {
        let delegations = json!({"keys": {}, "succinct_roles":
            {"keyids": ["a"], "threshold": 1, "bit_length": bits, "name_prefix": "b"}});
        build::targets(Head::first(now(), 1), [], Some(delegations)).map(|_: Document| ())
    };
    assert!(document(32).is_ok());
    for bad in [0, 33, 256, u64::MAX] {
        assert!(document(bad).is_err(), "{bad}");
    }
}

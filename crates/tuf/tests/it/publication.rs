//! What moves together.

use std::collections::BTreeSet;

use countersign_tuf::build::{self, Head};
use countersign_tuf::delegation::Delegated;
use countersign_tuf::publication::{Layout, OnlineRefusal, Publication};

use crate::support::{Signer, now};

fn bins() -> Layout {
    let online = Signer::ed25519(9);
    let delegations = build::bins(&online.keyid, &online.object, 2);
    let document = build::targets(Head::first(now(), 1), [], Some(delegations)).unwrap();
    match document.targets().unwrap().delegations.unwrap().delegated {
        Delegated::Bins(bins) => Layout::Bins(bins),
        Delegated::Roles(_) => panic!(),
    }
}

fn custom() -> Layout {
    Layout::Custom { online: BTreeSet::from(["dev".to_owned(), "team".to_owned()]) }
}

fn asked(roles: &[&str], layout: &Layout, targets_online: bool) -> Result<Vec<String>, OnlineRefusal> {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    let publication = Publication::of_request(&roles, layout, targets_online)?;
    Ok(publication.in_order().map(str::to_owned).collect())
}

#[test]
fn a_request_moves_each_role_once_and_the_timestamp_always_and_last() {
    let all = ["bins-0", "bins-1", "bins-2", "bins-3", "targets", "snapshot", "timestamp"];
    for (roles, wanted) in [
        (&["timestamp"][..], &all[6..]),
        (&["root"], &all[6..]),
        (&["snapshot"], &all[5..]),
        (&["targets"], &all[4..]),
        (&["timestamp", "targets", "targets", "snapshot"], &all[4..]),
        (&[], &all[..]),
        (&["bins", "targets"], &all[..]),
    ] {
        assert_eq!(asked(roles, &bins(), true).unwrap(), wanted, "{roles:?}");
    }
    assert_eq!(asked(&[], &custom(), true).unwrap(), ["dev", "team", "targets", "snapshot", "timestamp"]);
    assert_eq!(asked(&["team"], &custom(), true).unwrap(), ["team", "snapshot", "timestamp"]);
    assert_eq!(asked(&[], &custom(), false).unwrap(), ["dev", "team", "snapshot", "timestamp"]);
}

#[test]
fn refusals_have_rstufs_texts() {
    let text =
        |roles: &[&str], layout: &Layout, online| asked(roles, layout, online).unwrap_err().to_string();
    assert_eq!(
        text(&["targets"], &bins(), false),
        "Targets is an offline role - use other endpoint to update"
    );
    for role in ["nobody", "bins-0"] {
        assert_eq!(
            text(&[role], &bins(), true),
            "Hash bin delegation is used and only root, targets, snapshot, timestamp and bins roles can be bumped"
        );
    }
    assert_eq!(text(&["bins"], &custom(), true), "Custom target delegation used and bins cannot be bumped");
    assert_eq!(asked(&["nobody"], &custom(), true), Err(OnlineRefusal::NotOnline));
}

#[test]
fn a_changed_role_takes_the_snapshot_with_it_and_no_other() {
    let publication = Publication::of_roles(["bins-2".to_owned(), "bins-1".to_owned(), "bins-2".to_owned()]);
    let order: Vec<_> = publication.in_order().collect();
    assert_eq!(order, ["bins-1", "bins-2", "snapshot", "timestamp"]);
    assert_eq!(Publication::of_roles([]).in_order().collect::<Vec<_>>(), ["timestamp"]);
}

//! Plans of real certificates: openssl makes them.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use countersign_pki::x509::Certificate;

use super::*;

/// Certificates by name. The key of `again` is that of `pk`; `curve` has a key of P-256.
fn certificate(name: &str) -> Certificate {
    static MADE: OnceLock<BTreeMap<&str, Certificate>> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let make = |name: &'static str| {
            let new = |key: &str| format!("-newkey {key} -keyout {name}.key -days 9");
            let key = match name {
                "again" => "-key pk.key -days 9".to_owned(),
                "curve" => new("ec -pkeyopt ec_paramgen_curve:P-256"),
                _ => new("rsa:2048"),
            };
            let line = format!("req -x509 -nodes {key} -subj /CN={name} -out {name}.pem");
            let words = line.split(' ').filter(|word| !word.is_empty());
            let output = Command::new("openssl").args(words).current_dir(&directory).output().unwrap();
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            let pem = std::fs::read_to_string(directory.path().join(format!("{name}.pem"))).unwrap();
            (name, Certificate::from_pem(&pem).unwrap())
        };
        ["pk", "pk2", "kek", "kek2", "db", "db2", "vendor", "again", "curve"].into_iter().map(make).collect()
    })[name]
        .clone()
}

fn native(name: &str) -> Holder {
    let place = KeyPlace::Native(name.parse().unwrap());
    Holder { name: name.to_owned(), certificate: certificate(name), place }
}

fn appliance(name: &str) -> Holder {
    Holder { place: KeyPlace::Appliance(name.parse().unwrap()), ..native(name) }
}

fn elsewhere(name: &str) -> Holder {
    Holder { place: KeyPlace::Elsewhere, ..native(name) }
}

/// Everything changes.
fn wish(holder: fn(&str) -> Holder) -> Wish {
    Wish {
        pk: holder("pk"),
        new_pk: Some(holder("pk2")),
        kek: vec![holder("kek")],
        new_kek: Some(holder("kek2")),
        db: vec![holder("db")],
        new_db: Some(holder("db2")),
        append: false,
        owner: Guid::from_bytes([0; 16]),
    }
}

fn list(name: &str) -> SignatureList {
    SignatureList::x509(Guid::from_bytes([9; 16]), certificate(name).der())
}

fn hashes() -> SignatureList {
    SignatureList::sha256(Guid::from_bytes([9; 16]), &[[1; 32], [2; 32]]).unwrap()
}

fn machine(pk: &[&str], kek: &[&str], db: &[&str]) -> Present {
    let lists = |names: &[&str]| names.iter().map(|name| list(name)).collect::<Vec<_>>();
    Present::of_lists(
        true,
        &[
            (Variable::Pk, lists(pk)),
            (Variable::Kek, lists(kek)),
            (Variable::Db, lists(db).into_iter().chain([hashes()]).collect()),
        ],
    )
}

/// `KEK=kek,kek2 by pk`, with `+` where it appends and `#` for hashes.
fn told(steps: &[Step]) -> Vec<String> {
    let tell = |step: &Step| {
        let name = |list: &SignatureList| {
            let der = &list.entries()[0].data;
            Certificate::from_der(der)
                .map_or_else(|_| "#".into(), |it| it.subject().to_string().replace("/CN=", ""))
        };
        let names: Vec<String> = step.lists.lists().iter().map(name).collect();
        let how = if step.append { "+" } else { "=" };
        format!("{}{how}{} by {}", step.variable, names.join(","), step.signer.name)
    };
    steps.iter().map(tell).collect()
}

fn planned(wish: &Wish, present: &Present) -> Result<Vec<String>, PlanError> {
    plan(wish, present, Timestamp::now()).map(|steps| told(&steps))
}

#[test]
fn each_update_is_signed_by_what_the_machine_has_when_it_comes() {
    let present = machine(&["pk"], &["kek"], &["db"]);
    assert_eq!(
        planned(&wish(native), &present).unwrap(),
        ["KEK=kek,kek2 by pk", "db+db2 by kek", "PK=pk2 by pk", "KEK=kek2 by pk2", "db=#,db2 by kek2",]
    );
}

#[test]
fn what_does_not_change_signs_as_before() {
    let present = machine(&["pk"], &["kek"], &["db"]);
    let pk = Wish { new_kek: None, new_db: None, kek: vec![], db: vec![], ..wish(native) };
    assert_eq!(planned(&pk, &present).unwrap(), ["PK=pk2 by pk"]);
    let kek = Wish { new_pk: None, new_db: None, db: vec![], ..wish(native) };
    assert_eq!(planned(&kek, &present).unwrap(), ["KEK=kek,kek2 by pk", "KEK=kek2 by pk"]);
    let db = Wish { new_pk: None, new_kek: None, db: vec![], ..wish(native) };
    assert_eq!(planned(&db, &present).unwrap(), ["db+db2 by kek"]);
}

#[test]
fn what_others_put_there_is_kept() {
    let present = machine(&["pk"], &["vendor", "kek"], &["db", "vendor"]);
    let steps = planned(&wish(native), &present).unwrap();
    assert_eq!(steps[0], "KEK=vendor,kek,kek2 by pk");
    assert_eq!(steps[3..], ["KEK=vendor,kek2 by pk2", "db=vendor,#,db2 by kek2"]);
    let appended = planned(&Wish { append: true, ..wish(native) }, &present).unwrap();
    assert_eq!(appended[0], "KEK+kek2 by pk");
    assert_eq!(appended[1..], steps[1..]);
}

#[test]
fn what_is_there_already_is_not_added_again() {
    let present = machine(&["pk"], &["kek", "kek2"], &["db2", "db"]);
    let steps = planned(&wish(native), &present).unwrap();
    assert_eq!(steps, ["PK=pk2 by pk", "KEK=kek2 by pk2", "db=#,db2 by kek2"]);
}

#[test]
fn the_appliance_signs_kek_of_its_own_certificates_only() {
    let present = machine(&["pk"], &["kek"], &["db", "vendor"]);
    assert_eq!(planned(&wish(appliance), &present).unwrap().len(), 5, "and db of any");
    let others = Err(PlanError::Others { variable: Variable::Kek });
    assert_eq!(planned(&wish(appliance), &machine(&["pk"], &["kek", "vendor"], &["db"])), others);
    assert_eq!(planned(&Wish { new_kek: Some(native("kek2")), ..wish(appliance) }, &present), others);
    let append = Wish { append: true, ..wish(appliance) };
    assert_eq!(planned(&append, &present), Err(PlanError::AppendByAppliance));
}

#[test]
fn a_machine_that_has_other_keys_is_left_alone() {
    let missing = |variable, name: &str| Err(PlanError::NotPresent { variable, name: name.into() });
    let ask = |pk: &[&str], kek: &[&str], db: &[&str]| planned(&wish(native), &machine(pk, kek, db));
    assert_eq!(ask(&["vendor"], &["kek"], &["db"]), missing(Variable::Pk, "pk"));
    assert_eq!(ask(&["pk"], &["vendor"], &["db"]), missing(Variable::Kek, "kek"));
    assert_eq!(ask(&["pk"], &["kek"], &["vendor"]), missing(Variable::Db, "db"));
    assert_eq!(ask(&["pk", "vendor"], &["kek"], &["db"]), Err(PlanError::SeveralPk { entries: 2 }));
    let unknown = Present::of_lists(true, &[(Variable::Pk, vec![list("pk")])]);
    assert_eq!(planned(&wish(native), &unknown), Err(PlanError::NotKnown { variable: Variable::Kek }));
}

#[test]
fn a_new_key_is_new_and_valid_and_one_that_firmware_takes() {
    let present = machine(&["pk"], &["kek"], &["db"]);
    let with = |new_pk: Holder| Wish { new_pk: Some(new_pk), ..wish(native) };
    let same =
        |name: &str| PlanError::SameKey { variable: Variable::Pk, name: name.into(), old: "pk".into() };
    assert_eq!(planned(&with(native("pk")), &present), Err(same("pk")));
    assert_eq!(
        planned(&with(native("again")), &present),
        Err(same("again")),
        "a new certificate of the old key"
    );
    assert_eq!(planned(&with(native("curve")), &present), Err(PlanError::KeyType { name: "curve".into() }));
    let nothing = Wish { new_pk: None, new_kek: None, new_db: None, ..wish(native) };
    assert_eq!(planned(&nothing, &present), Err(PlanError::Nothing));

    let ninth_day = Timestamp::now().as_second() + 9 * 86_400;
    for (at, good) in [(ninth_day - 60, true), (ninth_day + 60, false), (ninth_day - 10 * 86_400, false)] {
        let planned = plan(&wish(native), &present, Timestamp::from_second(at).unwrap());
        assert_eq!(planned.is_ok(), good, "{at}");
        assert!(good || matches!(planned, Err(PlanError::NotValid { .. })));
    }
}

#[test]
fn whoever_has_to_sign_has_a_key() {
    let present = machine(&["pk"], &["kek"], &["db"]);
    let without = |variable, name: &str| Err(PlanError::CannotSign { variable, name: name.into() });
    let ask = |change: fn(&mut Wish)| {
        let mut wish = wish(native);
        change(&mut wish);
        planned(&wish, &present)
    };
    assert_eq!(ask(|wish| wish.pk = elsewhere("pk")), without(Variable::Kek, "pk"));
    assert_eq!(ask(|wish| wish.kek = vec![elsewhere("kek")]), without(Variable::Db, "kek"));
    assert_eq!(ask(|wish| wish.new_pk = Some(elsewhere("pk2"))), without(Variable::Kek, "pk2"));
    assert_eq!(ask(|wish| wish.new_kek = Some(elsewhere("kek2"))), without(Variable::Db, "kek2"));
    assert!(ask(|wish| (wish.db, wish.new_db) = (vec![elsewhere("db")], Some(elsewhere("db2")))).is_ok());
}

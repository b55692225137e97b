//! README.txt beside the updates: what to run on a machine, and what to look at between the steps.

use super::plan::{Purpose, Step};

/// The text for these steps, whose files have these names.
pub fn text(steps: &[Step], files: &[String], of_machine: bool) -> String {
    let mut text = HEAD.to_owned();
    if !of_machine {
        text.push_str(NOT_LOOKED_AT);
    }
    let no_way_back = steps.iter().position(|step| step.purpose == Purpose::ReplacePk);
    for (at, (step, file)) in steps.iter().zip(files).enumerate() {
        text.push_str(&section(at + 1, step, file, no_way_back == Some(at)));
    }
    text.push_str(END);
    text
}

fn section(number: usize, step: &Step, file: &str, no_way_back: bool) -> String {
    let variable = step.variable.name();
    let title = format!("{number}. {file}: {}", what(step.purpose));
    let line = "-".repeat(title.chars().count());
    let mut text = format!("{title}\n{line}\n\nSigned by {}.\n", subject(&step.signer.certificate));
    if step.append {
        text.push_str("Added to what the variable has. ");
    }
    text.push_str("Holds:\n");
    for holder in step.lists.lists() {
        text.push_str(&entries(holder));
    }
    let before = before(step.purpose);
    if !before.is_empty() {
        text.push_str(&format!("\nBefore: {before}\n"));
    }
    if no_way_back {
        text.push_str(
            "\nTHE POINT OF NO RETURN: the old keys can undo every step before this one, and none after it.\n",
        );
    }
    let (append, attributes) = if step.append { ("-a ", "\\147") } else { ("", "\\047") };
    let (vendor, after) = (step.variable.vendor(), after(step.purpose));
    text.push_str(&format!(
        "\nRun one of\n\n  chattr -i {EFIVARS}/{variable}-*; efi-updatevar {append}-f {file} {variable}\n  \
         put {file} {variable} {vendor} '{attributes}'\n\nThen: {after}\n\n"
    ));
    text
}

fn what(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::AddKek => "KEK gets the new certificate beside what it has",
        Purpose::AddDb => "db gets the new certificate beside what it has",
        Purpose::ReplacePk => "PK becomes the new certificate",
        Purpose::DropKek => "KEK loses the old certificate",
        Purpose::DropDb => "db loses the old certificate",
    }
}

fn before(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::AddKek => "note what `efi-readvar` says of PK, KEK, db and dbx now.",
        Purpose::AddDb => "",
        Purpose::ReplacePk => {
            "restart the machine and see that it starts with secure boot on (`bootctl status`). Have a backup of\n\
             the server with the new PK's key in it (`countersign backup verify`)."
        }
        Purpose::DropKek => {
            "whoever else signs updates of db and dbx for this machine must have moved to the new KEK."
        }
        Purpose::DropDb => {
            "everything that the machine starts must be signed by the new certificate: boot loader, kernel, the\n\
             rescue system, firmware of cards. `sbverify --list FILE` says by whom a program is signed; a program may\n\
             have both signatures. Restart once with programs that have the new signature alone."
        }
    }
}

fn after(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::AddKek => {
            "`efi-readvar -v KEK` shows the old certificate and the new one, and dbx is as it was."
        }
        Purpose::AddDb => {
            "`efi-readvar -v db` shows the new certificate. Programs start by the old and by the new one: roll out\n\
             those signed by the new one from here on."
        }
        Purpose::ReplacePk => "`efi-readvar -v PK` shows the new certificate, and nothing else. Restart.",
        Purpose::DropKek => {
            "`efi-readvar -v KEK` does not show the old certificate. From here on the new KEK signs db and dbx."
        }
        Purpose::DropDb => "`efi-readvar -v db` does not show the old certificate. Restart.",
    }
}

fn entries(list: &countersign_pki::esl::SignatureList) -> String {
    use countersign_pki::esl::{CERT_SHA256, CERT_X509};
    use countersign_pki::x509::Certificate;

    match list.signature_type() {
        CERT_X509 => {
            let named = |der: &[u8]| match Certificate::from_der(der) {
                Ok(certificate) => subject(&certificate),
                Err(_) => "a certificate of a form that is not read here".to_owned(),
            };
            list.entries().iter().map(|entry| format!("  {}\n", named(&entry.data))).collect()
        }
        CERT_SHA256 => format!("  {} SHA-256 hashes\n", list.entries().len()),
        other => format!("  {} entries of type {other}\n", list.entries().len()),
    }
}

fn subject(certificate: &countersign_pki::x509::Certificate) -> String {
    crate::output::safe(&certificate.subject().to_string()).replace('\n', " ")
}

/// Where Linux shows variables. Each is a file that nobody may write by accident: hence `chattr`.
const EFIVARS: &str = "/sys/firmware/efi/efivars";

const HEAD: &str = "\
New keys for secure boot
========================

Do the steps in this order, on one machine first. Each update is signed by what the machine has at that point, so a
step that is left out makes a later one fail; a step that fails changes nothing, and can be tried again. dbx is not
touched. A step that was done cannot be done again: its time is not later than itself.

Two ways to write an update as root, of which one is enough. `efi-updatevar` and `efi-readvar` are in the package
efitools. Without them, with this function of a shell:

  put() { # FILE VARIABLE GUID ATTRIBUTES
    to=/sys/firmware/efi/efivars/$2-$3
    [ ! -e \"$to\" ] || chattr -i \"$to\"
    { printf \"$4\\000\\000\\000\"; cat \"$1\"; } > update.tmp
    dd if=update.tmp of=\"$to\" bs=1M conv=notrunc
  }

`Permission denied`, or `wrong filesystem permissions`, is how Linux says that firmware refused an update: it is not
signed by what the machine has, or not later than what it has. Then look at PK and KEK with `efi-readvar` before
anything else. `Operation not permitted` is Linux itself: `chattr -i` was left out.

";

const NOT_LOOKED_AT: &str = "\
NO MACHINE WAS LOOKED AT. The updates hold what the signing appliance knows: certificates and hashes that others put
into KEK or db are gone after the steps that write the whole variable. If there are such, make the updates again with
`--present DIR`.

";

const END: &str = "\
Afterwards
----------

`efi-readvar` shows the new certificates, what was kept, and dbx as it was at the beginning. Retire the old keys when the last
machine has done the last step, and not before: a machine that was switched off needs all steps, from the first.
";

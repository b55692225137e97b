//! What the processes give up before they accept work.
//!
//! Each step is best effort: where the kernel refuses, the process goes on and says so, for `doctor`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// What was done: a line each, starting with `ok` or `warning`.
pub type Report = Vec<String>;

/// Confines the key host: no network, no programs, no files but its own directories, no core dump, no
/// debugger, memory locked. To be called before any other thread is started.
pub fn confine_key_host(writable: &[&Path], report: &mut Report) {
    no_dumps(report);
    lock_memory(report);
    restrict_files(
        Confinement {
            writable,
            granted: AccessFs::from_all(ABI::V5) & !never_needed(),
            readable: &[],
            handled: AccessFs::from_all(ABI::V5),
            network: Network::None,
        },
        report,
    );
    no_network_and_no_programs(report);
}

/// Confines the front: it cannot read the keys' directory nor write the log.
pub fn confine_front(host_dir: &Path, log_dir: &Path, data: &Path, report: &mut Report) {
    no_dumps(report);
    restrict_front(host_dir, log_dir, data, report);
}

/// A key host writes plain files and runs nothing.
fn never_needed() -> BitFlags<AccessFs> {
    AccessFs::Execute | AccessFs::MakeSock | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeFifo
}

enum Network {
    None,
    Unrestricted,
}

struct Confinement<'a> {
    writable: &'a [&'a Path],
    /// The rights below `writable`.
    granted: BitFlags<AccessFs>,
    readable: &'a [&'a Path],
    handled: BitFlags<AccessFs>,
    network: Network,
}

fn no_dumps(report: &mut Report) {
    let dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    note(report, "not dumpable: no debugger, no core", dumpable);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    note(report, "no core dumps", setrlimit(Resource::Core, none));
}

fn lock_memory(report: &mut Report) {
    // Under a finite limit, locking what is still to come would make later allocations fail.
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    let future = if unlimited { MlockAllFlags::FUTURE } else { MlockAllFlags::empty() };
    let locked = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT | future);
    match (locked, unlimited) {
        (Ok(()), true) => report.push("ok: memory is locked and never swapped".into()),
        (Ok(()), false) => report
            .push("warning: only the memory of the start is locked (raise LimitMEMLOCK to infinity)".into()),
        (Err(error), _) => {
            report.push(format!("warning: memory is not locked: {error} (raise LimitMEMLOCK to infinity)"))
        }
    }
}

fn restrict_files(confinement: Confinement<'_>, report: &mut Report) {
    let what = match confinement.network {
        Network::None => "no files but its own directories, no network (landlock)",
        Network::Unrestricted => "no access to the keys' directory (landlock)",
    };
    match landlock_ruleset(confinement) {
        Ok(RulesetStatus::FullyEnforced) => report.push(format!("ok: {what}")),
        Ok(RulesetStatus::PartiallyEnforced) => {
            report.push(format!("ok: {what}; an older kernel enforces a part of it"));
        }
        Ok(RulesetStatus::NotEnforced) => {
            report.push(format!("warning: not enforced: {what}: the kernel has no landlock"));
        }
        Err(error) => report.push(format!("warning: not enforced: {what}: {error}")),
    }
}

fn landlock_ruleset(confinement: Confinement<'_>) -> Result<RulesetStatus, landlock::RulesetError> {
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(confinement.handled)?;
    if let Network::None = confinement.network {
        ruleset = ruleset
            .handle_access(AccessNet::from_all(ABI::V5))?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    }
    let mut created = ruleset.create()?;
    for (paths, access) in [
        (confinement.writable, confinement.granted & confinement.handled),
        (confinement.readable, AccessFs::from_read(ABI::V5) & confinement.handled),
    ] {
        for path in paths {
            // A path that does not exist needs no rule: it stays out of reach.
            if let Ok(fd) = PathFd::new(path) {
                let is_dir = path.is_dir();
                let access = if is_dir { access } else { access & AccessFs::from_file(ABI::V5) };
                created = created.add_rule(PathBeneath::new(fd, access))?;
            }
        }
    }
    Ok(created.restrict_self()?.ruleset)
}

/// The front keeps everything but two things. Landlock can only give, so the rules list what stays: on the
/// way from the root to the data directory everything beside the way, and in it everything but `host`.
///
/// What is made later beside the way (a new directory in `/`, say) stays out of the front's reach, and so
/// do new files directly in the data directory: those are made before.
fn restrict_front(host_dir: &Path, log_dir: &Path, data: &Path, report: &mut Report) {
    let mut open = Vec::new();
    for directory in data.ancestors() {
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        let beside = |path: &PathBuf| !data.starts_with(path) && path != host_dir && path != log_dir;
        // A link leads to what another rule gives, or to what none may: a data directory has a second name
        // where systemd makes it (`/var/lib/NAME` is a link into `/var/lib/private`).
        let real = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
        open.extend(real.map(|entry| entry.path()).filter(beside));
    }
    let writable: Vec<&Path> = open.iter().map(PathBuf::as_path).collect();
    restrict_files(
        Confinement {
            writable: &writable,
            granted: AccessFs::from_all(ABI::V3),
            readable: &[log_dir],
            // With V3, so that files cannot be cut by their path either.
            handled: AccessFs::from_all(ABI::V3),
            network: Network::Unrestricted,
        },
        report,
    );
}

/// Refuses the system calls that a process without network and programs never makes. What it does make is
/// left alone, so that another C library or kernel cannot break it.
fn no_network_and_no_programs(report: &mut Report) {
    let what = "no sockets, no programs, no tracing (seccomp)";
    match seccomp_filter().and_then(|program| seccompiler::apply_filter_all_threads(&program)) {
        Ok(()) => report.push(format!("ok: {what}")),
        Err(error) => report.push(format!("warning: not enforced: {what}: {error}")),
    }
}

fn seccomp_filter() -> Result<BpfProgram, seccompiler::Error> {
    let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
        REFUSED_CALLS.iter().flat_map(|call| [(*call, Vec::new()), (*call | X32, Vec::new())]).collect();
    let architecture = std::env::consts::ARCH.try_into()?;
    let refused = SeccompAction::Errno(1);
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?.try_into()?)
}

/// The same calls by the numbers of the x32 ABI, where the kernel has it.
const X32: i64 = 0x4000_0000;

/// Numbers of system calls (`linux/arch/x86/entry/syscalls/syscall_64.tbl`,
/// `include/uapi/asm-generic/unistd.h`).
#[cfg(target_arch = "x86_64")]
const REFUSED_CALLS: &[i64] = &[
    41,  // socket
    42,  // connect
    43,  // accept
    49,  // bind
    50,  // listen
    53,  // socketpair
    57,  // fork
    58,  // vfork
    59,  // execve
    101, // ptrace
    165, // mount
    246, // kexec_load
    248, // add_key
    249, // request_key
    250, // keyctl
    288, // accept4
    298, // perf_event_open
    310, // process_vm_readv
    311, // process_vm_writev
    321, // bpf
    322, // execveat
    323, // userfaultfd
    425, // io_uring_setup
    426, // io_uring_enter
    427, // io_uring_register
    438, // pidfd_getfd
];
#[cfg(target_arch = "aarch64")]
const REFUSED_CALLS: &[i64] = &[
    198, // socket
    203, // connect
    202, // accept
    200, // bind
    201, // listen
    199, // socketpair
    221, // execve
    117, // ptrace
    40,  // mount
    104, // kexec_load
    217, // add_key
    218, // request_key
    219, // keyctl
    241, // perf_event_open
    242, // accept4
    270, // process_vm_readv
    271, // process_vm_writev
    280, // bpf
    281, // execveat
    282, // userfaultfd
    425, // io_uring_setup
    426, // io_uring_enter
    427, // io_uring_register
    438, // pidfd_getfd
];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const REFUSED_CALLS: &[i64] = &[];

fn note(report: &mut Report, what: &str, result: rustix::io::Result<()>) {
    report.push(match result {
        Ok(()) => format!("ok: {what}"),
        Err(error) => format!("warning: not enforced: {what}: {error}"),
    });
}

//! What this program takes from itself before it looks at a byte of the file: privileges, time, memory, paths, the
//! network, other programs. What the kernel cannot do is left out only where the kernel is too old for it (Landlock);
//! anything else that fails ends the program.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    Scope,
};
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// The account without rights (Debian's base-passwd: nobody and nogroup).
const NOBODY: u32 = 65_534;

/// Memory beside the file itself, in bytes.
const MEMORY: u64 = 2 << 30;

/// Takes everything away. `size` is the file's, `seconds` how long it may take.
pub fn confine(size: u64, seconds: u64) -> Result<(), String> {
    close_inherited();
    limits(size, seconds)?;
    privileges()?;
    nix::sys::prctl::set_no_new_privs().map_err(|e| format!("no_new_privs: {e}"))?;
    nix::sys::prctl::set_dumpable(false).map_err(|e| format!("dumpable: {e}"))?;
    // Changing the account clears it: so it is set after.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .map_err(|e| format!("pdeathsig: {e}"))?;
    paths()?;
    // The file, the pipe, standard error; nothing else is ever opened.
    setrlimit(Resource::RLIMIT_NOFILE, 3, 3).map_err(|e| format!("RLIMIT_NOFILE: {e}"))?;
    nix::unistd::alarm::set(u32::try_from(seconds).unwrap_or(u32::MAX));
    calls()
}

#[allow(unsafe_code)]
fn close_inherited() {
    // SAFETY: nothing in this process owns a descriptor beyond the three that it was given.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}

fn limits(size: u64, seconds: u64) -> Result<(), String> {
    for (resource, limit) in [
        (Resource::RLIMIT_CPU, seconds),
        (Resource::RLIMIT_AS, size.saturating_add(MEMORY)),
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, limit, limit).map_err(|e| format!("{resource:?}: {e}"))?;
    }
    Ok(())
}

/// From root to nobody; an ordinary user stays who they are.
fn privileges() -> Result<(), String> {
    let said = |what: &'static str| move |e: nix::Error| format!("{what}: {e}");
    if nix::unistd::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        nix::unistd::setgroups(&[]).map_err(said("setgroups"))?;
        nix::unistd::setresgid(gid, gid, gid).map_err(said("setresgid"))?;
        nix::unistd::setresuid(uid, uid, uid).map_err(said("setresuid"))?;
    }
    let uids = nix::unistd::getresuid().map_err(said("getresuid"))?;
    if uids.real.is_root() || uids.effective.is_root() || uids.saved.is_root() {
        return Err("still root".to_owned());
    }
    Ok(())
}

/// No path, no port, nobody to signal: a Landlock ruleset without a rule, as far as the kernel knows it.
fn paths() -> Result<(), String> {
    let said = |e: landlock::RulesetError| format!("landlock: {e}");
    let abi = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .map_err(said)?
        .handle_access(AccessNet::from_all(abi))
        .map_err(said)?
        .scope(Scope::from_all(abi))
        .map_err(said)?
        .create()
        .map_err(said)?
        .restrict_self()
        .map_err(said)?;
    Ok(())
}

/// System calls that reading from memory and writing an answer need. Everything else fails with EPERM, so that a library
/// which asks for a file of its own goes on without it; starting a program ends this one.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];

fn calls() -> Result<(), String> {
    let said = |e: seccompiler::BackendError| format!("seccomp: {e}");
    let architecture: TargetArch = std::env::consts::ARCH.try_into().map_err(said)?;
    let every = |calls: &[libc::c_long]| -> BTreeMap<i64, Vec<SeccompRule>> {
        calls.iter().map(|call| (*call, Vec::new())).collect()
    };
    let only = |place, comparison, value| -> Result<Vec<SeccompRule>, String> {
        let condition = SeccompCondition::new(place, SeccompCmpArgLen::Dword, comparison, value);
        let rule = SeccompRule::new(vec![condition.map_err(said)?]);
        Ok(vec![rule.map_err(said)?])
    };
    // Memory that holds no code, and signals to this process alone (abort(3)).
    let no_code = SeccompCmpOp::MaskedEq(u64::from(libc::PROT_EXEC.unsigned_abs()));
    let myself = u64::from(std::process::id());
    let mut allowed = every(ALLOWED);
    allowed.insert(libc::SYS_mmap, only(2, no_code.clone(), 0)?);
    allowed.insert(libc::SYS_mprotect, only(2, no_code, 0)?);
    allowed.insert(libc::SYS_tgkill, only(0, SeccompCmpOp::Eq, myself)?);
    let deadly = every(&[libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace]);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    // Both hold; of two answers, the stricter counts (seccomp(2)). The second one lets no third one in.
    for (rules, otherwise, answer) in [
        (deadly, SeccompAction::Allow, SeccompAction::KillProcess),
        (allowed, refused, SeccompAction::Allow),
    ] {
        let filter = SeccompFilter::new(rules, otherwise, answer, architecture).map_err(said)?;
        let program: seccompiler::BpfProgram = filter.try_into().map_err(said)?;
        seccompiler::apply_filter(&program).map_err(|e| format!("seccomp: {e}"))?;
    }
    Ok(())
}

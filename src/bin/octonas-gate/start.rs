//! The first acts: whatever sshd or its parents left to us (descriptors, signals, umask) is put in order
//! before anything else happens. The only module here with unsafe code.
#![allow(unsafe_code)]

use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::stat::{Mode, umask};

/// Files get at most `rw-rw----`, directories `rwxrwx---`, where no default ACL says more.
const UMASK: u32 = 0o007;

/// umask 007, no descriptor but 0, 1 and 2, every signal at its default and unblocked, no new privileges.
///
/// Failures are not reported: each act is a second layer, and there is nothing that the person could do.
pub fn first_acts() {
    umask(Mode::from_bits_truncate(UMASK));
    close_inherited();
    for number in Signal::iterator() {
        // SIGKILL and SIGSTOP refuse, harmlessly.
        // SAFETY: SIG_DFL installs no code of ours.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    let _ = prctl::set_no_new_privs();
}

/// Closes every descriptor from 3 up; one by one where the kernel is older than `close_range(2)` (5.9).
fn close_inherited() {
    const FIRST: u32 = 3;
    // SAFETY: called before this program opened anything, so that no owner loses its descriptor.
    let done = unsafe { libc::close_range(FIRST, u32::MAX, 0) };
    if done != 0 {
        for descriptor in 3..4096 {
            let _ = nix::unistd::close(descriptor);
        }
    }
}

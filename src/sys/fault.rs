//! Points where a test can make the program fail or die, so that "full disk at every write" and "kill -9 at every
//! step" are runs of the real binary.
//!
//! Every durable step calls [`point`] with its name just before it happens. Without the feature `faults` a point is
//! nothing at all: no packaged program can be driven by an environment variable. With it,
//! - `OCTONAS_FAULT=kill:17` kills the process (SIGKILL) at the 17th point;
//! - `OCTONAS_FAULT=kill:rename:2` at the 2nd point whose name begins with `rename`;
//! - `OCTONAS_FAULT=stop:rename:2` stops it there (SIGSTOP), so that a test can take the disk away, until it is told to go on;
//! - `OCTONAS_FAULT=enospc:write:3` makes the 3rd point of that name fail as if the disk were full (`eio`, `erofs`,
//!   `edquot`, `eacces` likewise), once;
//! - `OCTONAS_FAULT_TRACE=FILE` appends the name of every point passed, one a line, so that a test knows how many there are.

use std::path::Path;

use crate::error::Result;

/// A durable step is about to happen. Fails only where a test asked for it.
///
/// Names: `create.dir`, `write`, `append`, `truncate`, `fsync.file`, `fsync.dir`, `link`, `rename`, `remove`, `owner`,
/// `mode`, `acl`, `project`, `quota`, `mount`, `unmount`, `sql`, and what callers add (`command.<program>`, `systemd.<job>`, `nas.<call>`).
pub fn point(name: &'static str) -> Result<()> {
    errno(name).map_err(|e| super::failure::failed(name, Path::new("(a fault made by a test)"), e))
}

/// The same for system calls.
#[cfg(not(any(test, feature = "faults")))]
#[inline]
#[allow(clippy::unnecessary_wraps)]
pub(super) fn errno(_: &'static str) -> nix::Result<()> {
    Ok(())
}

#[cfg(any(test, feature = "faults"))]
pub(super) use driven::errno;
#[cfg(any(test, feature = "faults"))]
pub use driven::{Fault, Plan, suffer, trace};

#[cfg(any(test, feature = "faults"))]
mod driven {
    use std::cell::RefCell;
    use std::io::Write as _;
    use std::str::FromStr;
    use std::sync::{Mutex, OnceLock};

    use nix::errno::Errno;
    use nix::sys::signal::{Signal, raise};

    /// What happens at the chosen point.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Fault {
        /// The process dies at once.
        Kill,
        /// The process stands still until SIGCONT.
        Stop,
        /// This one step fails.
        Fail(Errno),
        /// This step and every later one fail: what a killed process leaves, inside one process.
        Halt,
    }

    /// Which point suffers what.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Plan {
        /// What happens.
        pub fault: Fault,
        /// Only points whose name begins so are counted; empty counts all.
        pub prefix: String,
        /// Which of them, from 1.
        pub nth: u64,
        passed: u64,
    }

    impl Plan {
        /// The `nth` point (from 1) whose name begins with `prefix`.
        pub fn new(fault: Fault, prefix: &str, nth: u64) -> Self {
            Self {
                fault,
                prefix: prefix.into(),
                nth,
                passed: 0,
            }
        }

        fn at(&mut self, name: &str) -> nix::Result<()> {
            if name.starts_with(&self.prefix) {
                self.passed += 1;
            }
            let now = self.passed == self.nth && name.starts_with(&self.prefix);
            match self.fault {
                Fault::Kill if now => {
                    let _ = raise(Signal::SIGKILL);
                    Ok(())
                }
                Fault::Stop if now => {
                    let _ = raise(Signal::SIGSTOP);
                    Ok(())
                }
                Fault::Fail(errno) if now => Err(errno),
                Fault::Halt if self.passed >= self.nth => Err(Errno::EIO),
                _ => Ok(()),
            }
        }
    }

    impl FromStr for Plan {
        type Err = ();

        /// `fault:nth` or `fault:prefix:nth`.
        fn from_str(text: &str) -> Result<Self, ()> {
            let (fault, rest) = text.split_once(':').ok_or(())?;
            let (prefix, nth) = rest.rsplit_once(':').unwrap_or(("", rest));
            let fault = match fault {
                "kill" => Fault::Kill,
                "stop" => Fault::Stop,
                "halt" => Fault::Halt,
                "enospc" => Fault::Fail(Errno::ENOSPC),
                "edquot" => Fault::Fail(Errno::EDQUOT),
                "eio" => Fault::Fail(Errno::EIO),
                "erofs" => Fault::Fail(Errno::EROFS),
                "eacces" => Fault::Fail(Errno::EACCES),
                _ => return Err(()),
            };
            Ok(Self::new(fault, prefix, nth.parse().map_err(|_| ())?))
        }
    }

    #[derive(Default)]
    struct Local {
        plan: Option<Plan>,
        trace: Option<Vec<&'static str>>,
    }

    thread_local! {
        static LOCAL: RefCell<Local> = RefCell::default();
    }

    /// Runs `work` in this thread while it suffers `plan`.
    pub fn suffer<T>(plan: Plan, work: impl FnOnce() -> T) -> T {
        LOCAL.with_borrow_mut(|local| local.plan = Some(plan));
        let result = work();
        LOCAL.with_borrow_mut(|local| local.plan = None);
        result
    }

    /// Runs `work` in this thread and gives the points that it passed, in order.
    pub fn trace<T>(work: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
        LOCAL.with_borrow_mut(|local| local.trace = Some(Vec::new()));
        let result = work();
        let passed = LOCAL.with_borrow_mut(|local| local.trace.take());
        (result, passed.unwrap_or_default())
    }

    /// The plan and the trace file that the environment asks for.
    fn environment() -> &'static (Option<Mutex<Plan>>, Option<std::path::PathBuf>) {
        static ENVIRONMENT: OnceLock<(Option<Mutex<Plan>>, Option<std::path::PathBuf>)> =
            OnceLock::new();
        ENVIRONMENT.get_or_init(|| {
            let plan = std::env::var("OCTONAS_FAULT")
                .ok()
                .and_then(|text| text.parse().ok())
                .map(Mutex::new);
            (
                plan,
                std::env::var_os("OCTONAS_FAULT_TRACE").map(Into::into),
            )
        })
    }

    pub(in crate::sys) fn errno(name: &'static str) -> nix::Result<()> {
        let (plan, trace) = environment();
        if let Some(path) = trace {
            let opened = std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path);
            if let Ok(mut file) = opened {
                let _ = file.write_all(format!("{name}\n").as_bytes());
            }
        }
        if let Some(Ok(mut plan)) = plan.as_ref().map(Mutex::lock) {
            plan.at(name)?;
        }
        LOCAL.with_borrow_mut(|local| {
            if let Some(trace) = &mut local.trace {
                trace.push(name);
            }
            local.plan.as_mut().map_or(Ok(()), |plan| plan.at(name))
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_plan_is_read_from_text() {
            assert_eq!("kill:17".parse(), Ok(Plan::new(Fault::Kill, "", 17)));
            assert_eq!(
                "enospc:write:3".parse(),
                Ok(Plan::new(Fault::Fail(Errno::ENOSPC), "write", 3))
            );
            for wrong in ["", "kill", "kill:x", "burn:1", "enospc:write:"] {
                assert_eq!(wrong.parse::<Plan>(), Err(()), "{wrong}");
            }
        }

        #[test]
        fn only_the_chosen_point_fails_and_a_halt_fails_all_after_it() {
            let run = |plan| {
                suffer(plan, || {
                    ["write", "fsync.file", "write", "write"].map(|name| errno(name).is_ok())
                })
            };
            assert_eq!(
                run(Plan::new(Fault::Fail(Errno::EIO), "write", 2)),
                [true, true, false, true]
            );
            assert_eq!(
                run(Plan::new(Fault::Halt, "", 2)),
                [true, false, false, false]
            );
        }
    }
}

//! The only door outside: files beneath a directory handle, access lists, programs, mounts, systemd, locks, clock.
//!
//! A member who owns directories below may race root with links, FIFOs and renames, so everything works on
//! descriptors that were opened first and checked after. `nas`, `store` and the rooms above call this one.

pub mod abilities;
pub mod acl;
pub mod clock;
pub mod command;
pub mod dir;
mod failure;
pub mod fault;
pub mod lock;
pub mod mounts;
mod place;
pub mod process;
pub mod processes;
pub mod quota;
pub mod systemd;
pub mod underneath;
pub mod walk;

#[cfg(test)]
pub(crate) mod again {
    //! Tests that need a process of their own: they run the test program again, for one test.

    use std::process::{Command, Output};

    const INSIDE: &str = "OCTONAS_TEST_INSIDE";

    /// `None` in the inner process. In the outer one, what the inner one left behind; it ran through the programs in
    /// `through` (`unshare -m`), with these variables.
    #[allow(clippy::disallowed_methods)]
    pub fn alone(test: &str, through: &[&str], variables: &[(&str, &str)]) -> Option<Output> {
        if std::env::var(INSIDE).as_deref() == Ok(test) {
            return None;
        }
        let this = std::env::current_exe().unwrap();
        let mut words: Vec<_> = through.iter().map(std::ffi::OsString::from).collect();
        words.push(this.into());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["--exact", "--nocapture", "--test-threads=1", test])
            .env(INSIDE, test);
        for (name, value) in variables {
            command.env(name, value);
        }
        Some(command.output().unwrap())
    }

    /// What to do with an inner process that must succeed.
    pub fn must_pass(output: &Output) {
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{errors}");
        assert!(text.contains("1 passed"), "{text}\n{errors}");
    }
}

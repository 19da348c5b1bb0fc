//! The socket of omv-engined: one JSON object and a NUL byte each way.
//!
//! Whoever can open the socket is root there: the context that a caller sends is trusted. engined reads a request in
//! its main process, without a time limit, so a request leaves in one piece or the whole web interface stands still.
//! (openmediavault 8, `usr/sbin/omv-engined`.)

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::sys::fault;

/// How long to wait, and how much to take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the request is handed over.
    pub send: Duration,
    /// Until a reading call has answered.
    pub read: Duration,
    /// Until a changing call has answered. Changes wait while somebody applies the configuration, which takes minutes.
    pub change: Duration,
    /// The longest answer, in bytes.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            send: Duration::from_secs(20),
            read: Duration::from_mins(1),
            change: Duration::from_mins(10),
            answer: 64 << 20,
        }
    }
}

impl Limits {
    /// The same limits, none of them longer than `time`.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self {
            send: self.send.min(time),
            read: self.read.min(time),
            change: self.change.min(time),
            ..self
        }
    }
}

/// A client of one engined. Every call is a connection of its own, as engined has it.
pub struct Engined {
    address: PathBuf,
    limits: Limits,
    calls: Mutex<BTreeMap<String, u64>>,
}

#[derive(Serialize)]
struct Request<'a, P> {
    service: &'a str,
    method: &'a str,
    params: P,
    context: Context,
}

#[derive(Serialize)]
struct Context {
    username: &'static str,
    role: u8,
}

/// The role bit of an administrator.
const ADMINISTRATOR: u8 = 1;

#[derive(Deserialize)]
struct Answer<R> {
    response: Option<R>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
    #[serde(default)]
    http_status_code: u16,
}

/// How a call failed, for callers that branch.
enum Failure {
    /// engined answered with an error.
    Refused(Refusal),
    /// Anything else.
    Other(Error),
}

impl Engined {
    /// A client of the engined that listens at `address`. Nothing is sent yet.
    pub fn new(address: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            address: address.into(),
            limits,
            calls: Mutex::default(),
        }
    }

    /// Where engined listens.
    pub fn address(&self) -> &Path {
        &self.address
    }

    /// What was asked so far: `Service.method` → times.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.calls.lock().map(|c| c.clone()).unwrap_or_default()
    }

    /// Asks something that changes nothing. Asked once more where engined met its configuration file half written
    /// (reads there take no lock) or was just restarting.
    pub fn read<R: DeserializeOwned>(
        &self,
        service: &str,
        method: &str,
        params: impl Serialize,
    ) -> Result<R> {
        for again in [true, false] {
            match self.ask(service, method, &params, self.limits.read) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused(r)) if again && r.http_status_code >= 500 => {}
                Err(Failure::Other(e)) if again && e.code() == "nas.unreachable" => {}
                Err(failure) => return Err(Self::error(service, method, failure)),
            }
            sleep(Duration::from_millis(200));
        }
        Err(self.gone(service, method, "did not answer"))
    }

    /// Asks for a change, once: whether it happened is unknown when no answer comes.
    pub fn change<R: DeserializeOwned>(
        &self,
        service: &str,
        method: &str,
        params: impl Serialize,
    ) -> Result<R> {
        self.ask(service, method, &params, self.limits.change)
            .map_err(|failure| Self::error(service, method, failure))
    }

    /// Asks for a change whose parameters hold `secret`. The answer, which repeats it, is thrown away, and no error
    /// carries it.
    pub fn change_with_secret(
        &self,
        service: &str,
        method: &str,
        params: impl Serialize,
        secret: &str,
    ) -> Result<()> {
        match self.ask::<IgnoredAny>(service, method, &params, self.limits.change) {
            Ok(_) => Ok(()),
            Err(Failure::Refused(mut r)) => {
                if !secret.is_empty() {
                    r.message = r.message.replace(secret, "…");
                }
                Err(Self::error(service, method, Failure::Refused(r)))
            }
            Err(failure) => Err(Self::error(service, method, failure)),
        }
    }

    fn ask<R: DeserializeOwned>(
        &self,
        service: &str,
        method: &str,
        params: &impl Serialize,
        patience: Duration,
    ) -> Result<R, Failure> {
        if let Ok(mut calls) = self.calls.lock() {
            *calls.entry(format!("{service}.{method}")).or_default() += 1;
        }
        let request = Request {
            service,
            method,
            params,
            context: Context {
                username: "admin",
                role: ADMINISTRATOR,
            },
        };
        // Wiped after use: parameters may hold a password.
        let mut text = Wiped::default();
        serde_json::to_writer(&mut text, &request).map_err(|e| {
            Failure::Other(
                Error::new(
                    "nas.protocol",
                    format!("cannot encode the call {service}.{method}"),
                )
                .source(e),
            )
        })?;
        text.push(&[0]);

        fault::point("nas.call").map_err(Failure::Other)?;
        let answer = self
            .exchange(service, method, &text.0, patience)
            .map_err(Failure::Other)?;
        fault::point("nas.answer").map_err(Failure::Other)?;
        let answer: Answer<R> = serde_json::from_slice(&answer).map_err(|e| {
            Failure::Other(
                Error::new(
                    "nas.protocol",
                    format!(
                        "the answer of OpenMediaVault to {service}.{method} is not what it should be \
                         (line {}, column {})",
                        e.line(),
                        e.column()
                    ),
                )
                .hint("is this OpenMediaVault 8? see `octonas doctor`"),
            )
        })?;
        if let Some(refusal) = answer.error {
            return Err(Failure::Refused(refusal));
        }
        match answer.response {
            Some(response) => Ok(response),
            // A method without a result answers null: fine where nothing is expected.
            None => serde_json::from_str("null").map_err(|_| {
                Failure::Other(Error::new(
                    "nas.protocol",
                    format!("OpenMediaVault gave no result to {service}.{method}"),
                ))
            }),
        }
    }

    /// One request, one answer without its NUL.
    fn exchange(
        &self,
        service: &str,
        method: &str,
        request: &[u8],
        patience: Duration,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let mut stream = self.connect(service, method)?;
        let failed = |e: std::io::Error| {
            self.gone(service, method, "closed the connection")
                .source(e)
        };
        stream
            .set_write_timeout(Some(self.limits.send))
            .map_err(failed)?;
        stream.write_all(request).map_err(|e| match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Self::timeout(service, method, self.limits.send)
            }
            _ => failed(e),
        })?;

        let end = Instant::now() + patience;
        let mut answer = Wiped::default();
        let mut block = Zeroizing::new([0_u8; 4 << 10]);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Self::timeout(service, method, patience));
            }
            stream.set_read_timeout(Some(left)).map_err(failed)?;
            let n = match stream.read(&mut block[..]) {
                Ok(0) => return Err(self.gone(service, method, "ended without an answer")),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Self::timeout(service, method, patience));
                }
                Err(e) => return Err(failed(e)),
            };
            let whole = block[..n].iter().position(|&b| b == 0);
            answer.push(&block[..whole.unwrap_or(n)]);
            if whole.is_some() {
                return Ok(answer.0);
            }
            if answer.0.len() > self.limits.answer {
                return Err(Error::new(
                    "nas.protocol",
                    format!(
                        "the answer of OpenMediaVault to {service}.{method} is longer than {} bytes",
                        self.limits.answer
                    ),
                ));
            }
        }
    }

    /// Connects within the time limit. A blocking connect would wait for ever while engined's queue is full.
    fn connect(&self, service: &str, method: &str) -> Result<UnixStream> {
        let refused = |e: Errno| {
            self.gone(service, method, "does not listen")
                .source(std::io::Error::from(e))
        };
        let address = UnixAddr::new(&self.address).map_err(refused)?;
        let end = Instant::now() + self.limits.send;
        loop {
            let fd = socket(
                AddressFamily::Unix,
                SockType::Stream,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                None,
            )
            .map_err(refused)?;
            match connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &address) {
                Ok(()) => {
                    let stream = UnixStream::from(fd);
                    stream
                        .set_nonblocking(false)
                        .map_err(|e| self.gone(service, method, "does not listen").source(e))?;
                    return Ok(stream);
                }
                Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() < end => {
                    sleep(Duration::from_millis(20));
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {
                    return Err(Self::timeout(service, method, self.limits.send));
                }
                Err(e) => return Err(refused(e)),
            }
        }
    }

    fn error(service: &str, method: &str, failure: Failure) -> Error {
        match failure {
            Failure::Other(e) => e,
            Failure::Refused(r) => {
                let words = first_line(&r.message);
                Error::new(
                    "nas.refused",
                    format!("OpenMediaVault refused {service}.{method}"),
                )
                .hint(if words.is_empty() {
                    format!("it gave no reason (status {})", r.http_status_code)
                } else {
                    format!("it says: {words}")
                })
            }
        }
    }

    fn gone(&self, service: &str, method: &str, what: &str) -> Error {
        Error::new(
            "nas.unreachable",
            format!(
                "OpenMediaVault's engined {what} at {} (asked for {service}.{method})",
                self.address.display()
            ),
        )
        .hint("look at `systemctl status openmediavault-engined`, then run the same command again")
    }

    fn timeout(service: &str, method: &str, limit: Duration) -> Error {
        Error::new(
            "nas.timeout",
            format!(
                "OpenMediaVault did not answer {service}.{method} within {} s",
                limit.as_secs_f32()
            ),
        )
        .hint(
            "somebody may be applying changes; when they are done, run the same command again: \
             it finds out what was done",
        )
    }
}

/// Bytes that are wiped after use, the copies that growing leaves behind among them.
#[derive(Default)]
struct Wiped(Zeroizing<Vec<u8>>);

impl Wiped {
    fn push(&mut self, more: &[u8]) {
        let needed = self.0.len() + more.len();
        if self.0.capacity() < needed {
            let mut larger = Vec::with_capacity((self.0.capacity() * 2).max(needed).max(1 << 10));
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
        self.0.extend_from_slice(more);
    }
}

impl Write for Wiped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is worth saying of an engined error: its first line. Failed commands come with their whole environment in front.
fn first_line(message: &str) -> String {
    let line = message.lines().find(|l| !l.trim().is_empty()).unwrap_or("");
    line.trim().chars().take(600).collect()
}

#[cfg(test)]
mod tests;

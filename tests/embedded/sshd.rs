//! Another machine: an sshd of this user on a loopback port, with keys of its own, and lines to it that break.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// sshd, until it is dropped.
pub struct Sshd {
    process: Child,
    dir: PathBuf,
    pub port: u16,
    /// Who is let in.
    pub account: String,
}

impl Sshd {
    /// Starts one whose files lie in `dir`; `None`, aloud, where this machine has none.
    pub fn start(dir: &Path) -> Option<Self> {
        for program in [
            "/usr/sbin/sshd",
            "/usr/bin/ssh",
            "/usr/bin/ssh-keygen",
            "/usr/bin/rsync",
        ] {
            if !Path::new(program).exists() {
                eprintln!("SKIPPED: no {program}");
                return None;
            }
        }
        fs::create_dir(dir).unwrap();
        let account = nix::unistd::User::from_uid(nix::unistd::geteuid());
        let account = account.unwrap().unwrap().name;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = port.local_addr().unwrap().port();
        for key in ["host", "other-host", "client", "stranger"] {
            let made = Command::new("/usr/bin/ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
                .arg(dir.join(key))
                .status();
            assert!(made.unwrap().success());
        }
        fs::copy(dir.join("client.pub"), dir.join("authorized")).unwrap();
        let path = |name: &str| dir.join(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel ERROR\n",
            path("host"),
            path("authorized"),
        );
        fs::write(dir.join("config"), config).unwrap();
        if nix::unistd::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = fs::File::create(dir.join("log")).unwrap();
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &path("config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self {
            process,
            dir: dir.to_owned(),
            port,
            account,
        };
        for _ in 0..500 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Some(sshd);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{}", fs::read_to_string(dir.join("log")).unwrap());
    }

    /// The path of a key pair: `host`, `other-host`, `client`, `stranger`.
    pub fn key(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The public half.
    pub fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.dir.join(format!("{name}.pub")));
        text.unwrap().trim().to_owned()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How far a connection gets, in bytes that are sent.
#[derive(Debug, Clone, Copy)]
pub enum Reach {
    /// All the way.
    Whole,
    /// Then it breaks.
    Breaks(usize),
    /// Then nothing moves any more.
    Hangs(usize),
}

/// A line to a port of this machine.
pub struct Line {
    pub port: u16,
    reaches: Arc<Mutex<Vec<Reach>>>,
    /// Connections that broke or hang.
    pub troubles: Arc<AtomicUsize>,
    /// Bytes that were sent through it.
    pub sent: Arc<AtomicUsize>,
}

impl Line {
    /// To `port`; all connections are whole.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let line = Self {
            port: listener.local_addr().unwrap().port(),
            reaches: Arc::default(),
            troubles: Arc::default(),
            sent: Arc::default(),
        };
        let (reaches, troubles, sent) = (
            Arc::clone(&line.reaches),
            Arc::clone(&line.troubles),
            Arc::clone(&line.sent),
        );
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                    continue;
                };
                let reach = reaches.lock().unwrap().pop().unwrap_or(Reach::Whole);
                let (back, from) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (troubles, sent) = (Arc::clone(&troubles), Arc::clone(&sent));
                std::thread::spawn(move || carry(near, far, reach, &troubles, &sent));
                std::thread::spawn(move || {
                    carry(
                        from,
                        back,
                        Reach::Whole,
                        &AtomicUsize::new(0),
                        &AtomicUsize::new(0),
                    );
                });
            }
        });
        line
    }

    /// How far the next connections get; all later ones get all the way.
    pub fn next(&self, reaches: &[Reach]) {
        *self.reaches.lock().unwrap() = reaches.iter().rev().copied().collect();
    }
}

fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    reach: Reach,
    troubles: &AtomicUsize,
    sent: &AtomicUsize,
) {
    let limit = match reach {
        Reach::Whole => usize::MAX,
        Reach::Breaks(limit) | Reach::Hangs(limit) => limit,
    };
    let mut passed = 0;
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read.min(limit - passed)]).is_err() {
            break;
        }
        sent.fetch_add(read, Ordering::Relaxed);
        passed += read.min(limit - passed);
        if passed == limit {
            troubles.fetch_add(1, Ordering::Relaxed);
            if matches!(reach, Reach::Hangs(_)) {
                std::thread::sleep(Duration::from_mins(10));
            }
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

//! systemd over D-Bus (org.freedesktop.systemd1(5)): jobs on units, waited for; states of units.
//!
//! The connection is made when it is first needed: most commands never pay for it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use futures_core::Stream as _;
use zbus::proxy;
use zbus::wire::OwnedObjectPath;

use super::fault;
use crate::error::{Error, Result};

/// How long a job may take.
const TIME_LIMIT: Duration = Duration::from_mins(2);

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    async fn subscribe(&self) -> zbus::Result<()>;
    async fn reload(&self) -> zbus::Result<()>;
    async fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    async fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    async fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    async fn reload_or_restart_unit(&self, name: &str, mode: &str)
    -> zbus::Result<OwnedObjectPath>;
    async fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    #[zbus(signal)]
    fn job_removed(
        &self,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;
}

#[proxy(
    interface = "org.freedesktop.systemd1.Unit",
    default_service = "org.freedesktop.systemd1"
)]
trait Unit {
    #[zbus(property(emits_changed_signal = "false"))]
    fn active_state(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn sub_state(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn load_state(&self) -> zbus::Result<String>;
}

/// What is done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
    /// Have it read its configuration again, or restart it where it cannot.
    Reload,
}

impl Job {
    fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }

    fn point(self) -> &'static str {
        match self {
            Self::Start => "systemd.start",
            Self::Stop => "systemd.stop",
            Self::Restart => "systemd.restart",
            Self::Reload => "systemd.reload",
        }
    }
}

/// The state of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `loaded`, `not-found`, `masked` …
    pub load: String,
    /// `active`, `inactive`, `failed` …
    pub active: String,
    /// `running`, `mounted`, `dead` …
    pub sub: String,
}

impl State {
    /// True where it runs, is mounted, or is otherwise up.
    pub fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading")
    }
}

/// True where systemd runs this machine (`sd_booted(3)`).
pub fn is_running() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}

/// Does something to a unit and waits until it is done; anything but success is the error `systemd.failed`.
pub fn run(job: Job, unit: &str) -> Result<()> {
    fault::point(job.point())?;
    let name = unit.to_owned();
    let what = format!("{} {unit}", job.verb());
    let result = limited(&what, async move { run_job(job, &name).await })?;
    if result == "done" {
        return Ok(());
    }
    Err(Error::new(
        "systemd.failed",
        format!("systemd could not {what}: {result}"),
    )
    .hint(format!("see `systemctl status {unit}`")))
}

/// Has systemd read its unit files again.
pub fn daemon_reload() -> Result<()> {
    fault::point("systemd.daemon-reload")?;
    limited("read the unit files again", async {
        manager().await?.reload().await
    })
}

/// The state of a unit; one that does not exist is `not-found`, not an error.
pub fn state(unit: &str) -> Result<State> {
    let name = unit.to_owned();
    limited(&format!("tell the state of {unit}"), async move {
        let manager = manager().await?;
        let path = manager.load_unit(&name).await?;
        let unit = UnitProxy::builder(manager.inner().connection())
            .path(path)
            .build()
            .await?;
        Ok(State {
            load: unit.load_state().await?,
            active: unit.active_state().await?,
            sub: unit.sub_state().await?,
        })
    })
}

async fn manager() -> zbus::Result<ManagerProxy<'static>> {
    ManagerProxy::new(&zbus::Connection::system().await?).await
}

/// The result of the job: `done`, `failed`, `dependency`, `timeout`, `canceled`, `skipped`.
async fn run_job(job: Job, unit: &str) -> zbus::Result<String> {
    let manager = manager().await?;
    manager.subscribe().await?;
    // Listening before the job is queued, so that a quick end is not missed.
    let mut ends = pin!(manager.receive_job_removed().await?);
    let path = match job {
        Job::Start => manager.start_unit(unit, "replace").await?,
        Job::Stop => manager.stop_unit(unit, "replace").await?,
        Job::Restart => manager.restart_unit(unit, "replace").await?,
        Job::Reload => manager.reload_or_restart_unit(unit, "replace").await?,
    };
    while let Some(signal) = poll_fn(|context| ends.as_mut().poll_next(context)).await {
        let end = signal.args()?;
        if end.job == path {
            return Ok(end.result);
        }
    }
    Ok("the connection ended".into())
}

/// Runs a conversation in a thread of its own, within [`TIME_LIMIT`].
fn limited<T: Send + 'static>(
    what: &str,
    talk: impl Future<Output = zbus::Result<T>> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let _ = sender.send(zbus::block_on(talk));
    });
    match receiver.recv_timeout(TIME_LIMIT) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(
            Error::new("systemd.failed", format!("systemd could not {what}"))
                .hint("see the system log")
                .source(e),
        ),
        Err(_) => Err(Error::new(
            "systemd.timeout",
            format!("systemd did not {what} within {} s", TIME_LIMIT.as_secs()),
        )
        .hint("see `systemctl list-jobs`")),
    }
}

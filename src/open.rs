//! From the configuration to a place where work is done: the NAS is chosen here, and nowhere else.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::documents::render::{TEMPLATE_MAX, Templates};
use crate::error::{Error, Result};
use crate::experiment::{Date, Language};
use crate::layout::Layouts;
use crate::nas::Nas;
use crate::nas::local::{self, Local};
use crate::nas::omv::{self, Omv, jails};
use crate::provision::site::{Site, UnitPlans};
use crate::report::{Hidden, JsonLines, Lines, Progress};
use crate::settings::{Choice, Settings};
use crate::sys::dir::Dir;
use crate::sys::{clock, process};

/// The longest layout.
const LAYOUT_LIMIT: u64 = 256 << 10;

/// How work shows itself.
#[derive(Debug, Clone, Copy)]
pub enum Show {
    /// Not at all.
    Nothing,
    /// A line a step, on standard error.
    Lines,
    /// A JSON object a line, on standard output, in this language.
    Json(Language),
}

impl Show {
    /// Lines, or nothing.
    pub fn lines(wanted: bool) -> Self {
        if wanted { Self::Lines } else { Self::Nothing }
    }

    /// JSON, or nothing.
    pub fn json(wanted: bool, language: Language) -> Self {
        if wanted {
            Self::Json(language)
        } else {
            Self::Nothing
        }
    }
}

/// Who calls, for the ledger: the account behind sudo, otherwise our own.
pub fn who() -> String {
    std::env::var("SUDO_USER")
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| {
            nix::unistd::User::from_uid(nix::unistd::getuid())
                .ok()
                .flatten()
                .map(|user| user.name)
        })
        .unwrap_or_else(|| nix::unistd::getuid().to_string())
}

/// Where work shows itself.
pub fn progress(show: Show) -> Box<dyn Progress> {
    match show {
        Show::Nothing => Box::new(Hidden),
        Show::Lines => Box::new(Lines),
        Show::Json(language) => Box::new(JsonLines::new(language)),
    }
}

/// Opens the NAS that is in force.
pub fn site(
    settings: &Settings,
    asked: Option<&str>,
    cwd: &Path,
    show: Show,
    caller: &str,
) -> Result<Site> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let progress = progress(show);
    let (nas, locks, cache): (Box<dyn Nas>, Dir, Dir) =
        match settings.choose(asked, cwd, home.as_deref())? {
            Choice::Local(dir) => {
                let local = Local::open(&dir)?;
                let house = local.house()?;
                house.create_dir("run", 0o700)?;
                house.create_dir("cache", 0o700)?;
                let (locks, cache) = (house.existing("run")?, house.existing("cache")?);
                (Box::new(local), locks, cache)
            }
            Choice::Omv => {
                if !process::is_root() {
                    return Err(
                        Error::new("nas.root", "only root may work on OpenMediaVault")
                            .hint("run it with sudo"),
                    );
                }
                let run = settings
                    .run
                    .clone()
                    .unwrap_or_else(|| "/run/octonas".into());
                let cache = cache_of_omv(settings);
                let locks = Dir::open_or_create_absolute(&run, 0o755)?;
                let cache = Dir::open_or_create_absolute(&cache, 0o700)?;
                (
                    Box::new(Omv::connect(omv_settings(settings))?),
                    locks,
                    cache,
                )
            }
        };
    Ok(Site {
        nas,
        progress,
        locks,
        cache,
        layouts: layouts(settings)?,
        plans: unit_plans(settings)?,
        documents: documents(settings)?,
        parsed: RefCell::default(),
        known_bases: RefCell::default(),
        stable_minutes: settings.ingest.stable_minutes,
        encryption: settings.encryption.clone(),
        archive: settings.archive.clone(),
        seal_received: settings.ingest.seal,
        caller: caller.to_owned(),
        acting: RefCell::default(),
        today: Cell::new(Date::parse(&clock::today().to_string())?),
    })
}

/// What can be lost, where it is there already: lists are served from it without asking the NAS.
pub fn cache(settings: &Settings, asked: Option<&str>, cwd: &Path) -> Result<Option<Dir>> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = match settings.choose(asked, cwd, home.as_deref())? {
        Choice::Local(dir) => dir.join(local::HOUSE).join("cache"),
        Choice::Omv if process::is_root() => cache_of_omv(settings),
        Choice::Omv => return Ok(None),
    };
    if path.is_dir() {
        Dir::open_absolute(&path).map(Some)
    } else {
        Ok(None)
    }
}

fn cache_of_omv(settings: &Settings) -> PathBuf {
    settings
        .cache
        .clone()
        .unwrap_or_else(|| "/var/lib/octonas".into())
}

/// Where OpenMediaVault is: its own variables say it, unless our configuration does.
fn omv_settings(settings: &Settings) -> omv::Settings {
    let mut places = omv::Settings::installed();
    let given = &settings.omv;
    for (place, given) in [
        (&mut places.socket, &given.socket),
        (&mut places.dirty_modules, &given.dirty_modules),
        (&mut places.jails, &given.jails),
        (&mut places.jails_wanted, &given.jails_wanted),
    ] {
        if let Some(given) = given {
            place.clone_from(given);
        }
    }
    if let Some(seconds) = given.patience {
        places.limits = places.limits.within(Duration::from_secs(seconds));
    }
    places
}

/// The built-in layouts, and those of the administrator in their place.
fn layouts(settings: &Settings) -> Result<Layouts> {
    let dir = templates(settings).join("layouts");
    Ok(Layouts::new(overrides(&dir, ".yaml", LAYOUT_LIMIT)?))
}

/// The built-in templates of documents, and those of the administrator in their place.
fn documents(settings: &Settings) -> Result<Templates> {
    let dir = templates(settings).join("documents");
    let mut all = Vec::new();
    for language in Language::ALL {
        let found = overrides(&dir.join(language.as_str()), ".hbs", TEMPLATE_MAX)?;
        all.extend(
            found
                .into_iter()
                .map(|(name, text)| (format!("{language}/{name}"), text)),
        );
    }
    Ok(Templates::new(all))
}

/// Where the administrator's templates are.
fn templates(settings: &Settings) -> PathBuf {
    settings
        .templates
        .clone()
        .unwrap_or_else(|| "/etc/octonas/templates".into())
}

/// The files of a directory whose names end so, as (name without the end, text). A directory that others than root may
/// write is not read when we are root.
fn overrides(dir: &Path, end: &str, limit: u64) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    if !dir.is_dir() {
        return Ok(found);
    }
    let open = Dir::open_absolute(dir)?;
    let metadata = open.metadata()?;
    trusted(dir, metadata.uid, metadata.mode)?;
    for entry in open.entries()? {
        let Some(name) = entry.name.to_str().and_then(|name| name.strip_suffix(end)) else {
            continue;
        };
        let Some(bytes) = open.read(&entry.name, limit)? else {
            continue;
        };
        if let Some(metadata) = open.stat(&entry.name)? {
            trusted(&open.path_of(&entry.name), metadata.uid, metadata.mode)?;
        }
        found.push((
            name.to_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ));
    }
    Ok(found)
}

fn trusted(path: &Path, uid: u32, mode: u32) -> Result<()> {
    if !process::is_root() || (uid == 0 && mode & 0o022 == 0) {
        return Ok(());
    }
    Err(Error::new(
        "settings.writable",
        format!("{} can be changed by others than root", path.display()),
    )
    .hint("chown root: and chmod go-w it"))
}

/// What the unit says for every data management plan.
fn unit_plans(settings: &Settings) -> Result<UnitPlans> {
    let defaults = settings
        .dmp_defaults
        .clone()
        .unwrap_or_else(|| "/etc/octonas/dmp-defaults.yaml".into());
    let registry = templates(settings).join("registry/organisations.yaml");
    Ok(UnitPlans {
        defaults: own_text(&defaults)?,
        registry: own_text(&registry)?,
    })
}

/// A text of the administrator; `None` where there is none. What others than root may write is not read when we are root.
fn own_text(path: &Path) -> Result<Option<String>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    if !parent.is_dir() {
        return Ok(None);
    }
    let dir = Dir::open_absolute(parent)?;
    let Some(bytes) = dir.read(name, LAYOUT_LIMIT)? else {
        return Ok(None);
    };
    if let Some(found) = dir.stat(name)? {
        trusted(path, found.uid, found.mode)?;
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Makes the chroots of people match their description.
/// Gives what could not be shown, and why.
pub fn jails(root: &Path, file: &Path) -> Result<Vec<String>> {
    Ok(jails::sync(root, file, &jails::System)?.warnings)
}

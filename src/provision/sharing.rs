//! The common share of a base: one shared folder and one SMB share in which each of its experiments is a folder. The wall
//! between them is the file system's alone (groups, access lists, the mount of each experiment upon itself); the server
//! hides what somebody may not read. An experiment then needs nothing of the server: creating one restarts nothing.
//!
//! What we made of it is remembered in the base's evidence (`.octonas/applied.jsonl`), compared and mended like an
//! experiment's own objects.

mod choose;

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{self, Action, Conflict, Drift, Memory, Plan, Step, Terms};
use super::site::{OpenBase, Site};
use super::{apply, desired, frame, observe};
use crate::error::{Error, Result};
use crate::experiment::Definition;
use crate::nas::{Interruption, Observation};
use crate::object::{Attributes, Found, Kind, ObjectId, Objects};
use crate::report::{Said, said};
use crate::store;
use crate::store::applied::Applied;
use crate::sys::acl::Which;
use crate::sys::fault;

pub use choose::{Chosen, Moved, choose};

/// The group to which every account of a person belongs, machines that come in by key apart: who may see the share.
const EVERYBODY: &str = "users";

/// The kinds that a common share consists of on the NAS.
const KINDS: [Kind; 3] = [Kind::SharedFolder, Kind::Privileges, Kind::SmbShare];

/// What a base needs to be shared as a whole; nothing where it is not.
fn desired(site: &Site, base: &OpenBase) -> Objects {
    let mut objects = Objects::new();
    let Some(name) = base.common_share.as_deref() else {
        return objects;
    };
    let identity = site.nas.identity();
    let comment = format!("{}{}", desired::MARK, identity.id);
    if identity.enforces_rights {
        let holders = [(format!("group:{EVERYBODY}"), "write")];
        desired::shared_folder(&mut objects, &comment, name, &base.path, holders);
        // To list the base is to see the codes of all experiments wherever nothing hides them: people may, services may not.
        let list = format!("u::rwx,g::--x,g:{EVERYBODY}:r-x,m::r-x,o::--x");
        let attributes = [
            ("owner", "root"),
            ("group", "root"),
            ("mode", "0751"),
            ("acl", &list),
        ];
        objects.insert(
            ObjectId::new(Kind::Directory, ""),
            attributes
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        );
    } else {
        desired::shared_folder(&mut objects, &comment, name, &base.path, []);
    }
    desired::smb(&mut objects, &comment, name);
    objects
}

/// Our memory of it, and the file that holds it. What another NAS made of this base says nothing here.
fn memory(site: &Site, base: &OpenBase) -> Result<(Memory, Applied)> {
    let applied = Applied::load(&store::evidence(&base.dir)?)?;
    let memory = if applied.objects.contains_key(&apply::server(site)) {
        Memory {
            objects: applied.objects.clone(),
            intents: applied.intents.clone(),
        }
    } else {
        Memory::default()
    };
    Ok((memory, applied))
}

/// What is there of it, and what to do.
struct Look {
    observed: BTreeMap<ObjectId, Found>,
    plan: Plan,
}

fn look_at(
    site: &Site,
    base: &OpenBase,
    memory: &Memory,
    observation: &Observation,
    mend: bool,
) -> Result<Look> {
    let desired = desired(site, base);
    let enforced = site.nas.identity().enforces_rights;
    let dir = Some(&base.dir);
    let observed = observe::observe(dir, observation, &desired, memory, enforced)?;
    let terms = Terms {
        marker: &site.nas.identity().id,
        mend,
        absent: &BTreeSet::new(),
    };
    let mut plan = plan::plan(&desired, memory, &observed, &terms);
    for drift in &mut plan.drift {
        drift.effect = effect(drift, base);
    }
    Ok(Look { observed, plan })
}

/// Compares without changing anything. Nothing for a base that is not shared as a whole, and never was.
pub fn plan(site: &Site, base: &OpenBase, observation: &Observation, mend: bool) -> Result<Plan> {
    let (memory, _) = memory(site, base)?;
    Ok(look_at(site, base, &memory, observation, mend)?.plan)
}

/// What a difference means for everybody in this base.
fn effect(drift: &Drift, base: &OpenBase) -> Said {
    let base = base.path.display();
    let observed = drift.observed.as_deref();
    match (drift.object.kind, drift.attribute.as_deref()) {
        (Kind::SharedFolder | Kind::SmbShare, None) => said!(
            "nobody reaches any experiment of {0} over SMB",
            "personne n'atteint plus par SMB les expériences de {0}",
            base
        ),
        (Kind::SharedFolder, Some("path")) => said!(
            "people find another folder where they look for the experiments of {0}",
            "on trouve un autre dossier là où l'on cherche les expériences de {0}",
            base
        ),
        (Kind::Privileges, None) => said!(
            "OpenMediaVault's own list lets every account try; the file system still decides in every experiment of {0}",
            "la liste d'OpenMediaVault laisse chaque compte essayer ; le système de fichiers décide toujours dans chaque expérience de {0}",
            base
        ),
        (Kind::SmbShare, Some("enable")) if observed == Some("false") => said!(
            "SMB is shut for every experiment of {0}",
            "SMB est fermé pour toutes les expériences de {0}",
            base
        ),
        (Kind::SmbShare, Some("readonly")) if observed == Some("true") => said!(
            "nobody writes over SMB in any experiment of {0}",
            "personne n'écrit par SMB dans les expériences de {0}",
            base
        ),
        (Kind::SmbShare, Some("extraoptions")) => said!(
            "people may see the names of experiments of {0} that are not theirs, or make files in theirs that other members \
             cannot use; the file system still refuses strangers",
            "on peut voir les noms d'expériences de {0} dont on n'est pas membre, ou créer dans les siennes des fichiers que les autres \
             membres ne peuvent pas utiliser ; le système de fichiers refuse toujours les autres",
            base
        ),
        (Kind::Directory, _) => said!(
            "over SMB people do not see the folder that holds the experiments of {0}, or others see its name",
            "par SMB on ne voit pas le dossier qui contient les expériences de {0}, ou d'autres en voient le nom",
            base
        ),
        _ => drift.effect.clone().and(&said!(
            " (in every experiment of {0})",
            " (dans toutes les expériences de {0})",
            base
        )),
    }
}

/// What was done about a common share.
#[derive(Debug, Default)]
pub struct Settled {
    /// What was carried out.
    pub steps: Vec<Step>,
    /// What was changed by hand and left as it is.
    pub drift: Vec<Drift>,
    /// What that interrupted.
    pub interruption: Interruption,
}

/// Makes the common share of a base be as it should; where the base is not shared as a whole, takes away what we made of
/// it. The lock of the NAS is held. `begin` is called before the first change.
pub fn settle(
    site: &Site,
    base: &OpenBase,
    observation: &Observation,
    mend: bool,
    begin: &dyn Fn() -> Result<()>,
) -> Result<Settled> {
    let mut settled = Settled::default();
    let (memory, mut applied) = memory(site, base)?;
    let look = look_at(site, base, &memory, observation, mend)?;
    if let Some(conflict) = look.plan.conflicts.first() {
        return Err(foreign(conflict));
    }
    settled.drift = look.plan.drift;
    let is_due = applied.intents.contains_key(&activation());
    if look.plan.steps.is_empty() && !is_due {
        return Ok(settled);
    }
    begin()?;
    own(site, &mut applied)?;
    let mut kinds: BTreeSet<Kind> = look
        .plan
        .steps
        .iter()
        .map(|step| step.object.kind)
        .collect();
    kinds.retain(|kind| KINDS.contains(kind));
    if is_due || kinds.contains(&Kind::Privileges) {
        kinds.extend(KINDS);
    }
    settled.interruption = site.nas.interruption(&kinds);
    for effect in &settled.interruption.effects {
        site.progress.note(effect);
    }
    if !kinds.is_empty() {
        applied.intend(&activation(), &Attributes::new())?;
    }
    for step in look.plan.steps {
        site.progress.note(&super::converge::describe(&step));
        carry_out(site, base, &mut applied, observation, &look.observed, &step)?;
        fault::point("sharing.step")?;
        settled.steps.push(step);
    }
    if !kinds.is_empty() {
        site.nas.activate(&kinds, &*site.progress)?;
        fault::point("sharing.activated")?;
        applied.forget(&activation())?;
    }
    Ok(settled)
}

fn foreign(conflict: &Conflict) -> Error {
    Error::new("object.foreign", conflict.reason.en.clone()).hint(
        "rename or remove it, or choose another name for the common share; OctoNAS never takes over what it did not make",
    )
}

fn activation() -> ObjectId {
    ObjectId::new(Kind::Activation, "services")
}

/// From here on the memory is ours: what another NAS remembered goes.
fn own(site: &Site, applied: &mut Applied) -> Result<()> {
    let server = apply::server(site);
    if applied.objects.contains_key(&server) {
        return Ok(());
    }
    let foreign: Vec<ObjectId> = applied
        .objects
        .keys()
        .chain(applied.intents.keys())
        .cloned()
        .collect();
    foreign.iter().try_for_each(|id| applied.forget(id))?;
    applied.done(&server, &Found::default())
}

fn carry_out(
    site: &Site,
    base: &OpenBase,
    applied: &mut Applied,
    observation: &Observation,
    observed: &BTreeMap<ObjectId, Found>,
    step: &Step,
) -> Result<()> {
    let id = &step.object;
    let found = observed.get(id);
    let reference = match step.action {
        Action::Forget => return applied.forget(id),
        Action::Delete => {
            if id.kind == Kind::Directory {
                base.dir.set_acl(Which::Access, None)?;
                base.dir.set_mode(0o711)?;
                base.dir.sync()?;
            } else {
                site.nas.delete(id, &found.cloned().unwrap_or_default())?;
            }
            return applied.forget(id);
        }
        Action::Record => found.and_then(|found| found.reference.clone()),
        Action::Create | Action::Update => {
            if step.action == Action::Create || !applied.objects.contains_key(id) {
                applied.intend(id, &step.attributes)?;
            }
            fault::point("sharing.intended")?;
            if id.kind == Kind::Directory {
                frame::dress(&base.dir, &step.attributes, observation)?;
                None
            } else {
                site.nas.put(id, &step.attributes, found)?
            }
        }
    };
    applied.done(
        id,
        &Found {
            reference,
            attributes: step.record.clone(),
        },
    )
}

/// Fails where a definition asks for a door that an experiment in a common share cannot have: FTP, NFS and the rsync daemon
/// know shared folders, and it has none; and SMB cannot be shut for one folder of a share alone.
pub fn refuse_doors(definition: &Definition, common_share: Option<&str>) -> Result<()> {
    let Some(share) = common_share else {
        return Ok(());
    };
    let Some(door) = unfit_door(definition) else {
        return Ok(());
    };
    let why = if door == "smb" {
        "SMB cannot be shut for one of them"
    } else {
        "that door needs a shared folder of its own"
    };
    Err(Error::new(
        "door.common-share",
        format!(
            "{} cannot have protocols.{door} like this: its base shares all experiments as {share}, and {why}",
            definition.code
        ),
    )
    .hint("SMB, SFTP and rsync over SSH are there; for other doors choose a base whose experiments have shares of their own")
    .field(format!("protocols.{door}")))
}

/// The first door that cannot be kept in a common share.
pub fn unfit_door(definition: &Definition) -> Option<&'static str> {
    let protocols = &definition.protocols;
    [
        ("ftp", protocols.ftp),
        ("nfs", !protocols.nfs.is_empty()),
        ("rsyncd", protocols.rsyncd),
        ("smb", !protocols.smb),
    ]
    .into_iter()
    .find_map(|(name, unfit)| unfit.then_some(name))
}

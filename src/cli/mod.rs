//! The command line: one file per group of commands; arguments and printing, no logic.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::error::{Exit, Result};
use crate::provision::site::Site;
use crate::settings as configuration;

pub mod alone;
pub mod archive;
pub mod base;
pub mod catalogue;
pub mod crypt;
pub mod deferred;
pub mod dmp;
pub mod doctor;
pub mod document;
pub mod evidence;
pub mod experiment;
pub mod generate;
pub mod ingest;
pub mod layout;
pub mod notice;
pub mod package;
pub mod probe;
pub mod rights;
pub mod settings;
pub mod source;
pub mod synckit;
pub mod tonight;
pub mod verify;

use deferred::Deferred;

/// Experiments on a NAS: storage, the right people and nobody else, a tree that everyone recognises.
#[derive(Debug, Parser)]
#[command(
    name = "octonas",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// The NAS: `omv`, or `local:DIR` for an embedded one.
    #[arg(long, global = true, env = "OCTONAS_NAS", value_name = "NAS")]
    pub nas: Option<String>,

    /// Print the answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,

    /// Say nothing while working.
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// Another configuration file than /etc/octonas/octonas.yaml.
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub config: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The configuration file that counts.
    pub fn settings_file(&self, cwd: &Path) -> PathBuf {
        self.config
            .as_ref()
            .map_or(PathBuf::from(configuration::FILE), |file| {
                configuration::absolute(file, cwd)
            })
    }
}

/// The groups of commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, look at, change, close and remove experiments.
    #[command(subcommand, visible_alias = "exp")]
    Experiment(Deferred<experiment::Command>),
    /// What is set for tonight, when nobody works.
    #[command(subcommand)]
    Tonight(Deferred<tonight::Command>),
    /// What administrators are told: by mail, where the NAS has one.
    #[command(subcommand)]
    Notice(Deferred<notice::Command>),
    /// The folders that hold experiments.
    #[command(subcommand)]
    Base(Deferred<base::Command>),
    /// What the unit says for all its experiments: its name, what a new one begins with, who is told.
    #[command(subcommand)]
    Settings(Deferred<settings::Command>),
    /// Named templates of directory trees.
    #[command(subcommand)]
    Layout(Deferred<layout::Command>),
    /// Data management plans (PGD).
    #[command(subcommand)]
    Dmp(Deferred<dmp::Command>),
    /// README, access guide, data dictionary, citation and licence of an experiment.
    #[command(subcommand)]
    Document(Deferred<document::Command>),
    /// The machines that deliver data, and the keys with which they come in.
    #[command(subcommand)]
    Source(Deferred<source::Command>),
    /// Take in what sources delivered: what is stable and right goes to its place and gets a receipt.
    Ingest(Deferred<ingest::Arguments>),
    /// What lies in the landings of an experiment, and why it waits.
    Landing {
        /// The experiment's code.
        code: String,
    },
    /// Programs that bring the data of acquisition machines here.
    #[command(subcommand)]
    Synckit(Deferred<synckit::Command>),
    /// Experiments as packages that need none of our software.
    #[command(subcommand)]
    Package(Deferred<package::Command>),
    /// Put an experiment away: packed, verified, in one or more places, with a receipt.
    Archive(Deferred<archive::Arguments>),
    /// Encrypt a file (age).
    Encrypt(Deferred<crypt::Encrypt>),
    /// Decrypt a file (age).
    Decrypt(Deferred<crypt::Decrypt>),
    /// Who can do what, through which door, and why.
    Rights(Deferred<rights::Arguments>),
    /// What is inside a file, or inside all files of an experiment.
    Probe(Deferred<probe::Arguments>),
    /// The inventory of an experiment's files: checksums, what is inside, what happened to them.
    #[command(subcommand)]
    Catalogue(Deferred<catalogue::Command>),
    /// Read files again from the disk, and compare them with what they were when they came in.
    Verify(Deferred<verify::Arguments>),
    /// Make files unchangeable for members.
    Seal(Deferred<verify::SealArguments>),
    /// Let members change sealed files again.
    Unseal(Deferred<verify::SealArguments>),
    /// Say of a silent change that the file is right as it is now.
    Accept(Deferred<verify::AcceptArguments>),
    /// The checksums, checks and seals that outlast the index: checked, copied out, read back.
    #[command(subcommand)]
    Evidence(Deferred<evidence::Command>),
    /// Whether everything that OctoNAS needs is in order.
    Doctor,
    /// One call of the web UI: JSON on standard input, JSON on standard output.
    Rpc(Deferred<RpcArguments>),
    /// The chroots of people who come in through sshd (run by systemd and by deployments).
    #[command(subcommand, hide = true)]
    Jails(Deferred<JailsCommand>),
    /// Shell completions, on standard output.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Manual pages and completions for packages.
    #[command(subcommand, hide = true)]
    Generate(Deferred<generate::Command>),
}

/// Arguments of `octonas rpc`.
#[derive(Debug, clap::Args)]
pub struct RpcArguments {
    /// The method; `methods` lists them.
    pub method: String,
    /// Print progress as JSON lines before the answer.
    #[arg(long)]
    pub progress: bool,
}

/// What can be done with jails.
#[derive(Debug, Subcommand)]
pub enum JailsCommand {
    /// Make the chroots match /etc/octonas/jails.json.
    Sync {
        /// Where they are.
        #[arg(long, default_value = "/run/octonas/jail")]
        root: PathBuf,
        /// What they should be.
        #[arg(long, default_value = "/etc/octonas/jails.json")]
        file: PathBuf,
    },
}

/// What a command needs: where it works, and how it prints.
pub struct Desk<'a> {
    /// Where it works.
    pub site: &'a Site,
    /// Print JSON.
    pub json: bool,
    /// The directory from which the person called.
    pub cwd: &'a std::path::Path,
}

/// Runs a command that works on a NAS.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Experiment(Deferred(command)) => experiment::run(desk, command),
        Command::Notice(Deferred(command)) => notice::run(desk, command),
        Command::Tonight(Deferred(command)) => tonight::run(desk, command),
        Command::Base(Deferred(command)) => base::run(desk, command),
        Command::Settings(Deferred(command)) => settings::run(desk, command),
        Command::Layout(Deferred(command)) => layout::run(desk, command),
        Command::Dmp(Deferred(command)) => dmp::run(desk, command),
        Command::Document(Deferred(command)) => document::run(desk, command),
        Command::Source(Deferred(command)) => source::run(desk, command),
        Command::Ingest(Deferred(arguments)) => ingest::run(desk, arguments),
        Command::Landing { code } => ingest::landing(desk, code),
        Command::Synckit(Deferred(command)) => synckit::run(desk, command),
        Command::Archive(Deferred(arguments)) => archive::run(desk, arguments),
        Command::Package(Deferred(command)) => package::run(desk, command),
        Command::Rights(Deferred(arguments)) => rights::run(desk, arguments),
        Command::Probe(Deferred(arguments)) => probe::run(desk, arguments),
        Command::Catalogue(Deferred(command)) => catalogue::run(desk, command),
        Command::Verify(Deferred(arguments)) => verify::run(desk, arguments),
        Command::Seal(Deferred(arguments)) => verify::seal(desk, arguments, true),
        Command::Unseal(Deferred(arguments)) => verify::seal(desk, arguments, false),
        Command::Accept(Deferred(arguments)) => verify::accept(desk, arguments),
        Command::Evidence(Deferred(command)) => evidence::run(desk, command),
        Command::Doctor => doctor::run(desk),
        Command::Rpc(_)
        | Command::Jails(_)
        | Command::Completions { .. }
        | Command::Encrypt(_)
        | Command::Decrypt(_)
        | Command::Generate(_) => Ok(Exit::Done),
    }
}

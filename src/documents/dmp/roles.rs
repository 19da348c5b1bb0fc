//! The roles of a definition in the words of others.

use crate::experiment::Role;

/// What DataCite calls it (`contributorType`, version 4.5): what maDMP 1.2 recommends for `contributor.role`.
pub fn datacite(role: Role) -> &'static str {
    match role {
        Role::PrincipalInvestigator | Role::ProjectLeader => "ProjectLeader",
        Role::DataManager => "DataManager",
        Role::DataCollector => "DataCollector",
        Role::DataCurator => "DataCurator",
        Role::Researcher => "Researcher",
        Role::Technician => "ProjectMember",
        Role::Contact => "ContactPerson",
    }
}

/// What DMP OPIDoR calls it (its registry `Role`, French labels).
pub fn opidor(role: Role) -> &'static str {
    match role {
        Role::PrincipalInvestigator => "Coordinateur du projet",
        Role::ProjectLeader => "Chef de projet",
        Role::DataManager => "Gestionnaire de données",
        Role::DataCollector => "Collecteur de données",
        Role::DataCurator => "Curateur de données",
        Role::Researcher => "Chercheur",
        Role::Technician => "Membre du projet",
        Role::Contact => "Personne contact",
    }
}

/// The DataCite roles of somebody, each once; somebody without a role is a member.
pub fn datacite_all(roles: &[String]) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    for role in roles.iter().filter_map(|role| Role::parse(role).ok()) {
        let name = datacite(role);
        if !found.contains(&name) {
            found.push(name);
        }
    }
    if found.is_empty() {
        found.push("ProjectMember");
    }
    found
}

//! What policies of a home stand on beside their own files: the people, the default requirement, and
//! who shares the machine with whom. For whoever looks at policies that are not in force.

use std::collections::BTreeSet;

use countersign_policy::load::{self, LoadError, People, Policies, Sources};
use countersign_shared::home::{Layout, Mode};
use countersign_shared::limits::Limits;
use countersign_shared::requirement::{Member, Requirement};

use super::{Lack, RulesError, check_presence, limits, members, requirement};
use crate::config::{self, Config, PolicySources};
use crate::identity::Accounts;

/// What policies are loaded against.
#[derive(Debug)]
pub struct Ground {
    mode: Mode,
    members: Vec<Member>,
    touching: BTreeSet<String>,
    default: Requirement,
    /// Who may ask, where it is known.
    requesters: Option<BTreeSet<u32>>,
}

impl Ground {
    /// Reads what the policies of a home are loaded against, as a start would.
    ///
    /// # Errors
    ///
    /// When a file is wrong, a person has no OS account, or nobody could ever approve.
    pub fn of(layout: &Layout, config: &Config) -> Result<Self, RulesError> {
        let mut roster = config::load_roster(layout)?;
        let uid_of = |user: &str| Ok(Accounts.by_name(user)?.map(|account| account.uid));
        let members = members(&mut roster, uid_of, Lack::Refused)?;
        let limits: Limits = limits(config)?;
        let default = requirement(config, &limits, &members, Lack::Refused)?;
        check_presence(&default, &roster, &members, Lack::Refused)?;
        Ok(Self {
            mode: config.mode,
            members,
            touching: roster.with_security_keys(),
            default,
            // In user mode all who ask are the one user there is.
            requesters: (config.mode == Mode::User).then(|| BTreeSet::from([crate::home::us()])),
        })
    }

    /// Puts policies on it, ready to be loaded or checked. People they lack are a mistake in them.
    pub fn under<'a>(&'a self, sources: &'a PolicySources) -> Sources<'a> {
        Sources {
            files: &sources.files,
            catalogue: sources.catalogue.clone(),
            kinds: sources.kinds.clone(),
            default: self.default.clone(),
            people: People {
                mode: self.mode,
                members: &self.members,
                touching: &self.touching,
                requesters: self.requesters.as_ref(),
            },
            lack: load::Lack::Refuse,
        }
    }

    /// Loads policies on it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn load(&self, sources: &PolicySources) -> Result<Policies, Vec<LoadError>> {
        Policies::load(self.under(sources))
    }
}

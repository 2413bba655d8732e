//! Which data an action touched: the body of `data.accessed`, written once the action ran.
//!
//! It repeats what the request's document says, so that uses of data are counted from the log
//! alone, and from what ran, not from what was asked for. Of the daemon's own is only the
//! classification, where the operator's catalogue lists the data. A list that is too long for one
//! entry goes on in the next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::action::DataUse;
use crate::document::Document;
use crate::json;

#[cfg(test)]
mod tests;

/// How many bytes of an entry the list may take: the rest is for its other fields.
const ROOM: usize = 40 * 1024;

/// How many bytes what the agent calls itself may take; a longer name is left out.
const NAME_ROOM: usize = 8 * 1024;

/// Whose word the classifications are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The agent's.
    Stated,
    /// The catalogue's, as it was in force when the run ended.
    Computed,
}

/// Data that an action touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataAccessed {
    /// What the agent calls itself, if it said so.
    pub agent: Option<String>,
    /// Whose word the classifications are; all else is the agent's in any case.
    pub basis: Basis,
    /// The data, as the document lists it.
    pub data: Vec<DataUse>,
}

impl DataAccessed {
    /// Returns the bodies of the entries about an action that ran: what the catalogue classifies
    /// first, then the rest. None when the document lists no data.
    ///
    /// `classified` says what the catalogue has for the name of data.
    pub fn of(document: &Document, classified: impl Fn(&str) -> Option<String>) -> Vec<Self> {
        let (mut computed, mut stated) = (Vec::new(), Vec::new());
        for mut data in listed(document) {
            match classified(&data.name) {
                Some(classification) => {
                    data.classification = Some(classification);
                    computed.push(data);
                }
                None => stated.push(data),
            }
        }
        let agent = agent(document);
        let mut bodies = Vec::new();
        for (basis, list) in [(Basis::Computed, computed), (Basis::Stated, stated)] {
            let mut room = 0;
            for data in list {
                let size = size(&data);
                if room < size {
                    room = ROOM;
                    bodies.push(Self {
                        agent: agent.clone(),
                        basis,
                        data: Vec::new(),
                    });
                }
                room = room.saturating_sub(size);
                if let Some(body) = bodies.last_mut() {
                    body.data.push(data);
                }
            }
        }
        bodies
    }

    /// Tells whether these bodies together say what the document lists, each use once. What the
    /// catalogue said of it stands in no document.
    pub fn are_those_of(document: &Document, told: &[Self]) -> bool {
        let agent = agent(document);
        if !told.iter().all(|body| body.agent == agent) {
            return false;
        }
        let mut left: BTreeMap<DataUse, Vec<Option<String>>> = BTreeMap::new();
        for mut data in listed(document) {
            let classification = data.classification.take();
            left.entry(data).or_default().push(classification);
        }
        let of = |basis| {
            let bodies = told.iter().filter(move |body| body.basis == basis);
            bodies.flat_map(|body| body.data.iter().cloned())
        };
        // What was stated has one match only; what was computed takes any of the rest.
        let mut take = |basis, mut data: DataUse| {
            let classification = data.classification.take();
            let Some(same) = left.get_mut(&data) else {
                return false;
            };
            let place = same
                .iter()
                .position(|listed| basis == Basis::Computed || *listed == classification);
            place.map(|at| same.swap_remove(at)).is_some()
        };
        of(Basis::Stated).all(|data| take(Basis::Stated, data))
            && of(Basis::Computed).all(|data| take(Basis::Computed, data))
            && left.values().all(Vec::is_empty)
    }
}

/// Returns the data of a document's action.
fn listed(document: &Document) -> Vec<DataUse> {
    let list = document.action().get("data").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        // INVARIANT: the schema of actions has exactly these fields.
        .filter_map(|item| serde_json::from_value(item.clone()).ok())
        .collect()
}

fn agent(document: &Document) -> Option<String> {
    document
        .claim("agent")
        .filter(|name| json::canonical(name).is_ok_and(|bytes| bytes.len() <= NAME_ROOM))
        .map(str::to_owned)
}

/// Returns how many bytes of an entry an element takes, with its comma.
fn size(data: &DataUse) -> usize {
    json::canonical(data).map_or(ROOM, |bytes| bytes.len().saturating_add(1))
}

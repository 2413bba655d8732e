//! What Cedar is told of principals and targets.
//!
//! Everything that does not depend on the request is built once: the actions with their groups,
//! and each target of the catalogue with all that stands above it. A request takes its own action,
//! its target and its principal, and what conditions name: Cedar walks through whatever it is
//! given, so it is given no more than it can be asked about.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::str::FromStr as _;

use cedar_policy::{
    Entities as Known, Entity, EntityId, EntityTypeName, EntityUid, PolicySet,
    RestrictedExpression, Schema,
};
use serde_json::{Map, Value};

use crate::catalogue::{Catalogue, Key, Target, UNKNOWN};
use crate::facts::Facts;
use crate::kinds::{Kinds, UNDECLARED};

/// The entities of one set of policies.
#[derive(Debug)]
pub(crate) struct Entities {
    /// Each action, with what conditions name.
    actions: BTreeMap<String, Known>,
    /// Each listed target with those above it.
    listed: BTreeMap<Key, Vec<Entity>>,
    agent: EntityTypeName,
    person: EntityTypeName,
    group: EntityTypeName,
    target: EntityTypeName,
    action: EntityTypeName,
}

/// Who, what, and on what, with everything Cedar is to know about them.
pub(crate) struct Cast {
    pub(crate) principal: EntityUid,
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Known,
}

impl Entities {
    /// Builds what does not depend on a request.
    pub(crate) fn build(
        schema: &Schema,
        set: &PolicySet,
        catalogue: &Catalogue,
    ) -> Result<Self, String> {
        let named = |name: &str| EntityTypeName::from_str(name).map_err(|it| it.to_string());
        let mut this = Self {
            actions: BTreeMap::new(),
            listed: BTreeMap::new(),
            agent: named("Agent")?,
            person: named("Person")?,
            group: named("Group")?,
            target: named("Target")?,
            action: named("Action")?,
        };
        let mut all = BTreeMap::new();
        for target in catalogue.iter() {
            all.insert(target.key.clone(), this.entity(target)?);
        }
        let chain = |key: &Key| {
            let mut entities = Vec::new();
            let mut next = Some(key.clone());
            while let Some(key) = next.take() {
                entities.extend(all.get(&key).cloned());
                let target = catalogue.find(&key.kind, &key.name);
                next = target.and_then(|target| target.parent.clone());
            }
            entities
        };
        let known = schema.action_entities().map_err(|it| it.to_string())?;
        let mut named_by_conditions: Vec<Entity> = Vec::new();
        let literals = literals(set)?;
        for key in all
            .keys()
            .filter(|key| literals.contains(&this.target(key)))
        {
            named_by_conditions.extend(chain(key));
        }
        if literals.iter().any(|uid| *uid.type_name() == this.action) {
            named_by_conditions.extend(known.iter().cloned());
        }
        for action in known.iter() {
            let mut entities = named_by_conditions.clone();
            entities.push(action.clone());
            let entities = Known::empty().upsert_entities(entities, Some(schema));
            let name = action.uid().id().unescaped().to_owned();
            this.actions
                .insert(name, entities.map_err(|error| error.to_string())?);
        }
        this.listed = all.keys().map(|key| (key.clone(), chain(key))).collect();
        // Whatever of the catalogue does not fit the schema is found here and not at a request.
        Known::empty()
            .upsert_entities(all.into_values(), Some(schema))
            .map_err(|error| error.to_string())?;
        Ok(this)
    }

    /// Returns the entities one request is judged with.
    pub(crate) fn cast(
        &self,
        schema: &Schema,
        facts: &Facts,
        kinds: &Kinds,
        key: &Key,
    ) -> Result<Cast, String> {
        let principal = self.principal(facts.principal())?;
        let uid = principal.uid();
        let mut more = match self.listed.get(key) {
            Some(chain) => chain.clone(),
            None => vec![self.entity(&unlisted(key))?],
        };
        more.push(principal);
        let kind = facts.kind();
        let action = if kinds.has(kind) { kind } else { UNDECLARED };
        Ok(Cast {
            principal: uid,
            action: EntityUid::from_type_name_and_id(self.action.clone(), EntityId::new(action)),
            resource: self.target(key),
            entities: self
                .actions
                .get(action)
                .cloned()
                .ok_or_else(|| format!("the schema has no action `{}`", action.escape_debug()))?
                .upsert_entities(more, Some(schema))
                .map_err(|error| error.to_string())?,
        })
    }

    fn target(&self, key: &Key) -> EntityUid {
        EntityUid::from_type_name_and_id(self.target.clone(), EntityId::new(key.path()))
    }

    fn entity(&self, target: &Target) -> Result<Entity, String> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let attributes = HashMap::from([
            ("kind".to_owned(), text(&target.key.kind)),
            ("name".to_owned(), text(&target.key.name)),
            ("environment".to_owned(), text(&target.environment)),
            ("classification".to_owned(), text(&target.classification)),
            (
                "labels".to_owned(),
                RestrictedExpression::new_set(target.labels.iter().map(|label| text(label))),
            ),
        ]);
        let parents = target.parent.iter().map(|parent| self.target(parent));
        Entity::new(self.target(&target.key), attributes, parents.collect())
            .map_err(|error| error.to_string())
    }

    fn principal(&self, attributes: &Map<String, Value>) -> Result<Entity, String> {
        let word = |name: &str| {
            attributes
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (kind, name) = match word("type") {
            "Agent" => (&self.agent, agent_name(attributes)),
            "Person" => (&self.person, word("name").to_owned()),
            other => {
                return Err(format!(
                    "`{}` is no type of principal",
                    other.escape_debug()
                ));
            }
        };
        let groups = attributes.get("groups").and_then(Value::as_array);
        let groups = groups.into_iter().flatten().filter_map(Value::as_str);
        let parents = groups
            .map(|group| EntityUid::from_type_name_and_id(self.group.clone(), EntityId::new(group)))
            .collect();
        let mut pairs = HashMap::new();
        for (name, value) in attributes.iter().filter(|(name, _)| *name != "type") {
            pairs.insert(name.clone(), expression(value)?);
        }
        let uid = EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name));
        Entity::new(uid, pairs, parents).map_err(|error| error.to_string())
    }
}

/// Returns the entities that conditions name. What a scope names is only compared with.
fn literals(set: &PolicySet) -> Result<HashSet<EntityUid>, String> {
    let mut found = HashSet::new();
    for policy in set.policies() {
        let json = policy.to_json().map_err(|error| error.to_string())?;
        let mut values: Vec<&Value> = json.get("conditions").into_iter().collect();
        while let Some(value) = values.pop() {
            if let Some(entity) = value.get("__entity") {
                let uid =
                    EntityUid::from_json(entity.clone()).map_err(|error| error.to_string())?;
                found.insert(uid);
            }
            match value {
                Value::Array(items) => values.extend(items),
                Value::Object(members) => values.extend(members.values()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
    Ok(found)
}

/// Returns how policies name an agent: its user, and the place its user cannot choose.
pub(crate) fn agent_name(attributes: &Map<String, Value>) -> String {
    let word = |name: &str| {
        attributes
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let uid = attributes
        .get("uid")
        .and_then(Value::as_u64)
        .unwrap_or(u64::MAX);
    let place = [word("container"), word("unit")]
        .into_iter()
        .find(|place| !place.is_empty());
    match place {
        Some(place) => format!("uid:{uid} in {place}"),
        None => format!("uid:{uid}"),
    }
}

/// Returns a target that nobody listed.
pub(crate) fn unlisted(key: &Key) -> Target {
    Target {
        key: key.clone(),
        environment: UNKNOWN.to_owned(),
        labels: BTreeSet::new(),
        classification: UNKNOWN.to_owned(),
        parent: None,
    }
}

/// Writes a value of the facts for Cedar. Null and numbers that are no integers have no place.
pub(crate) fn expression(value: &Value) -> Result<RestrictedExpression, String> {
    match value {
        Value::Bool(flag) => Ok(RestrictedExpression::new_bool(*flag)),
        Value::Number(number) => number
            .as_i64()
            .map(RestrictedExpression::new_long)
            .ok_or_else(|| format!("the number {number} is no integer")),
        Value::String(text) => Ok(RestrictedExpression::new_string(text.clone())),
        Value::Array(items) => Ok(RestrictedExpression::new_set(
            items
                .iter()
                .map(expression)
                .collect::<Result<Vec<_>, _>>()?,
        )),
        Value::Object(members) => {
            let fields = members
                .iter()
                .map(|(name, value)| Ok((name.clone(), expression(value)?)))
                .collect::<Result<Vec<_>, String>>()?;
            RestrictedExpression::new_record(fields).map_err(|error| error.to_string())
        }
        Value::Null => Err("a fact is null".to_owned()),
    }
}

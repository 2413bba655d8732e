//! Policies of files, whole or not at all: parsed, checked, and held ready to judge with.

mod error;
mod lack;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    Authorizer, Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use countersign_shared::digest::Digest;
use countersign_shared::home::Mode;
use countersign_shared::json;
use countersign_shared::requirement::{Assurance, Member, Requirement};
use miette::Diagnostic;
use serde_json::{Value, json};

use crate::annotations::{self, Ask, Terms};
use crate::catalogue::Catalogue;
use crate::entities::Entities;
use crate::kinds::Kinds;
use crate::mentions::Mentions;
use crate::place::Place;
use crate::text::{Piece, pieces};

pub use error::{LoadError, Problem};

/// The schema's text: what policies can speak about.
pub const SCHEMA: &str = include_str!("../schema/countersign-1.cedarschema");

/// How long the text of a policy file may be, in bytes.
const LONGEST: usize = 4 << 20;

/// One file of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name, as errors give it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Who could decide, and about whose requests.
#[derive(Debug, Clone)]
pub struct People<'a> {
    /// Who shares the machine with whom.
    pub mode: Mode,
    /// The roster, with resolved accounts.
    pub members: &'a [Member],
    /// The names of those who have a security key; nobody else can prove a touch or a PIN.
    pub touching: &'a BTreeSet<String>,
    /// The OS users that may ask, if they are known. In user mode, the one user there is.
    pub requesters: Option<&'a BTreeSet<u32>>,
}

impl People<'_> {
    /// Tells whether a person has a key with which this assurance can be reached.
    pub(crate) fn can_reach(&self, assurance: Assurance, member: &Member) -> bool {
        !member.keys.is_empty()
            && (assurance < Assurance::Touch || self.touching.contains(&member.name))
    }
}

/// What becomes of policies that lack somebody who could serve under them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// They do not load: somebody sits in front of the machine and can mend it.
    Refuse,
    /// They load, and [`Policies::lacks`] tells. Removing a person takes force at once and is never
    /// refused; what can then not be satisfied expires.
    Report,
}

/// What policies are made of.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// The files.
    pub files: &'a [PolicyFile],
    /// What the operator says of targets.
    pub catalogue: Catalogue,
    /// What kinds there are.
    pub kinds: Kinds,
    /// What a request needs that no policy speaks about, and the floor of what does.
    pub default: Requirement,
    /// Who could decide.
    pub people: People<'a>,
    /// What becomes of a lack of people.
    pub lack: Lack,
}

/// One policy, as far as it is not Cedar's.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) place: Place,
    /// What a permit says; a forbid says nothing.
    pub(crate) terms: Option<Terms>,
    pub(crate) because: Option<String>,
    pub(crate) mentions: Mentions,
}

/// Policies, catalogue and kinds, loaded and checked.
#[derive(Debug)]
pub struct Policies {
    pub(crate) schema: Schema,
    pub(crate) set: PolicySet,
    /// A permit for the scope of each forbid, without its condition, by the same id.
    pub(crate) forbidden: PolicySet,
    pub(crate) authorizer: Authorizer,
    pub(crate) entities: Entities,
    pub(crate) catalogue: Catalogue,
    pub(crate) kinds: Kinds,
    pub(crate) default: Requirement,
    /// By the id Cedar knows, which is the policy's own.
    pub(crate) rules: BTreeMap<String, Rule>,
    lacks: Vec<LoadError>,
    digest: Digest,
}

impl Policies {
    /// Loads policies.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the files.
    pub fn load(sources: Sources<'_>) -> Result<Self, Vec<LoadError>> {
        let mut loading = Loading::default();
        for file in sources.files {
            loading.file(file);
        }
        let schema = loading.schema(&sources.kinds);
        let set = loading.set();
        if let (Some(schema), Some(set)) = (&schema, &set) {
            loading.validate(schema, set);
        }
        let lacks = loading.lacks(&sources);
        if sources.lack == Lack::Refuse {
            loading.errors.extend(lacks.iter().cloned());
        }
        let entities = schema.as_ref().zip(set.as_ref()).and_then(|(schema, set)| {
            Entities::build(schema, set, &sources.catalogue)
                .map_err(|message| loading.whole(Problem::Entities { message }))
                .ok()
        });
        let digest = digest(&sources)
            .map_err(|error| {
                loading.whole(Problem::Digest {
                    message: error.to_string(),
                });
            })
            .ok();
        let mut errors = loading.errors;
        match (schema, set, entities, digest) {
            (Some(schema), Some(set), Some(entities), Some(digest)) if errors.is_empty() => {
                Ok(Self {
                    schema,
                    set,
                    forbidden: loading.forbidden,
                    authorizer: Authorizer::new(),
                    entities,
                    catalogue: sources.catalogue,
                    kinds: sources.kinds,
                    default: sources.default,
                    rules: loading.rules,
                    lacks,
                    digest,
                })
            }
            _ => {
                errors.sort();
                errors.dedup();
                Err(errors)
            }
        }
    }

    /// Returns what people lack who could serve, where policies load nevertheless.
    pub fn lacks(&self) -> &[LoadError] {
        &self.lacks
    }

    /// Returns the digest over everything the policies were made of but the people.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the kinds there are.
    pub const fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Returns what the operator says of targets.
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Returns what a request needs that no policy speaks about.
    pub const fn default_requirement(&self) -> &Requirement {
        &self.default
    }

    /// Returns how many policies there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Tells whether there is no policy: then everything is held under the default requirement.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// Returns the canonical bytes of everything policies are made of, but the people: what goes into
/// the digest of the rules.
///
/// # Errors
///
/// When a text cannot be written as JSON.
pub fn canonical(
    files: &[PolicyFile],
    catalogue: &Catalogue,
    kinds: &Kinds,
    default: &Requirement,
) -> Result<Vec<u8>, json::JsonError> {
    let mut files: Vec<Value> = files
        .iter()
        .map(|file| json!({ "name": file.name, "text": file.text }))
        .collect();
    files.sort_by_key(|file| file.get("name").and_then(Value::as_str).map(str::to_owned));
    json::canonical(&json!({
        "v": 1,
        "schema": SCHEMA,
        "policies": files,
        "targets": catalogue.iter().collect::<Vec<_>>(),
        "kinds": kinds.declared().collect::<Vec<_>>(),
        "default_requirement": default,
    }))
}

fn digest(sources: &Sources<'_>) -> Result<Digest, json::JsonError> {
    let bytes = canonical(
        sources.files,
        &sources.catalogue,
        &sources.kinds,
        &sources.default,
    )?;
    Ok(Digest::of(&bytes))
}

/// Returns a permit with the scope of a policy; for everything, where Cedar cannot write that scope.
fn scope_of(policy: &Policy, id: &str) -> Result<Policy, Problem> {
    let id = PolicyId::new(id);
    let scope = policy.to_json().ok().and_then(|mut form| {
        let members = form.as_object_mut()?;
        members.insert("effect".to_owned(), json!("permit"));
        members.insert("conditions".to_owned(), json!([]));
        Policy::from_json(Some(id.clone()), form).ok()
    });
    match scope {
        Some(scope) => Ok(scope),
        None => Policy::parse(Some(id), "permit (principal, action, resource);")
            .map_err(|error| Problem::syntax(&error, false)),
    }
}

/// Policies while they are read.
#[derive(Default)]
struct Loading {
    errors: Vec<LoadError>,
    rules: BTreeMap<String, Rule>,
    policies: Vec<Policy>,
    /// A permit for the scope of each forbid.
    forbidden: PolicySet,
    /// The places of the policies, by id, for what is found later.
    sources: BTreeMap<String, (String, String, usize)>,
}

impl Loading {
    fn whole(&mut self, problem: Problem) {
        self.errors.push(LoadError {
            place: None,
            policy: None,
            problem,
        });
    }

    fn file(&mut self, file: &PolicyFile) {
        let mut seen = BTreeSet::new();
        if file.text.len() > LONGEST {
            let found = file.text.len();
            self.errors.push(LoadError {
                place: Some(Place::of(&file.name, "", 0)),
                policy: None,
                problem: Problem::TooLong {
                    limit: LONGEST,
                    found,
                },
            });
            return;
        }
        for piece in pieces(&file.text) {
            self.piece(file, &piece, &mut seen);
        }
    }

    fn piece(&mut self, file: &PolicyFile, piece: &Piece<'_>, seen: &mut BTreeSet<usize>) {
        let place = |offset: usize| Place::of(&file.name, &file.text, offset);
        let policy = match Policy::parse(None, piece.text) {
            Ok(policy) => policy,
            Err(error) => {
                let offset = label(&error).unwrap_or(0);
                let at = piece.start.saturating_add(offset);
                // A mistake at the end of one policy is found at every later piece's beginning.
                if seen.insert(at) {
                    self.errors.push(LoadError {
                        place: Some(place(at)),
                        policy: None,
                        problem: Problem::syntax(&error, begins_another(piece.text, offset)),
                    });
                }
                return;
            }
        };
        let written: BTreeMap<&str, &str> = policy.annotations().collect();
        let id = written.get("id").copied().unwrap_or_default();
        let mut wrong = |at: usize, problem: Problem| {
            self.errors.push(LoadError {
                place: Some(place(at)),
                policy: Some(id.to_owned()).filter(|id| !id.is_empty()),
                problem,
            });
        };
        let value_of = |name: &str| {
            let found = piece.annotations.iter().find(|it| it.name == name);
            found.map_or(piece.start, |it| it.value_at)
        };
        if !written.contains_key("id") {
            wrong(piece.start, Problem::NoId);
        } else if !is_id(id) {
            wrong(value_of("id"), Problem::BadId { id: id.to_owned() });
        }
        let terms = match annotations::read(policy.effect(), &written) {
            Ok(terms) => terms,
            Err(errors) => {
                for error in errors {
                    let name = error.annotation();
                    let found = piece.annotations.iter().find(|it| Some(it.name) == name);
                    let at = found.map_or(piece.start, |it| it.value_at);
                    wrong(at, Problem::Annotation(error));
                }
                None
            }
        };
        let mentions = Mentions::of(&policy);
        let asks_nobody = terms.as_ref().is_some_and(|terms| terms.ask == Ask::Nobody);
        if asks_nobody && mentions.has("context.stated") {
            let at = piece.text.find("stated").unwrap_or(0);
            wrong(piece.start.saturating_add(at), Problem::RestsOnStated);
        }
        let rule = Rule {
            id: id.to_owned(),
            place: place(piece.start),
            because: written.get("because").map(|text| (*text).to_owned()),
            terms,
            mentions,
        };
        if !is_id(id) {
            return;
        }
        if let Some(first) = self.rules.get(id) {
            let first = first.place.clone();
            wrong(value_of("id"), Problem::Twice { first });
            return;
        }
        let review_at = value_of("review");
        let source = (file.name.clone(), file.text.clone(), piece.start);
        self.sources
            .insert(id.to_owned(), (source.0, source.1, review_at));
        if policy.effect() == Effect::Forbid {
            let added = scope_of(&policy, id).and_then(|scope| {
                self.forbidden.add(scope).map_err(|error| Problem::Set {
                    message: one_line(&error.to_string()),
                })
            });
            if let Err(problem) = added {
                wrong(piece.start, problem);
            }
        }
        self.policies.push(policy.new_id(PolicyId::new(id)));
        self.rules.insert(id.to_owned(), rule);
    }

    fn schema(&mut self, kinds: &Kinds) -> Option<Schema> {
        let text = format!("{SCHEMA}\n{}", kinds.schema());
        match Schema::from_cedarschema_str(&text) {
            Ok((schema, _warnings)) => Some(schema),
            Err(error) => {
                self.whole(Problem::Schema {
                    message: one_line(&error.to_string()),
                });
                None
            }
        }
    }

    fn set(&mut self) -> Option<PolicySet> {
        match PolicySet::from_policies(self.policies.iter().cloned()) {
            Ok(set) => Some(set),
            Err(error) => {
                self.whole(Problem::Set {
                    message: one_line(&error.to_string()),
                });
                None
            }
        }
    }

    /// Holds every policy against the schema. What does not fit it could fail when it is judged.
    fn validate(&mut self, schema: &Schema, set: &PolicySet) {
        let validator = Validator::new(schema.clone());
        let result = validator.validate(set, ValidationMode::Strict);
        for error in result.validation_errors() {
            let id = error.policy_id().to_string();
            let rule = self.rules.get(&id);
            let place = rule.map(|rule| {
                // The labels count from the piece's beginning, since each piece was parsed alone.
                self.sources
                    .get(&id)
                    .zip(label(error))
                    .and_then(|((file, text, _), offset)| {
                        let start = pieces(text)
                            .into_iter()
                            .map(|piece| piece.start)
                            .find(|start| Place::of(file, text, *start) == rule.place)?;
                        Some(Place::of(file, text, start.saturating_add(offset)))
                    })
                    .unwrap_or_else(|| rule.place.clone())
            });
            let help = error.help().map(|help| one_line(&help.to_string()));
            self.errors.push(LoadError {
                place,
                policy: Some(id.clone()),
                problem: Problem::Validation {
                    message: without_prefix(&one_line(&error.to_string()), &id),
                    help,
                },
            });
        }
    }
}

/// Tells whether another policy begins within the text of one, right where Cedar stumbled: at its `@`, or
/// behind its first word, which could be a condition's until there.
fn begins_another(text: &str, offset: usize) -> bool {
    let (before, rest) = text.split_at_checked(offset).unwrap_or((text, ""));
    let before = before.trim_end();
    let word = before
        .strip_suffix("permit")
        .or_else(|| before.strip_suffix("forbid"));
    let is_closed = |scope: &str| scope.trim_end().ends_with([')', '}']);
    word.is_some_and(is_closed) || rest.starts_with('@') && is_closed(before)
}

/// Tells whether a text can name a policy.
fn is_id(text: &str) -> bool {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 64 && text != "default" && text.bytes().all(known)
}

/// Returns the byte an error of Cedar's points at.
fn label(error: &dyn Diagnostic) -> Option<usize> {
    Some(error.labels()?.next()?.offset())
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

fn without_prefix(message: &str, id: &str) -> String {
    let prefix = format!("for policy `{id}`, ");
    message.strip_prefix(&prefix).unwrap_or(message).to_owned()
}

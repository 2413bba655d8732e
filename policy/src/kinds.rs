//! Kinds of actions: those that are known, and those an operator declares.
//!
//! A kind belongs to one group that policies can name, and fixes who can execute it. What nobody
//! declared is judged as `undeclared`: only policies that speak about every action meet it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use countersign_shared::action::KINDS;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::facts::Reversibility;
use crate::place::{FileError, Source};

/// The action that stands for every kind that nobody declared.
pub const UNDECLARED: &str = "undeclared";

/// What an action comes down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Looks at something.
    Reading,
    /// Changes something.
    Writing,
    /// Runs something.
    Executing,
    /// Takes data to another place.
    MovingData,
    /// Changes who may do what.
    Access,
    /// Changes what everything else runs on.
    Infrastructure,
}

impl Group {
    /// Returns the word policies use: `Action::"moving-data"`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Writing => "writing",
            Self::Executing => "executing",
            Self::MovingData => "moving-data",
            Self::Access => "access",
            Self::Infrastructure => "infrastructure",
        }
    }
}

/// Who can execute a kind at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Executor {
    /// The agent's side: what happened is reported.
    Agent,
    /// The daemon, or the agent's side.
    Daemon,
}

/// One kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// The dotted verb.
    pub name: String,
    /// What it comes down to.
    pub group: Group,
    /// Who can execute it.
    pub executor: Executor,
    /// What the operator says of undoing it, for kinds whose arguments mean nothing to us.
    pub reversibility: Option<Reversibility>,
}

/// All kinds there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kinds {
    own: BTreeMap<String, Kind>,
}

/// One `[[kind]]` as an operator writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    name: Spanned<String>,
    group: Group,
    executor: Executor,
    reversibility: Option<Reversibility>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    kind: Vec<Declared>,
}

impl Default for Kinds {
    fn default() -> Self {
        Self::known()
    }
}

impl Kinds {
    /// Returns the kinds that need no declaration.
    pub const fn known() -> Self {
        Self {
            own: BTreeMap::new(),
        }
    }

    /// Reads the `[[kind]]` tables of a text that holds nothing else; `file` is named in errors.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileError>> {
        let source = Source { file, text };
        let raw: Raw = source.read().map_err(|error| vec![error])?;
        let mut own = BTreeMap::new();
        let mut errors = Vec::new();
        for declared in raw.kind {
            let name = declared.name.get_ref().clone();
            if let Err(message) = may_be_declared(&name) {
                errors.push(source.wrong(&declared.name, message));
                continue;
            }
            let kind = Kind {
                name: name.clone(),
                group: declared.group,
                executor: declared.executor,
                reversibility: declared.reversibility,
            };
            if own.insert(name.clone(), kind).is_some() {
                let message = format!("the kind `{name}` is declared twice");
                errors.push(source.wrong(&declared.name, message));
            }
        }
        if errors.is_empty() {
            Ok(Self { own })
        } else {
            Err(errors)
        }
    }

    /// Returns the declared kinds, sorted by name.
    pub fn declared(&self) -> impl Iterator<Item = &Kind> {
        self.own.values()
    }

    /// Tells whether a kind is known or declared.
    pub fn has(&self, name: &str) -> bool {
        KINDS.contains(&name) || self.own.contains_key(name)
    }

    /// Returns what the operator says of undoing an action of a kind.
    pub fn reversibility(&self, name: &str) -> Option<Reversibility> {
        self.own.get(name).and_then(|kind| kind.reversibility)
    }

    /// Tells whether the daemon can execute a kind.
    pub fn can_be_run_by_daemon(&self, name: &str) -> bool {
        name == "exec.run"
            || self
                .own
                .get(name)
                .is_some_and(|kind| kind.executor == Executor::Daemon)
    }

    /// Writes the declarations as they are added to the schema.
    pub(crate) fn schema(&self) -> String {
        let mut text = String::new();
        for kind in self.own.values() {
            // Writing to a string cannot fail. The name holds no character that needs an escape.
            let _written = writeln!(
                text,
                "action \"{}\" in [\"{}\"] appliesTo {{ principal: [Agent, Person], resource: \
                 Target, context: Common }};",
                kind.name,
                kind.group.word()
            );
        }
        text
    }
}

fn may_be_declared(name: &str) -> Result<(), String> {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    if !name.contains('.') || name.len() > 64 || !name.split('.').all(word) {
        return Err(format!(
            "`{}` is not a kind: write words of a-z, 0-9 and `-`, at least two, joined by dots",
            name.escape_debug()
        ));
    }
    if KINDS.contains(&name) {
        return Err(format!(
            "the kind `{name}` is known and needs no declaration"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_kind_has_a_group_and_an_executor() {
        let text = "[[kind]]\nname = \"ticket.close\"\ngroup = \"writing\"\nexecutor = \"daemon\"\n\
                    reversibility = \"reversible\"\n";
        let kinds = Kinds::parse("c.toml", text).unwrap();
        assert!(kinds.has("ticket.close") && kinds.has("sql.exec") && !kinds.has("ticket.open"));
        assert!(kinds.can_be_run_by_daemon("ticket.close"));
        assert!(!kinds.can_be_run_by_daemon("file.write"));
        assert_eq!(
            kinds.reversibility("ticket.close"),
            Some(Reversibility::Reversible)
        );
        assert!(
            kinds
                .schema()
                .contains("action \"ticket.close\" in [\"writing\"]")
        );
    }

    #[test]
    fn what_is_no_kind_is_refused_with_its_place() {
        for (name, expected) in [
            ("close", "c:2:8: `close` is not a kind"),
            ("sql.exec", "c:2:8: the kind `sql.exec` is known"),
            ("a.\\\"b", "c:2:8: `a.\\\"b` is not a kind"),
        ] {
            let text =
                format!("[[kind]]\nname = \"{name}\"\ngroup = \"writing\"\nexecutor = \"agent\"\n");
            let errors = Kinds::parse("c", &text).unwrap_err();
            assert!(errors[0].to_string().starts_with(expected), "{}", errors[0]);
        }
        let unknown = "[[kind]]\nname = \"a.b\"\ngroup = \"walking\"\nexecutor = \"agent\"\n";
        assert!(Kinds::parse("c", unknown).is_err());
    }
}

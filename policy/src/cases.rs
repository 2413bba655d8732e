//! `policy test`: requests with what is expected of them, in TOML beside the policies.
//!
//! A case writes an action and what surrounds it, and says who should be asked. Running it goes
//! the way a request goes: the action is built, its facts are computed, policy judges. What a case
//! does not say is taken from `[around]` of its file, and then from what a well-behaved agent in
//! its workspace would bring.

mod expect;
mod request;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::facts::Facts;
use crate::judge::Judgement;
use crate::kinds::Kinds;
use crate::load::Policies;
use crate::place::{FileError, Place, Source};

pub use expect::Difference;
use expect::Expect;
use request::{Around, Request};

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    name: String,
    place: Place,
    request: Request,
    around: Around,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    around: Around,
    case: Vec<Spanned<RawCase>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    request: Spanned<Request>,
    around: Option<Spanned<Around>>,
    expect: Spanned<Expect>,
}

/// What came of one case.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The case's name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What differs; nothing when the case passed.
    pub differences: Vec<Difference>,
    /// What policy said.
    pub judgement: Judgement,
}

/// What came of all cases of a file.
#[derive(Debug, Clone)]
pub struct Tested {
    /// One for each case, in the order of the file.
    pub verdicts: Vec<Verdict>,
}

/// Reads a file of cases; `file` is named in errors.
///
/// # Errors
///
/// Everything that is wrong.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, Vec<FileError>> {
    let source = Source { file, text };
    let raw: RawFile = source.read().map_err(|error| vec![error])?;
    let mut errors = Vec::new();
    let mut cases = Vec::new();
    for spanned in raw.case {
        let place = Place::of(file, text, spanned.span().start);
        let case = spanned.into_inner();
        let around_at = case.around.as_ref().map_or(0, |it| it.span().start);
        let own = case.around.map(Spanned::into_inner).unwrap_or_default();
        let around = own.or(&raw.around);
        for (span, problem) in [
            (case.request.span().start, case.request.get_ref().problem()),
            (around_at, around.problem()),
            (case.expect.span().start, case.expect.get_ref().problem()),
        ] {
            errors.extend(problem.map(|problem| source.wrong_at(span, problem)));
        }
        cases.push(Case {
            name: case.name,
            place,
            request: case.request.into_inner(),
            around,
            expect: case.expect.into_inner(),
        });
    }
    if errors.is_empty() {
        Ok(cases)
    } else {
        Err(errors)
    }
}

/// Runs cases against policies.
pub fn run(policies: &Policies, cases: &[Case]) -> Tested {
    let verdicts = cases.iter().map(|case| case.run(policies)).collect();
    Tested { verdicts }
}

impl Case {
    /// Returns the action and the facts of the case's request.
    pub fn request(&self, kinds: &Kinds) -> (Value, Facts) {
        let action = self.request.action(&self.around);
        let surroundings = self.around.surroundings(&action);
        let facts = Facts::of(&action, &surroundings, kinds);
        (action, facts)
    }

    fn run(&self, policies: &Policies) -> Verdict {
        let (action, facts) = self.request(policies.kinds());
        let judgement = policies.judge_document(&facts.to_value(), &action);
        Verdict {
            name: self.name.clone(),
            place: self.place.clone(),
            differences: self.expect.compare(&judgement),
            judgement,
        }
    }
}

impl Tested {
    /// Returns how many cases passed.
    pub fn passed(&self) -> usize {
        self.verdicts
            .iter()
            .filter(|it| it.differences.is_empty())
            .count()
    }

    /// Returns how many cases did not pass.
    pub fn failed(&self) -> usize {
        self.verdicts.len().saturating_sub(self.passed())
    }
}

impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in &self.verdicts {
            if verdict.differences.is_empty() {
                continue;
            }
            writeln!(f, "{}: {}", verdict.place, verdict.name)?;
            for difference in &verdict.differences {
                writeln!(f, "  {:<10} - {}", difference.what, difference.expected)?;
                writeln!(f, "  {:<10} + {}", "", difference.found)?;
            }
            let spoke = verdict.judgement.policies();
            if spoke.is_empty() {
                writeln!(f, "  no policy spoke")?;
            } else {
                writeln!(f, "  spoke: {}", spoke.join(", "))?;
            }
        }
        write!(f, "{} passed, {} failed", self.passed(), self.failed())
    }
}

//! What entries say of documents without holding them: which data a run touched, and that one was
//! erased.

use super::actor::{check_daemon, not_by};
use super::{Problem, Replay};
use crate::id::RequestId;
use crate::log::accessed::DataAccessed;
use crate::log::entry::{Entry, ErasedEarly};
use crate::time::{Moment, Timestamp};

impl Replay {
    /// Takes what is told of the data of an action: of one that ran, at once, by whoever asked.
    /// Whether it is the data of the document is compared by whoever has that.
    pub(super) fn data_accessed(
        &mut self,
        entry: &Entry,
        data: &DataAccessed,
        ran: Option<(RequestId, Moment)>,
    ) -> Result<(), Problem> {
        let entry_type = entry.body.entry_type();
        let id = entry.request.ok_or(Problem::Subject {
            entry_type,
            problem: "names no request",
        })?;
        let life = self.lives.get_mut(&id).ok_or(Problem::Unknown)?;
        if entry.actor != life.agent {
            return Err(not_by(entry, entry_type));
        }
        if ran.as_ref() != Some(&(id, entry.now.clone())) {
            return Err(Problem::DidNotRun);
        }
        life.accessed.push(data.clone());
        self.ran = ran;
        Ok(())
    }

    /// Takes that a document was erased: of a request that is over, once, and when its time was, or by
    /// somebody who said why.
    pub(super) fn document_erased(
        &mut self,
        entry: &Entry,
        until: Option<Timestamp>,
        early: Option<&ErasedEarly>,
    ) -> Result<(), Problem> {
        let entry_type = entry.body.entry_type();
        let wrong = |problem| Problem::Subject {
            entry_type,
            problem,
        };
        let id = entry.request.ok_or_else(|| wrong("names no request"))?;
        check_daemon(entry, entry_type)?;
        match self.lives.get(&id) {
            Some(life) if life.broken || life.is_over() => {}
            Some(_) => return Err(wrong("is about a request that is not over")),
            None if self.gone.contains_key(&id) => {}
            None => return Err(Problem::Unknown),
        }
        match (until, early) {
            (Some(until), None) if until <= entry.now.wall => {}
            (Some(_) | None, None) => {
                return Err(Problem::Field {
                    field: "retained_until",
                });
            }
            (None, Some(early)) if !early.reason.trim().is_empty() => {
                self.erased_early = self.erased_early.saturating_add(1);
            }
            (None | Some(_), Some(_)) => return Err(Problem::Field { field: "early" }),
        }
        if self.erased.insert(id) {
            Ok(())
        } else {
            Err(wrong("tells of a document that was erased before"))
        }
    }
}

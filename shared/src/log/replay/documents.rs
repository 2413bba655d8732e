//! What entries say of documents without holding them: which data a run touched, and that one was
//! erased.

use super::{Problem, Replay, check_daemon, not_by};
use crate::id::RequestId;
use crate::log::accessed::DataAccessed;
use crate::log::entry::Entry;
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

    /// Takes that a document was erased: of a request that is over, when its time was, and once.
    pub(super) fn document_erased(
        &mut self,
        entry: &Entry,
        until: Timestamp,
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
        if until > entry.now.wall {
            return Err(Problem::Field {
                field: "retained_until",
            });
        }
        if self.erased.insert(id) {
            Ok(())
        } else {
            Err(wrong("tells of a document that was erased before"))
        }
    }
}

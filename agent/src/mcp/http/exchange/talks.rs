//! Which calls belong together: a client takes back its own only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::HeaderMap;

use super::super::super::gate::Stop;
use super::super::super::message::Id;
use super::super::super::open::Open;

/// The conversation of an exchange: that of its session, or one of its own.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    /// Its calls.
    pub(super) open: Arc<Open>,
    /// Whether it is that of a session.
    pub(super) has_session: bool,
}

/// The header with the session's name stands twice, or holds no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// All conversations that have calls.
#[derive(Debug, Default)]
pub(super) struct Talks(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    sessions: HashMap<String, Weak<Open>>,
    /// Those of calls without a session that are taken back in a message of their own.
    loose: Vec<Weak<Open>>,
}

impl Talks {
    /// Returns the conversation that a request belongs to.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(super) fn of(&self, headers: &HeaderMap) -> Result<Talk, Ambiguous> {
        let mut named = headers.get_all("mcp-session-id").iter();
        let session = match (named.next(), named.next()) {
            (None, _) => {
                return Ok(Talk {
                    open: Arc::default(),
                    has_session: false,
                });
            }
            (Some(session), None) => session.to_str().map_err(|_| Ambiguous)?,
            (Some(_), Some(_)) => return Err(Ambiguous),
        };
        let mut kept = self.kept();
        let open = kept
            .sessions
            .get(session)
            .and_then(Weak::upgrade)
            .unwrap_or_default();
        kept.sessions.retain(|_, open| open.strong_count() > 0);
        kept.sessions
            .insert(session.to_owned(), Arc::downgrade(&open));
        Ok(Talk {
            open,
            has_session: true,
        })
    }

    /// Keeps the conversation of one call, so that it can be taken back without a session.
    pub(super) fn keep_loose(&self, talk: &Talk) {
        if !talk.has_session {
            let mut kept = self.kept();
            kept.loose.retain(|open| open.strong_count() > 0);
            kept.loose.push(Arc::downgrade(&talk.open));
        }
    }

    /// Takes back a held call; tells whether there was one. Without a session nothing tells the
    /// clients apart, so every held call with this id is taken back: none that its client does not
    /// want is ever made.
    pub(super) fn cancel(&self, talk: &Talk, id: &Id) -> bool {
        if talk.has_session {
            return talk.open.stop(id, Stop::Cancelled);
        }
        let all: Vec<_> = self.kept().loose.iter().filter_map(Weak::upgrade).collect();
        let stopped = all.iter().filter(|open| open.stop(id, Stop::Cancelled));
        stopped.count() > 0
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing here is left half done when it is given up.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(sessions: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for session in sessions {
            headers.append("mcp-session-id", HeaderValue::from_static(session));
        }
        headers
    }

    #[test]
    fn a_call_is_taken_back_within_its_own_session_only() {
        let talks = Talks::default();
        let id = Id::Number(1);
        let a = talks.of(&headers(&["a"])).unwrap();
        let stops = a.open.hold(&id).unwrap();
        let b = talks.of(&headers(&["b"])).unwrap();
        assert!(!talks.cancel(&b, &id));
        assert!(!talks.cancel(&talks.of(&headers(&[])).unwrap(), &id));
        assert_eq!(*stops.borrow(), None);
        assert!(talks.cancel(&talks.of(&headers(&["a"])).unwrap(), &id));
        assert_eq!(*stops.borrow(), Some(Stop::Cancelled));
        assert_eq!(talks.of(&headers(&["a", "a"])).unwrap_err(), Ambiguous);
    }

    #[test]
    fn without_sessions_every_held_call_with_the_id_is_taken_back() {
        let talks = Talks::default();
        let id = Id::Number(1);
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let talk = talks.of(&headers(&[])).unwrap();
                let stops = talk.open.hold(&id).unwrap();
                talks.keep_loose(&talk);
                (talk, stops)
            })
            .collect();
        let other = talks.of(&headers(&[])).unwrap();
        assert!(!talks.cancel(&other, &Id::Number(2)));
        assert!(talks.cancel(&other, &id));
        for (_, stops) in &calls {
            assert_eq!(*stops.borrow(), Some(Stop::Cancelled));
        }
        drop(calls);
        assert!(!talks.cancel(&other, &id));
    }
}

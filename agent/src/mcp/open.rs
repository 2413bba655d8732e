//! The calls that have no answer yet: those that are held, and those that the server was sent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot, watch};

use super::gate::{Stop, Stops};
use super::message::{Answer, Id};

/// All of them, by their ids.
#[derive(Debug, Default)]
pub(super) struct Open {
    calls: Mutex<HashMap<Id, State>>,
    /// Told when a call that was sent is no longer open.
    fewer: Notify,
}

#[derive(Debug)]
enum State {
    /// The server has not seen it.
    Held(watch::Sender<Option<Stop>>),
    /// The server has it.
    Sent(oneshot::Sender<Answer>),
}

impl Open {
    /// Takes up a call; `None` when there is one with this id.
    pub(super) fn hold(&self, id: &Id) -> Option<Stops> {
        let mut calls = self.calls();
        if calls.contains_key(id) {
            return None;
        }
        let (sender, stops) = watch::channel(None);
        calls.insert(id.clone(), State::Held(sender));
        Some(stops)
    }

    /// Tells whether there is a call with this id.
    pub(super) fn has(&self, id: &Id) -> bool {
        self.calls().contains_key(id)
    }

    /// Stops a call that is held; tells whether there was one.
    pub(super) fn stop(&self, id: &Id, stop: Stop) -> bool {
        match self.calls().get(id) {
            Some(State::Held(sender)) => {
                sender.send_replace(Some(stop));
                true
            }
            Some(State::Sent(_)) | None => false,
        }
    }

    /// Stops all that are held.
    pub(super) fn stop_held(&self, stop: Stop) {
        for state in self.calls().values() {
            if let State::Held(sender) = state {
                sender.send_if_modified(|stopped| {
                    let is_first = stopped.is_none();
                    stopped.get_or_insert(stop);
                    is_first
                });
            }
        }
    }

    /// Marks a held call as sent, unless it was stopped; what comes out hears the answer.
    ///
    /// # Errors
    /// With why it must not be sent.
    pub(super) fn send(&self, id: &Id) -> Result<oneshot::Receiver<Answer>, &'static str> {
        let mut calls = self.calls();
        let stopped = match calls.get(id) {
            Some(State::Held(sender)) => *sender.borrow(),
            Some(State::Sent(_)) | None => Some(Stop::ClientGone),
        };
        if let Some(stop) = stopped {
            return Err(stop.word());
        }
        let (sender, heard) = oneshot::channel();
        calls.insert(id.clone(), State::Sent(sender));
        Ok(heard)
    }

    /// Takes an answer of the server's; tells whether it may be passed on. One to a call that the
    /// server was not sent may not.
    pub(super) fn answer(&self, id: Option<&Id>, answer: Answer) -> bool {
        let Some(id) = id else {
            return true;
        };
        let mut calls = self.calls();
        if matches!(calls.get(id), Some(State::Held(_))) {
            return false;
        }
        if let Some(State::Sent(sender)) = calls.remove(id) {
            drop(calls);
            // Whoever waited for it may have given up.
            drop(sender.send(answer));
            self.fewer.notify_waiters();
        }
        true
    }

    /// Gives up a call whose answer cannot be passed on; tells whether whoever waits for an answer with
    /// this id may be told so.
    pub(super) fn lose(&self, id: &Id) -> bool {
        let mut calls = self.calls();
        if matches!(calls.get(id), Some(State::Held(_))) {
            return false;
        }
        calls.remove(id);
        drop(calls);
        self.fewer.notify_waiters();
        true
    }

    /// Forgets a call, and tells why it was stopped, if it was.
    pub(super) fn remove(&self, id: &Id) -> Option<Stop> {
        let removed = self.calls().remove(id);
        self.fewer.notify_waiters();
        match removed {
            Some(State::Held(sender)) => *sender.borrow(),
            Some(State::Sent(_)) | None => None,
        }
    }

    /// Gives up all that were sent, and returns them: there will be no answers.
    pub(super) fn forget_sent(&self) -> Vec<Id> {
        let mut lost = Vec::new();
        self.calls().retain(|id, state| {
            let is_held = matches!(state, State::Held(_));
            if !is_held {
                lost.push(id.clone());
            }
            is_held
        });
        lost
    }

    /// Waits until no call that was sent is open.
    pub(super) async fn none_sent(&self) {
        loop {
            let fewer = self.fewer.notified();
            tokio::pin!(fewer);
            fewer.as_mut().enable();
            let is_sent = |state: &State| matches!(state, State::Sent(_));
            if !self.calls().values().any(is_sent) {
                return;
            }
            fewer.await;
        }
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<Id, State>> {
        // Nothing here is left half done when it is given up.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use countersign_shared::digest::Digest;

    use super::super::message::End;
    use super::*;

    fn said() -> Answer {
        Answer {
            end: End::Succeeded,
            digest: Digest::of(b"x"),
            tools: Vec::new(),
        }
    }

    #[test]
    fn an_id_is_one_call_until_it_is_answered() {
        let open = Open::default();
        let id = Id::Number(1);
        assert!(open.hold(&id).is_some());
        assert!(open.hold(&id).is_none());
        assert!(open.hold(&Id::Text("1".to_owned())).is_some());
        let mut heard = open.send(&id).unwrap();
        assert!(open.hold(&id).is_none());
        assert!(open.send(&id).is_err());
        assert!(open.answer(Some(&id), said()));
        assert_eq!(heard.try_recv().unwrap().end, End::Succeeded);
        assert!(open.hold(&id).is_some());
    }

    #[test]
    fn an_answer_to_a_call_that_was_not_sent_is_not_passed_on() {
        let open = Open::default();
        let id = Id::Number(1);
        assert!(open.answer(Some(&id), said()));
        drop(open.hold(&id));
        assert!(!open.answer(Some(&id), said()));
        assert!(open.has(&id));
        assert!(open.answer(None, said()));
    }

    #[test]
    fn an_answer_that_is_lost_ends_only_a_call_that_was_sent() {
        let open = Open::default();
        let (held, sent) = (Id::Number(1), Id::Number(2));
        drop(open.hold(&held));
        drop(open.hold(&sent));
        let mut heard = open.send(&sent).unwrap();
        assert!(open.lose(&sent));
        assert!(heard.try_recv().is_err());
        assert!(!open.has(&sent));
        assert!(!open.lose(&held));
        assert!(open.has(&held));
        assert!(open.lose(&Id::Number(3)));
    }

    #[test]
    fn a_call_that_was_stopped_is_not_sent() {
        let open = Open::default();
        let id = Id::Number(1);
        let stops = open.hold(&id).unwrap();
        assert!(open.stop(&id, Stop::Cancelled));
        open.stop_held(Stop::ServerGone);
        assert_eq!(*stops.borrow(), Some(Stop::Cancelled));
        assert!(open.send(&id).is_err());
        assert_eq!(open.remove(&id), Some(Stop::Cancelled));
        assert!(!open.stop(&id, Stop::Cancelled));
    }

    #[tokio::test]
    async fn the_end_waits_for_what_was_sent_and_for_nothing_else() {
        let open = Open::default();
        let (held, sent) = (Id::Number(1), Id::Number(2));
        drop(open.hold(&held));
        open.none_sent().await;
        drop(open.hold(&sent));
        let heard = open.send(&sent).unwrap();
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), open.none_sent());
        assert!(waits.await.is_err());
        assert_eq!(open.forget_sent(), [sent]);
        assert!(heard.await.is_err());
        open.none_sent().await;
    }
}

//! Tells the log which data an action touched, once it ran, and never before.

use countersign_shared::document::Document;
use countersign_shared::id::RequestId;
use countersign_shared::log::accessed::DataAccessed;
use countersign_shared::log::entry::{Actor, ActorKind, Body, LogEvent};

use super::EngineError;
use super::batch::{Scene, Step};
use crate::store::{Store, StoreError};

impl Step {
    /// Appends what the document of a request says of data, right after the entry that says that
    /// the action ran or may have run. What was told when the run became indeterminate is not told
    /// again when it is settled.
    pub(super) fn tell_of_data(
        &mut self,
        store: &mut Store,
        scene: &Scene,
        id: RequestId,
    ) -> Result<(), EngineError> {
        let row = store
            .request(id)?
            .ok_or_else(|| EngineError::NotFound { id: id.to_string() })?;
        let bytes = row.document.ok_or(EngineError::Erased { id })?;
        let document = Document::read(&bytes)
            .map_err(|error| StoreError::row(format!("the document of {id}: {error}")))?;
        let catalogue = scene.policies.catalogue();
        let bodies = DataAccessed::of(&document, |name| {
            catalogue.listed_classification(name).map(str::to_owned)
        });
        if bodies.is_empty() || store.has_told_of_data(id)? {
            return Ok(());
        }
        let actor = Actor {
            kind: ActorKind::Agent,
            id: row.intake.principal,
            uid: Some(row.intake.uid),
        };
        for body in bodies {
            let event = LogEvent::DataAccessed(Box::new(body));
            self.append(store, scene, actor.clone(), Some(id), Body::Log(event))?;
        }
        Ok(())
    }
}

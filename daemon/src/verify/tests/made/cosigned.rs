//! Witnesses of the made log, and a log that they have cosigned.

use std::sync::LazyLock;

use countersign_shared::log::checkpoint::Checkpoint;
use countersign_shared::log::cosignature::CosignerKey;
use countersign_shared::log::trust_policy::TrustPolicy;

use super::{Call, Command, Maker, ORIGIN, Query, stored};
use crate::engine::{Cosigned, Handle, Head};

/// A witness.
pub(crate) fn witness(seed: u8) -> CosignerKey {
    CosignerKey::from_seed(&format!("w{seed}.example"), &[seed; 32]).unwrap()
}

/// Asks for the first witness and one of two others.
pub(crate) fn policy() -> TrustPolicy {
    let [one, two, three] = [1, 2, 3].map(|seed| witness(seed).verifier().to_string());
    let text = format!(
        "witness A {one}\nwitness B {two}\nwitness C {three}\n\
         group others any B C\ngroup both all A others\nquorum both\n"
    );
    TrustPolicy::read(text.as_bytes()).unwrap()
}

impl Maker {
    /// Has witnesses cosign the head as it is; returns its size.
    fn cosign(&self, seeds: &[u8]) -> u64 {
        let head = self.ask(|reply| Query::Head(0, reply));
        let text = head.note.split("\n\n").next().unwrap();
        let checkpoint = Checkpoint::from_text(&format!("{text}\n")).unwrap();
        assert_eq!(checkpoint.origin(), ORIGIN);
        for seed in seeds {
            let cosignature = witness(*seed).cosign(&checkpoint, 7).unwrap();
            self.ask(Command::cosigned(Cosigned {
                size: head.size,
                note: head.note.clone(),
                vkey: witness(*seed).verifier().to_string(),
                line: cosignature.to_line(),
            }));
        }
        let shown = self.ask(|reply| Query::Head(0, reply));
        assert_eq!(shown.cosignatures.lines().count(), seeds.len());
        head.size
    }
}

/// A log whose witnesses have cosigned heads: one that a quorum has, and a later one that one has.
pub(crate) struct CosignedLog {
    pub(crate) bytes: Vec<u8>,
    /// The size of the head that a quorum has cosigned.
    pub(crate) quorum: u64,
    /// The size of the head that one witness has cosigned.
    pub(crate) alone: u64,
}

pub(crate) static COSIGNED: LazyLock<CosignedLog> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let mut maker = Maker::new(&path);
    let id = maker.submit();
    let quorum = maker.cosign(&[1, 3]);
    maker.submit();
    let alone = maker.cosign(&[1]);
    maker.submit();
    let now = maker.ask(|reply| Query::Head(0, reply));
    assert_eq!(now.cosignatures, "", "they are of another head");
    maker.ask(|reply| Command::Withdraw(id, Maker::right(), reply));
    maker.ask(Call::Stop);
    CosignedLog {
        bytes: stored(&path),
        quorum,
        alone,
    }
});

/// A log that an engine is writing, for whoever talks to it.
pub(crate) struct Served(Maker);

impl Served {
    pub(crate) fn new(path: &std::path::Path) -> Self {
        let mut maker = Maker::new(path);
        maker.submit();
        Self(maker)
    }

    pub(crate) fn engine(&self) -> Handle {
        self.0.engine.clone()
    }

    /// Has the log grow.
    pub(crate) fn grow(&mut self) {
        self.0.submit();
    }

    /// Returns the head as it is handed out.
    pub(crate) fn head(&self) -> Head {
        self.0.ask(|reply| Query::Head(0, reply))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.ask(Call::Stop);
    }
}

//! What an asking holds on to.

use countersign_shared::id::TicketSecret;

use super::*;
use crate::client::Claim;
use crate::compare::tests::{ORIGIN, answer};

/// A request for `action` whose document holds `documented`.
pub(crate) fn asked(action: Vec<u8>, documented: &[u8]) -> Asked {
    let submitted = answer(documented, ORIGIN);
    Asked {
        action,
        agreed: Agreed::check(&submitted, documented, ORIGIN).unwrap(),
        ticket: Ticket {
            claim: Claim {
                id: submitted.id,
                secret: TicketSecret::from_bytes([1; 16]),
            },
            digest: submitted.digest,
            expires_at: None,
            stage: Stage::Asked,
            redeemed_at: None,
            shared: false,
        },
        joined: submitted.joined,
        state: submitted.state,
        held_by: Holder::Nobody,
    }
}

//! How the witnesses stand that the daemon sends heads to, and what they hold.
//!
//! That a witness answers is the daemon's word. What counts as held is not: the head comes with its
//! cosignatures, and they are judged by a policy that lies with the person who looks.

use std::path::{Path, PathBuf};

use countersign_client::place::Place;
use countersign_shared::log::cosignature::{self, Cosignature};
use countersign_shared::log::note::WitnessKey;
use countersign_shared::log::tree::TreeHead;
use countersign_shared::log::trust_policy::TrustPolicy;
use countersign_shared::text::Printable;
use countersign_shared::time::Timestamp;
use countersign_shared::wire::pb;

use super::super::exit::chain;
use super::{Finding, bad, good};

/// What the policy is called in a home, when it is called nothing else.
const POLICY: &str = "witness.policy";

/// Reads the policy that is named, or that of the home, if there is one that can be read.
pub(super) fn policy(place: &Place, named: Option<&Path>) -> Result<Option<TrustPolicy>, String> {
    let of_home = || place.layout().config_dir().join(POLICY);
    let file: PathBuf = named.map_or_else(of_home, Path::to_owned);
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        // Whoever names none has none where the home has none, or shows it to nobody.
        Err(_) if named.is_none() => return Ok(None),
        Err(error) => return Err(format!("cannot read `{}`: {error}", file.display())),
    };
    TrustPolicy::read(&bytes)
        .map(Some)
        .map_err(|error| format!("`{}`, {}", file.display(), chain(&error)))
}

/// Says how each witness stands.
pub(super) fn standings(said: &pb::GetHeadResponse, findings: &mut Vec<Finding>) {
    for witness in &said.witnesses {
        let name = witness.vkey.split('+').next().unwrap_or_default();
        let ours = |text: String| Printable::from_ours(text).to_string();
        findings.push(if !witness.trouble.is_empty() {
            bad("witness", ours(format!("{name}: {}", witness.trouble)))
        } else if witness.size == 0 {
            good(
                "witness",
                ours(format!("{name}: nothing was sent to it yet")),
            )
        } else {
            let (size, at) = (witness.size, when(witness.time));
            let says = format!("{name} cosigned the head of {size} entries, by its clock at {at}");
            good("witness", ours(says))
        });
    }
}

/// Returns the head that a quorum of the policy has cosigned.
pub(super) fn held(
    said: &pb::GetHeadResponse,
    policy: Option<&TrustPolicy>,
    origin: &str,
) -> Result<Option<TreeHead>, String> {
    let (Some(policy), false) = (policy, said.witnessed_note.is_empty()) else {
        return Ok(None);
    };
    let known: Vec<WitnessKey> = policy.keys();
    let opened = cosignature::open(&said.witnessed_note, &known, origin);
    let (head, cosignatures) = match opened {
        Ok(opened) => opened,
        // The daemon may go by another policy than the one that counts here.
        Err(cosignature::CosignatureError::Unsigned { .. }) => return Ok(None),
        Err(error) => return Err(chain(&error)),
    };
    let is_quorum = policy.is_quorum(cosignatures.iter().map(Cosignature::by));
    Ok(is_quorum.then(|| *head.head()))
}

/// Writes a time.
fn when(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| seconds.checked_mul(1000))
        .map_or_else(
            || format!("{seconds} s"),
            |millis| Timestamp::from_millis(millis).to_string(),
        )
}

//! How far the sides are kept apart, by the keys of the roster.

use countersign_shared::requirement::{RequiredReview, RunBy, Tier};
use countersign_shared::roster::Person;
use ssh_key::PublicKey;
use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};

use super::*;

fn key(seed: u8, in_a_token: bool) -> String {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let public = Ed25519PublicKey(secret.verifying_key().to_bytes());
    let data = if in_a_token {
        KeyData::SkEd25519(SkEd25519::new(public, "ssh:"))
    } else {
        KeyData::Ed25519(public)
    };
    PublicKey::from(data).to_openssh().unwrap()
}

fn rules(mode: Mode, keys: &[String], assurance: Assurance) -> Rules {
    let person = Person {
        name: "ana".to_owned(),
        user: "ana".to_owned(),
        groups: Vec::new(),
        keys: keys.to_vec(),
    };
    let requirement = Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: "1 of anyone".parse().unwrap(),
        }],
        tier: Tier::Medium,
        assurance,
        reason_required: false,
        ttl_s: 1,
        grant_s: 1,
        max_run_s: 1,
        run_by: RunBy::Agent,
        self_attest: true,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: Vec::new(),
    };
    let roster = Roster::from_people(vec![person]).unwrap();
    let limits = Limits::default();
    Rules::holding_all(mode, roster, Vec::new(), requirement, limits)
}

#[test]
fn only_keys_that_take_a_touch_keep_the_sides_of_one_user_apart() {
    let (token, other, file) = (key(1, true), key(2, true), key(3, false));
    let user = |keys: &[&String], assurance| {
        let keys: Vec<String> = keys.iter().map(|key| (*key).clone()).collect();
        rules(Mode::User, &keys, assurance).separation()
    };
    assert_eq!(user(&[&token, &other], Assurance::Touch), Separation::Key);
    assert_eq!(user(&[&token], Assurance::Pin), Separation::Key);
    assert_eq!(user(&[&token], Assurance::Unlocked), Separation::None);
    assert_eq!(user(&[&token, &file], Assurance::Touch), Separation::None);
    assert_eq!(user(&[&file], Assurance::Touch), Separation::None);
    let system = rules(Mode::System, &[file], Assurance::File);
    assert_eq!(system.separation(), Separation::Uid);
}

//! The people of the engine's tests, with keys that sign for real, and rules about them.

use super::super::*;
use countersign_shared::limits::Limits;
use countersign_shared::machine::Mode;
use countersign_shared::requirement::{
    Assurance, Member, RequiredReview, Requirement, RunBy, Tier,
};
use countersign_shared::roster::{self, Roster};
use countersign_shared::sshsig::{Envelope, signed_data};
use ed25519_dalek::Signer as _;
use ssh_key::public::{Ed25519PublicKey, KeyData};
use ssh_key::{Algorithm, PublicKey, Signature};
use std::collections::BTreeSet;

/// A person with a key.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    pub(super) groups: &'static [&'static str],
    secret: ed25519_dalek::SigningKey,
}

impl Person {
    /// Signs with another person's key from now on.
    pub(super) fn take_key_of(&mut self, other: &Self) {
        self.secret = other.secret.clone();
    }

    /// Returns this person's key and another one, as lines of a roster.
    pub(super) fn with_key_of(&self, other: &Self) -> Vec<String> {
        [self, other]
            .map(|person| person.public().to_openssh().unwrap())
            .to_vec()
    }

    pub(super) fn public(&self) -> PublicKey {
        let public = Ed25519PublicKey(self.secret.verifying_key().to_bytes());
        PublicKey::from(KeyData::Ed25519(public))
    }

    pub(super) fn sign(&self, namespace: &str, message: &[u8]) -> String {
        let raw = self.secret.sign(&signed_data(namespace, message).unwrap());
        let signature = Signature::new(Algorithm::Ed25519, raw.to_bytes()).unwrap();
        Envelope::new(&self.public(), namespace, signature)
            .unwrap()
            .to_armored()
            .unwrap()
    }
}

fn person(name: &'static str, uid: u32, groups: &'static [&'static str], seed: u8) -> Person {
    Person {
        name,
        uid,
        groups,
        secret: ed25519_dalek::SigningKey::from_bytes(&[seed; 32]),
    }
}

pub(super) fn ana() -> Person {
    person("ana", 60_001, &["sre"], 1)
}

pub(super) fn bo() -> Person {
    person("bo", 60_002, &["sre"], 2)
}

pub(super) fn cy() -> Person {
    person("cy", 60_003, &["dba"], 3)
}

/// Rules of three people that ask for a review of everything.
pub(super) fn rules(people: &[Person], review: &str, limits: &Limits) -> Rules {
    let roster = Roster::from_people(
        people
            .iter()
            .map(|person| roster::Person {
                name: person.name.to_owned(),
                user: person.name.to_owned(),
                groups: person
                    .groups
                    .iter()
                    .map(|&group| group.to_owned())
                    .collect(),
                keys: vec![person.public().to_openssh().unwrap()],
            })
            .collect(),
    )
    .unwrap();
    let members = people
        .iter()
        .map(|person| Member {
            name: person.name.to_owned(),
            uid: person.uid,
            groups: person
                .groups
                .iter()
                .map(|&group| group.to_owned())
                .collect(),
            keys: BTreeSet::from([countersign_shared::sshsig::fingerprint(&person.public())]),
        })
        .collect();
    let requirement = Requirement {
        reviews: vec![RequiredReview {
            policy: "default".to_owned(),
            seats: review.parse().unwrap(),
        }],
        tier: Tier::Medium,
        assurance: Assurance::File,
        reason_required: false,
        ttl_s: 3600,
        grant_s: 300,
        max_run_s: 600,
        run_by: RunBy::Agent,
        self_attest: false,
        advice: Vec::new(),
        why: Vec::new(),
        escalate: Vec::new(),
    };
    Rules::holding_all(Mode::System, roster, members, requirement, limits.clone())
}

pub(super) fn everyone(review: &str) -> Rules {
    rules(&[ana(), bo(), cy()], review, &Limits::default())
}

//! The controls, and what supports evidence for each.

use super::Control;

/// What supports evidence, for as many controls as ask for it.
struct Evidence {
    supports: &'static str,
    types: &'static [&'static str],
    files: &'static [&'static str],
}

impl Evidence {
    const fn for_control(
        &self,
        framework: &'static str,
        id: &'static str,
        about: &'static str,
    ) -> Control {
        Control {
            framework,
            id,
            about,
            supports: self.supports,
            types: self.types,
            files: self.files,
        }
    }
}

const HOLD: Evidence = Evidence {
    supports: "an action waits until people have approved it, and without that it does not pass",
    types: &[
        "request.received",
        "policy.evaluated",
        "request.approved",
        "request.denied",
        "request.refused",
        "request.expired",
    ],
    files: &["population.csv", "documents/"],
};
const DUTY: Evidence = Evidence {
    supports: "who asked and who approved are different people, as many as the rules ask for; where they are not, it is called self-attested",
    types: &["decision.recorded", "request.approved"],
    files: &["population.csv", "decisions/"],
};
const SHOWN: Evidence = Evidence {
    supports: "what was shown to the person, complete and by digest, before it was signed",
    types: &["review.opened", "decision.recorded"],
    files: &["documents/", "decisions/"],
};
const BOUND: Evidence = Evidence {
    supports: "each decision is signed by a key of the person over this one request, its parameters, the requester and the head of the log, and is used once",
    types: &["decision.recorded", "request.redeemed"],
    files: &["decisions/", "allowed_signers/"],
};
const KEYS: Evidence = Evidence {
    supports: "the keys that may sign, whose they are, and that decisions were signed with them",
    types: &["decision.recorded", "log.genesis", "rules.changed"],
    files: &["allowed_signers/", "decisions/"],
};
const LOGGED: Evidence = Evidence {
    supports: "each privileged action, who asked, who decided, what came of it",
    types: &[
        "request.received",
        "decision.recorded",
        "request.redeemed",
        "execution.started",
        "execution.finished",
    ],
    files: &["entries.jsonl", "population.csv"],
};
const RUN: Evidence = Evidence {
    supports: "what ran, reported by whom, and with what result",
    types: &[
        "request.redeemed",
        "execution.started",
        "execution.finished",
        "execution.not-run",
        "execution.indeterminate",
        "execution.settled",
    ],
    files: &["entries.jsonl", "population.csv"],
};
const TAMPER: Evidence = Evidence {
    supports: "the entries are the leaves of a tree whose signed heads are held elsewhere as well",
    types: &[
        "log.genesis",
        "key.rotated",
        "key.retired",
        "rollback.adopted",
    ],
    files: &["checkpoint", "tile/", "trust-policy", "verify.sh"],
};
const CLOCK: Evidence = Evidence {
    supports: "each entry says what the clock was and whether it was synchronised; a clock that was behind the log is an entry",
    types: &["clock.jumped", "daemon.started"],
    files: &["entries.jsonl"],
};
const KEEP: Evidence = Evidence {
    supports: "what was kept, what was erased, and what was pruned, by whom",
    types: &["document.erased", "log.pruned", "log.genesis"],
    files: &["entries.jsonl", "pack.json"],
};
const RULES: Evidence = Evidence {
    supports: "what the rules and the people were at each time, and each change of them",
    types: &["log.genesis", "rules.changed"],
    files: &["roster.csv", "allowed_signers/", "policies/"],
};
const REVIEW: Evidence = Evidence {
    supports: "how much each person decides, how fast, and what happened outside of the ordinary way",
    types: &[
        "decision.recorded",
        "request.expired",
        "breakglass.used",
        "debt.closed",
        "event.refused",
    ],
    files: &["report.html", "population.csv"],
};
const STOP: Evidence = Evidence {
    supports: "a person can deny, take back and stop, at any time",
    types: &[
        "request.denied",
        "request.revoked",
        "execution.kill-requested",
    ],
    files: &["population.csv", "decisions/"],
};
const GLASS: Evidence = Evidence {
    supports: "who went past the ordinary way, why, and who reviewed it",
    types: &["breakglass.used", "debt.closed"],
    files: &["report.html", "decisions/"],
};
const DATA: Evidence = Evidence {
    supports: "which data was touched, of what classification, by whom, to where",
    types: &["data.accessed"],
    files: &["usage.csv", "entries.jsonl"],
};
const MASK: Evidence = Evidence {
    supports: "secrets are masked before anything is stored or shown; only who asked holds what opens them",
    types: &["request.received"],
    files: &["documents/", "entries.jsonl"],
};
const REFUSED: Evidence = Evidence {
    supports: "calls that were refused before they became requests",
    types: &["event.refused", "request.refused"],
    files: &["entries.jsonl", "report.html"],
};

const SOC2: &str = "SOC 2 (TSC 2017)";
const ISO: &str = "ISO/IEC 27001:2022 Annex A";
const NIST: &str = "NIST SP 800-53r5 / FedRAMP";
const AI_ACT: &str = "EU AI Act (Regulation 2024/1689)";
const AISVS: &str = "OWASP AISVS C9";

/// All controls, by framework.
pub const CONTROLS: &[Control] = &[
    REVIEW.for_control(SOC2, "CC4.1", "monitoring of controls"),
    DUTY.for_control(
        SOC2,
        "CC5.1",
        "choice of control activities, segregation of duties",
    ),
    HOLD.for_control(SOC2, "CC6.1", "logical access"),
    RULES.for_control(SOC2, "CC6.2", "registering and removing users"),
    DUTY.for_control(
        SOC2,
        "CC6.3",
        "access by role, least privilege, segregation of duties",
    ),
    LOGGED.for_control(SOC2, "CC7.2", "monitoring for anomalies"),
    GLASS.for_control(SOC2, "CC7.3", "evaluating security events"),
    SHOWN.for_control(SOC2, "CC8.1", "authorising and documenting changes"),
    MASK.for_control(SOC2, "C1.1", "protecting confidential information"),
    KEEP.for_control(SOC2, "C1.2", "disposing of confidential information"),
    DUTY.for_control(ISO, "5.3", "segregation of duties"),
    HOLD.for_control(ISO, "5.15", "access control"),
    KEYS.for_control(ISO, "5.17", "authentication information"),
    RULES.for_control(ISO, "5.18", "access rights"),
    BOUND.for_control(ISO, "5.28", "collection of evidence"),
    TAMPER.for_control(ISO, "5.33", "protection of records"),
    HOLD.for_control(ISO, "8.2", "privileged access rights"),
    HOLD.for_control(ISO, "8.3", "restricting access to information"),
    RULES.for_control(ISO, "8.9", "configuration management"),
    KEEP.for_control(ISO, "8.10", "deletion of information"),
    MASK.for_control(ISO, "8.11", "data masking"),
    DATA.for_control(ISO, "8.12", "preventing data leakage"),
    LOGGED.for_control(ISO, "8.15", "logging"),
    REVIEW.for_control(ISO, "8.16", "monitoring"),
    CLOCK.for_control(ISO, "8.17", "clock synchronisation"),
    KEYS.for_control(ISO, "8.24", "use of cryptography"),
    SHOWN.for_control(ISO, "8.32", "change management"),
    RULES.for_control(NIST, "AC-2", "account management"),
    HOLD.for_control(NIST, "AC-3", "access enforcement"),
    DUTY.for_control(NIST, "AC-3(2)", "dual authorization (in no baseline)"),
    DATA.for_control(NIST, "AC-4", "information flow enforcement"),
    DUTY.for_control(NIST, "AC-5", "separation of duties (moderate, high)"),
    HOLD.for_control(NIST, "AC-6", "least privilege (moderate, high)"),
    LOGGED.for_control(
        NIST,
        "AC-6(9)",
        "logging the use of privileged functions (moderate, high)",
    ),
    LOGGED.for_control(NIST, "AU-2", "event logging"),
    LOGGED.for_control(NIST, "AU-3", "content of audit records"),
    RUN.for_control(
        NIST,
        "AU-3(1)",
        "additional audit information (moderate, high)",
    ),
    REVIEW.for_control(NIST, "AU-6", "audit record review and reporting"),
    CLOCK.for_control(NIST, "AU-8", "time stamps"),
    TAMPER.for_control(NIST, "AU-9", "protection of audit information"),
    TAMPER.for_control(NIST, "AU-9(2)", "audit records on separate systems (high)"),
    TAMPER.for_control(NIST, "AU-9(3)", "cryptographic protection (high)"),
    BOUND.for_control(NIST, "AU-10", "non-repudiation (high)"),
    KEEP.for_control(NIST, "AU-11", "audit record retention"),
    LOGGED.for_control(NIST, "AU-12", "audit record generation"),
    RULES.for_control(
        NIST,
        "CM-3",
        "configuration change control (moderate, high)",
    ),
    HOLD.for_control(NIST, "CM-5", "access restrictions for change"),
    KEYS.for_control(NIST, "IA-2", "identification and authentication"),
    REFUSED.for_control(NIST, "SI-4", "system monitoring"),
    LOGGED.for_control(AI_ACT, "Art. 12(1)", "automatic recording of events"),
    RUN.for_control(
        AI_ACT,
        "Art. 12(2)",
        "events relevant to risk and to monitoring",
    ),
    SHOWN.for_control(
        AI_ACT,
        "Art. 14(4)(a)",
        "understanding capacities and limitations",
    ),
    REVIEW.for_control(AI_ACT, "Art. 14(4)(b)", "awareness of automation bias"),
    SHOWN.for_control(AI_ACT, "Art. 14(4)(c)", "interpreting the output"),
    HOLD.for_control(
        AI_ACT,
        "Art. 14(4)(d)",
        "deciding not to use, disregarding, overriding",
    ),
    STOP.for_control(AI_ACT, "Art. 14(4)(e)", "intervening and stopping"),
    KEEP.for_control(AI_ACT, "Art. 19(1)", "keeping logs"),
    REVIEW.for_control(AI_ACT, "Art. 26(5)", "monitoring by the deployer"),
    KEEP.for_control(AI_ACT, "Art. 26(6)", "keeping logs by the deployer"),
    HOLD.for_control(AISVS, "9.2.1", "high-impact actions wait for a person"),
    SHOWN.for_control(AISVS, "9.2.2", "the person sees the exact parameters"),
    BOUND.for_control(
        AISVS,
        "9.2.8",
        "approval bound to parameters, identity and one use",
    ),
    KEYS.for_control(AISVS, "9.2.9", "approval keys out of the agent's reach"),
    TAMPER.for_control(AISVS, "9.4.2", "tamper-evident records of agents' actions"),
];

//! What waits for people: rules that were not taken, reviews that are owed, runs of unknown end, and
//! requests that nobody could approve as things stand.

use std::fmt::Write as _;

use countersign_shared::machine::State;
use countersign_shared::wire::pb;

use super::super::exit::chain;
use super::{Finding, bad, good};
use crate::client::{Client, ClientError};

/// How many pending requests are looked at one by one.
const LOOKED_AT: usize = 200;
/// How many names stand in one finding.
const NAMED: usize = 5;

/// Checks all of it.
pub(super) async fn check(client: &mut Client, findings: &mut Vec<Finding>) {
    match client.rules().await {
        Ok(rules) => of_rules(&rules, findings),
        Err(error) => findings.push(bad("rules", chain(&error))),
    }
    match client.owed().await {
        Ok(owed) => of_owed(&owed, findings),
        Err(error) => findings.push(bad("debts", chain(&error))),
    }
    findings.push(match waiting(client).await {
        Ok(finding) => finding,
        Err(error) => bad("requests", chain(&error)),
    });
}

/// What of the rules has to be mended.
fn of_rules(rules: &pb::GetRulesResponse, findings: &mut Vec<Finding>) {
    findings.push(if rules.refused.is_empty() {
        good("rules", format!("in force: {}", rules.digest))
    } else {
        bad(
            "rules",
            format!(
                "the files as they are now are not in force: {}; mend them and reload",
                rules.refused
            ),
        )
    });
    findings.extend(rules.standing.iter().flat_map(of_standing));
    let loaded = match rules.policies {
        0 => "none: everything is held under the default requirement".to_owned(),
        1 => "1 policy".to_owned(),
        several => format!("{several} policies"),
    };
    findings.push(if rules.lacks.is_empty() {
        good("policies", loaded)
    } else {
        bad(
            "policies",
            format!(
                "{loaded}; the roster lacks people, so such requests expire, and a start of the daemon would \
                 be refused: {}",
                some(&rules.lacks)
            ),
        )
    });
    findings.push(good(
        "break-glass",
        if rules.break_glass.is_empty() {
            "nobody may approve alone".to_owned()
        } else {
            format!("{} may approve alone", rules.break_glass.join(", "))
        },
    ));
}

/// Which rules wait for the word of reviewers.
fn of_standing(standing: &pb::RulesStanding) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !standing.adopted.is_empty() {
        findings.push(bad(
            "adopted",
            format!(
                "the operator put the rules {} in force without the reviewers: {}; a reviewer looks \
                 with `countersign rules show` and takes note with `countersign rules acknowledge`",
                standing.adopted, standing.adopted_reason
            ),
        ));
    }
    if !standing.proposed.is_empty() {
        findings.push(bad(
            "proposed",
            format!(
                "the rules {} wait, {}; a reviewer looks with `countersign rules diff` and signs with \
                 `countersign rules sign`",
                standing.proposed, standing.missing
            ),
        ));
    }
    findings
}

fn of_owed(owed: &pb::ListOwedResponse, findings: &mut Vec<Finding>) {
    let ids = |requests: &[pb::Summary]| {
        let ids: Vec<String> = requests.iter().map(|it| it.id.clone()).collect();
        some(&ids)
    };
    findings.push(if owed.debts.is_empty() {
        good("debts", "no review is owed".to_owned())
    } else {
        bad(
            "debts",
            format!(
                "the glass was broken and nobody has reviewed it: {}; another person closes it with \
                 `countersign close-debt`",
                ids(&owed.debts)
            ),
        )
    });
    findings.push(if owed.unsettled.is_empty() {
        good("runs", "how every run ended is known".to_owned())
    } else {
        bad(
            "runs",
            format!(
                "nobody knows how they ended: {}; find out and say so with `countersign settle`",
                ids(&owed.unsettled)
            ),
        )
    });
}

/// Looks for requests that nobody could approve, if everybody who may did.
async fn waiting(client: &mut Client) -> Result<Finding, ClientError> {
    let open = client.list(false).await?;
    let pending: Vec<pb::Summary> = open
        .into_iter()
        .filter(|it| {
            countersign_client::shown::state(it.state).is_ok_and(|state| state == State::Pending)
        })
        .collect();
    let mut stuck = Vec::new();
    for request in pending.iter().take(LOOKED_AT) {
        let answer = client.get(&request.id, 0).await?;
        if !answer.nobody_for.is_empty() {
            stuck.push(format!(
                "{} (no one is left for {})",
                request.id,
                answer.nobody_for.join(" and ")
            ));
        }
    }
    let beyond = pending.len().saturating_sub(LOOKED_AT);
    let unseen = if beyond == 0 {
        String::new()
    } else {
        format!("; {beyond} more were not looked at")
    };
    Ok(if stuck.is_empty() {
        let waits = match pending.len() {
            0 => "none waits".to_owned(),
            1 => "1 waits, and it could be approved".to_owned(),
            several => format!("{several} wait, and could be approved"),
        };
        good("requests", format!("{waits}{unseen}"))
    } else {
        bad(
            "requests",
            format!(
                "nobody could approve {}{unseen}; deny them, or add people to the roster",
                some(&stuck)
            ),
        )
    })
}

/// The first few, and how many more there are.
fn some(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = names.len().saturating_sub(NAMED);
    if more > 0 {
        let _infallible = write!(text, " and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwell(findings: &[Finding]) -> Vec<&'static str> {
        let bad = findings.iter().filter(|finding| !finding.is_well);
        bad.map(|finding| finding.what).collect()
    }

    #[test]
    fn what_has_to_be_done_about_rules_is_named() {
        let mut findings = Vec::new();
        of_rules(&pb::GetRulesResponse::default(), &mut findings);
        assert!(unwell(&findings).is_empty());
        findings.clear();
        let rules = pb::GetRulesResponse {
            refused: "`policy/a.cedar:3`: unknown group `dba`".to_owned(),
            lacks: vec!["policy `b`: nobody is left".to_owned()],
            policies: 3,
            ..pb::GetRulesResponse::default()
        };
        of_rules(&rules, &mut findings);
        assert_eq!(unwell(&findings), ["rules", "policies"]);
    }

    #[test]
    fn rules_that_wait_for_people_are_unwell() {
        let mut findings = Vec::new();
        let standing = pb::RulesStanding {
            proposed: "sha256:aa".to_owned(),
            missing: "needs 1 more signature".to_owned(),
            adopted: "sha256:bb".to_owned(),
            adopted_reason: "all keys are lost".to_owned(),
            ..pb::RulesStanding::default()
        };
        let rules = pb::GetRulesResponse {
            standing: Some(standing),
            ..pb::GetRulesResponse::default()
        };
        of_rules(&rules, &mut findings);
        assert_eq!(unwell(&findings), ["adopted", "proposed"]);
        let says: Vec<&str> = findings.iter().map(|it| it.says.as_str()).collect();
        assert!(says.iter().any(|it| it.contains("all keys are lost")));
        assert!(says.iter().any(|it| it.contains("needs 1 more signature")));
    }

    #[test]
    fn what_is_owed_is_unwell_until_it_is_closed() {
        let mut findings = Vec::new();
        of_owed(&pb::ListOwedResponse::default(), &mut findings);
        assert!(unwell(&findings).is_empty());
        findings.clear();
        let owed = pb::ListOwedResponse {
            debts: vec![pb::Summary::default(); 7],
            unsettled: vec![pb::Summary::default()],
        };
        of_owed(&owed, &mut findings);
        assert_eq!(unwell(&findings), ["debts", "runs"]);
        assert!(findings.iter().any(|it| it.says.contains("and 2 more")));
    }
}

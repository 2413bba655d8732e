//! The README of a pack: what it is about, what lies where, and what is shown by it.

use countersign_shared::time::Timestamp;

use super::survey::Survey;
use super::{Order, Packed, Scope};

/// Writes the README.
pub(super) fn text(order: &Order, packed: &Packed, survey: &Survey) -> String {
    let head = &packed.head;
    let time =
        |at: Option<Timestamp>, none: &str| at.map_or_else(|| none.to_owned(), |at| at.to_string());
    let (scope, completeness) = about(order, packed, survey);
    let last = time(survey.last, "(no entry)");
    format!(
        "EVIDENCE PACK OF A COUNTERSIGN LOG\n\
         \n\
         log       {origin}\n\
         head      {size} entries, root {root}\n\
         last      {last}\n\
         about     {scope}\n\
         holds     {entries} entries, {requests} requests, {statements} signed statements\n\
         made      {made} by {software}\n\
         \n\
         COMPLETE\n\
         \n\
         {completeness}\n\
         \n\
         CHECK IT\n\
         \n\
         \x20   sh verify.sh\n\
         \n\
         needs sh, sha256sum, ssh-keygen and python3, and nothing else. It ends with 0 when everything is\n\
         as it should be, with 9 when something is not, and with 1 when it cannot tell. A script that\n\
         came with the evidence is no witness: read it, or compare it with the one that is published\n\
         with the program. Three things in this pack can be believed only after a look elsewhere:\n\
         \n\
         \x20   the log's key          --vkey FILE    as you had it before, or from the operator's record\n\
         \x20   a head of the log      --head FILE    as a console, an agent or a witness kept it\n\
         \x20   the people's keys      compare allowed_signers/ with the keys that the people give you\n\
         \n\
         WHAT LIES WHERE\n\
         \n\
         entries.jsonl        the exact bytes of the entries, one to a line\n\
         checkpoint           the log's signed head (C2SP tlog-checkpoint)\n\
         tile/                the hashes of the whole log (C2SP tlog-tiles)\n\
         trust-policy         the log's keys, and which heads each signs (C2SP tlog-policy)\n\
         report.html          a page for people; not read by verify.sh, as usage.csv and this file\n\
         population.csv       every request, one to a row\n\
         documents/           what was asked, shown and signed, by request; secrets are masked\n\
         decisions/           what people signed, by the position of the entry, with its .sig\n\
         allowed_signers/     who could sign, by the position of the entry that said so\n\
         roster.csv           the people, their groups and keys, and each change\n\
         policies/            the rules, by their digest\n\
         usage.csv            which data was used (stated where the entries say so)\n\
         controls.csv         which entries support evidence for which control\n\
         pack.json            what this page says, for programs\n\
         manifest.sha256      the digests of all files\n\
         \n\
         WHAT IS NOT HERE\n\
         \n\
         documents that were erased: {erased}; rules whose files were not kept: {missing}.\n\
         {pruned}\
         What an agent's side executed is what it reported; see `executor` in population.csv.\n",
        origin = head.origin(),
        size = head.size(),
        root = head.root(),
        entries = packed.entries,
        requests = packed.requests,
        statements = packed.statements,
        made = order.made_at,
        software = crate::record::shown(&order.software),
        erased = packed.erased.len(),
        missing = packed.rules_missing.len(),
        pruned = pruned(survey),
    )
}

/// Says what the pack is about, and what is shown of its being complete.
fn about(order: &Order, packed: &Packed, survey: &Survey) -> (String, String) {
    match order.scope {
        Scope::Period(period) => {
            let (begin, end) = (packed.range.start, packed.range.end);
            let scope = format!(
                "the time from {} up to and without {}",
                time(period.from, "the beginning of the log"),
                time(period.until, "the end of the log"),
            );
            let neighbour = |side: &str, at: Option<Timestamp>| match at {
                Some(at) => format!("The entry {side} them, of {at}, is here as well."),
                None => format!("No entry is {side} them."),
            };
            let before = match survey.before {
                None if begin > 0 => "The entry before them was pruned.".to_owned(),
                before => neighbour("before", before),
            };
            let after = neighbour("after", survey.after);
            let completeness = format!(
                "The entries of this time have the positions from {begin} up to and without {end}. All of them are\n\
                 here, each a leaf of the one tree under the log's signed head: none can be left out, added\n\
                 or exchanged.\n\
                 {before}\n\
                 {after}\n\
                 Times in the log never go back, except at an entry `clock.jumped`; only a pack of the whole log\n\
                 shows that none stands elsewhere. Earlier entries are here where a request of this time began\n\
                 before it, and those that say who could sign; those that name the log's keys are all here."
            );
            (scope, completeness)
        }
        Scope::Request(id) => (
            format!("the request {id}"),
            "Each entry here is a leaf of the tree under the log's signed head. That there are no other\n\
             entries about the request is not shown: ask for a period to have that."
                .to_owned(),
        ),
    }
}

/// Writes a time, or what stands for none.
fn time(at: Option<Timestamp>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), |at| at.to_string())
}

/// Says what of the log is gone, if anything is.
fn pruned(survey: &Survey) -> String {
    let count = survey.pruning.positions().count();
    if count == 0 {
        return String::new();
    }
    let before = survey.pruning.before();
    format!(
        "Of the entries before {before}, {count} were pruned from the log; their hashes are in its tree. Packs\n\
         that were made before have them.\n"
    )
}

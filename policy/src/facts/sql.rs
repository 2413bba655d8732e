//! The facts of `sql.exec`: which statements, on which tables, calling what.
//!
//! Which database will read the text is not known here, and databases differ in what they take for
//! a comment or the end of a string. The text is therefore read as each of several of them would,
//! and what any reading finds counts. What no reading understands is unparsable, and that is a
//! fact too; so is a text whose words are other ones for some of them, unless each reading
//! understands it: what stands in a string for one database may be a statement for the next.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::catch_unwind;

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, SetExpr, Statement, TableFactor, Visit as _, Visitor,
};
use sqlparser::dialect::{
    Dialect, GenericDialect, MsSqlDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token, Tokenizer};

use super::{Draft, Reversibility};

/// A longer text is not read: five readings of it would cost more than an answer is worth.
const LONGEST: usize = 64 * 1024;

/// How much stack there is for each byte of a text: expressions nest as deep as the text is long, and are
/// walked and freed by recursion. It took less than a quarter of this in a debug build.
const STACK_PER_BYTE: usize = 2048;

/// The stack for the rest of a reading.
const STACK: usize = 256 * 1024;

/// Statements that change nothing.
const READING: [&str; 14] = [
    "begin",
    "commit",
    "describe",
    "desc",
    "explain",
    "fetch",
    "release",
    "rollback",
    "savepoint",
    "select",
    "show",
    "start",
    "use",
    "values",
];

/// Statements whose effect another statement takes back.
const ADDING: [&str; 3] = ["comment", "create", "insert"];

/// Statements that destroy what was there.
const DESTROYING: [&str; 9] = [
    "alter",
    "delete",
    "drop",
    "merge",
    "overwrite",
    "rename",
    "replace",
    "truncate",
    "update",
];

/// Functions that compute something and do nothing.
const COMPUTING: [&str; 38] = [
    "abs",
    "array_agg",
    "avg",
    "ceil",
    "char_length",
    "coalesce",
    "concat",
    "count",
    "date",
    "date_part",
    "date_trunc",
    "dense_rank",
    "extract",
    "first_value",
    "floor",
    "greatest",
    "ifnull",
    "lag",
    "last_value",
    "lead",
    "least",
    "length",
    "lower",
    "max",
    "min",
    "mod",
    "now",
    "nullif",
    "rank",
    "round",
    "row_number",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "trim",
    "upper",
    "unnest",
];

/// How the text is read: as anything, and as the databases that differ most.
const DIALECTS: [fn() -> &'static dyn Dialect; 5] = [
    || &GenericDialect {},
    || &PostgreSqlDialect {},
    || &MySqlDialect {},
    || &SQLiteDialect {},
    || &MsSqlDialect {},
];

/// What the readings found.
#[derive(Default)]
struct Found {
    statements: BTreeSet<String>,
    tables: BTreeSet<String>,
    functions: BTreeSet<String>,
    unfiltered: bool,
    count: usize,
}

pub(super) fn look(text: &str, draft: &mut Draft) -> Option<Reversibility> {
    let room = text.len().min(LONGEST) * STACK_PER_BYTE + STACK;
    let found = stacker::maybe_grow(room, room, || read(text));
    draft.set("parsed", found.is_ok());
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            for name in [
                "statements",
                "tables",
                "functions",
                "unfiltered",
                "statement_count",
            ] {
                draft.unknown(name, why.clone());
            }
            // A statement nobody could read may be one without a condition.
            Found {
                unfiltered: true,
                ..Found::default()
            }
        }
    };
    draft.set_all("statements", found.statements.iter().map(String::as_str));
    draft.set_all("tables", found.tables.iter().map(String::as_str));
    draft.set_all("functions", found.functions.iter().map(String::as_str));
    draft.set("unfiltered", found.unfiltered);
    draft.set("statement_count", found.count);
    found.class()
}

fn read(text: &str) -> Result<Found, String> {
    if text.trim().is_empty() {
        return Err("the arguments have no text `statement`".to_owned());
    }
    if text.len() > LONGEST {
        let found = text.len();
        return Err(format!(
            "the statement has {found} bytes, and {LONGEST} are read"
        ));
    }
    if text.contains("/*!") || text.contains("/*M!") {
        return Err("some databases run what stands in such a comment".to_owned());
    }
    let mut found = Found::default();
    let mut readings = 0_usize;
    let mut problem = String::new();
    for dialect in DIALECTS {
        // A parser of other people's text is held to giving an answer, whatever the text.
        match catch_unwind(|| Parser::parse_sql(dialect(), text)) {
            Ok(Ok(statements)) if !statements.is_empty() => {
                readings += 1;
                found.count = found.count.max(statements.len());
                for statement in &statements {
                    match statement.visit(&mut found) {
                        ControlFlow::Continue(()) => {}
                        ControlFlow::Break(never) => match never {},
                    }
                }
            }
            Ok(Ok(_)) => "it holds no statement".clone_into(&mut problem),
            Ok(Err(error)) if problem.is_empty() => problem = error.to_string(),
            Ok(Err(_)) => {}
            Err(_) => "the parser gave up".clone_into(&mut problem),
        }
    }
    if readings > 0 && readings < DIALECTS.len() && !is_alike_for_all(text) {
        return Err(format!(
            "databases read it differently, and one reading is not understood: {}",
            problem.escape_debug()
        ));
    }
    if readings == 0 {
        // The message may quote the text.
        return Err(format!("it cannot be parsed: {}", problem.escape_debug()));
    }
    Ok(found)
}

/// Tells whether each database finds the same words, comments and strings left out, in the same places.
fn is_alike_for_all(text: &str) -> bool {
    let text = &without_quotes(text);
    let words = |dialect: &dyn Dialect| -> Option<Vec<Span>> {
        let tokens = Tokenizer::new(dialect, text).tokenize_with_location();
        let tokens = tokens.ok()?.into_iter();
        let words = tokens.filter(|it| !matches!(it.token, Token::Whitespace(_)));
        Some(words.map(|it| it.span).collect())
    };
    let read = |dialect: fn() -> &'static dyn Dialect| {
        catch_unwind(|| words(dialect())).unwrap_or_default()
    };
    let mut all = DIALECTS.into_iter().map(read);
    let first = all.next().flatten();
    first.is_some() && all.all(|words| words == first)
}

/// Writes names in backticks or brackets without them. A database that does not know these quotes refuses
/// the text, and one word in them hides nothing.
fn without_quotes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(['`', '[']) {
        let quote = rest.get(before.len()..).and_then(|it| it.chars().next());
        let end = if quote == Some('`') { '`' } else { ']' };
        plain.push_str(before);
        match after.split_once(end) {
            Some((word, after)) if word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                plain.extend(["_", word, "_"]);
                rest = after;
            }
            Some(_) | None => {
                plain.extend(quote);
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

impl Found {
    fn class(&self) -> Option<Reversibility> {
        let all = |known: &[&str]| {
            self.statements
                .iter()
                .all(|word| known.contains(&word.as_str()))
        };
        let any = |known: &[&str]| {
            self.statements
                .iter()
                .any(|word| known.contains(&word.as_str()))
        };
        let computes = self
            .functions
            .iter()
            .all(|name| COMPUTING.contains(&name.as_str()));
        if any(&DESTROYING) {
            Some(Reversibility::Irreversible)
        } else if self.statements.is_empty() || !computes {
            None
        } else if all(&READING) {
            Some(Reversibility::ReadOnly)
        } else if self
            .statements
            .iter()
            .all(|word| READING.contains(&word.as_str()) || ADDING.contains(&word.as_str()))
        {
            Some(Reversibility::Reversible)
        } else if all(&["grant", "revoke"]) {
            Some(Reversibility::ExternallyReversible)
        } else {
            None
        }
    }

    fn table(&mut self, name: &ObjectName) {
        self.tables.insert(spelled(name));
    }
}

impl Visitor for Found {
    type Break = std::convert::Infallible;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Self::Break> {
        let written = statement.to_string();
        let word = written.split([' ', '(', ';']).next().unwrap_or_default();
        let mut word = word.to_ascii_lowercase();
        if matches!(statement, Statement::Query(_)) {
            "select".clone_into(&mut word);
        }
        if let Statement::Delete(delete) = statement {
            self.unfiltered |= delete.selection.is_none();
            delete.tables.iter().for_each(|name| self.table(name));
        }
        if let Statement::Update { selection, .. } = statement {
            self.unfiltered |= selection.is_none();
        }
        if let Statement::Insert(insert) = statement {
            // Any clause for rows that are there already may change them.
            if insert.on.is_some() || insert.or.is_some() {
                self.statements.insert("update".to_owned());
            }
            if insert.overwrite {
                self.statements.insert("overwrite".to_owned());
            }
            if insert.replace_into {
                self.statements.insert("replace".to_owned());
            }
        }
        // `CREATE OR REPLACE` and `CREATE OR ALTER`, of whatever it is.
        if word == "create"
            && written
                .get(..10)
                .is_some_and(|it| it.eq_ignore_ascii_case("create or "))
        {
            self.statements.insert("replace".to_owned());
        }
        if let Statement::Drop { names, .. } = statement {
            for name in names {
                self.table(name);
            }
        }
        self.statements.insert(word);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if !query.locks.is_empty() {
            self.statements.insert("lock".to_owned());
        }
        self.enter(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Self::Break> {
        self.table(relation);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table {
            name,
            args: Some(_),
            ..
        }
        | TableFactor::Function { name, .. } = factor
        {
            self.functions.insert(spelled(name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expr {
            self.functions.insert(spelled(&function.name));
        }
        ControlFlow::Continue(())
    }
}

impl Found {
    /// Looks for what makes a query more than one: `SELECT … INTO` creates a table.
    fn enter(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) if select.into.is_some() => {
                self.statements.insert("create".to_owned());
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.enter(left);
                self.enter(right);
            }
            SetExpr::Select(_)
            | SetExpr::Query(_)
            | SetExpr::Values(_)
            | SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => {}
        }
    }
}

/// Writes a name without quotes, in lower case: databases differ in which case they take for the
/// same, and a policy that names a table must meet it in each of them.
fn spelled(name: &ObjectName) -> String {
    let parts = name.0.iter().map(|part| match part.as_ident() {
        Some(Ident { value, .. }) => value.to_lowercase(),
        None => part.to_string().to_lowercase(),
    });
    parts.collect::<Vec<_>>().join(".")
}

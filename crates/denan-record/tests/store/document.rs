//! `docs/record.md` says what is in the file, and its queries give what it shows.
//!
//! `UPDATE_DOCS=1 cargo test -p denan-record --features store` writes the generated parts anew.

use crate::sample;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const TABLES_START: &str = "<!-- tables: made of the comments in the schema -->\n";
const TABLES_END: &str = "<!-- end of tables -->\n";

fn check(actual: &str, transform: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/record.md");
    let expected = transform(actual);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, expected).unwrap();
    } else {
        assert_eq!(actual, expected, "docs/record.md is out of date; see this test's file");
    }
}

/// One test, because both parts are written to the same file.
#[test]
fn the_page_shows_the_tables_as_they_are_and_its_queries_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    sample::write(&path, &sample::broken_run());
    let db = Connection::open(&path).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/record.md");
    check(&fs::read_to_string(page).unwrap(), |page| with_answers(&with_tables(page, &db), &db));
}

fn with_tables(page: &str, db: &Connection) -> String {
    let (before, rest) = page.split_once(TABLES_START).expect("the page has the start mark");
    let (_, after) = rest.split_once(TABLES_END).expect("the page has the end mark");
    format!("{before}{TABLES_START}{}{TABLES_END}{after}", tables(db))
}

/// The tables with the comments that SQLite keeps in the file.
fn tables(db: &Connection) -> String {
    let mut text = String::new();
    let mut query =
        db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (name, sql): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
        let mut lines = sql.lines();
        let (_, about) = lines.next().unwrap().split_once(" -- ").expect("a table has a comment");
        write!(text, "\n### `{name}`\n\n{}\n\n", sentence(about)).unwrap();
        text.push_str("| column | type | meaning |\n|---|---|---|\n");
        let mut key = String::new();
        for line in lines {
            if let Some(columns) = line.trim().strip_prefix("PRIMARY KEY (") {
                key = format!("\nOne row for each `{}`.\n", columns.trim_end_matches(')'));
            }
            let Some((column, about)) = line.split_once(" -- ") else {
                continue;
            };
            let mut words = column.trim().trim_end_matches(',').split(' ');
            let name = words.next().unwrap();
            let kind = match words.next() {
                Some("INTEGER") => "integer",
                Some("TEXT") => "text",
                Some("BLOB") => "bytes",
                _ => "number",
            };
            writeln!(text, "| `{name}` | {kind} | {about} |").unwrap();
        }
        text.push_str(&key);
    }
    text.push('\n');
    check_every_column_is_explained(db, &text);
    text
}

fn check_every_column_is_explained(db: &Connection, text: &str) {
    let mut query = db
        .prepare(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table'",
        )
        .unwrap();
    let columns = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for column in columns {
        let (table, column): (String, String) = column.unwrap();
        let section = text.split(&format!("### `{table}`\n")).nth(1).unwrap();
        let section = section.split("###").next().unwrap();
        assert!(section.contains(&format!("| `{column}` |")), "{table}.{column} has no comment");
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().unwrap();
    format!("{}{}.", first.to_uppercase(), letters.as_str())
}

/// The page with each query's answer in the block below it.
fn with_answers(page: &str, db: &Connection) -> String {
    let mut text = String::new();
    let mut rest = page;
    let mut queries = 0;
    while let Some((before, after)) = rest.split_once("```sql\n") {
        let (sql, after) = after.split_once("```\n").unwrap();
        let (_, after) = after.split_once("```text\n").expect("an answer follows the query");
        let (_, after) = after.split_once("```\n").unwrap();
        write!(text, "{before}```sql\n{sql}```\n\n```text\n{}```\n", answer(db, sql)).unwrap();
        rest = after;
        queries += 1;
    }
    assert!(queries >= 3, "the page has {queries} queries");
    text + rest
}

fn answer(db: &Connection, sql: &str) -> String {
    let mut query = db.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut table = vec![query.column_names().map(ToOwned::to_owned).collect::<Vec<_>>()];
    let columns = table[0].len();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        table.push((0..columns).map(|column| cell(row.get_ref(column).unwrap())).collect());
    }
    assert!(table.len() > 1, "no row for {sql}");
    let mut text = String::new();
    for row in &table {
        let mut line = String::new();
        for (column, value) in row.iter().enumerate() {
            let width = table.iter().map(|row| row[column].len()).max().unwrap();
            write!(line, "{value:width$}  ").unwrap();
        }
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text
}

/// As the `sqlite3` program shows it.
fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(f64::INFINITY) => "Inf".into(),
        ValueRef::Real(f64::NEG_INFINITY) => "-Inf".into(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    }
}

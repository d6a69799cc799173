//! Questions about three well-known databases, each with a call and hand-written SQL whose results must be the same.
//! These tests do nothing if the database's dump is not on this machine.

use mcp_pg_benches::guide::examples;
use mcp_pg_tests::Database;

use crate::example::check;

const PAGILA: &str = include_str!("../../fixtures/questions/pagila.md");
const CHINOOK: &str = include_str!("../../fixtures/questions/chinook.md");
const NORTHWIND: &str = include_str!("../../fixtures/questions/northwind.md");

async fn ask(name: &str, questions: &str) {
    let Some(database) = Database::real(name).await else { return };
    let engine = database.engine().await;
    for question in examples(questions).unwrap() {
        check(&question, &database, &engine).await;
    }
}

#[test]
fn there_are_fifty_questions() {
    let all = [PAGILA, CHINOOK, NORTHWIND].map(|questions| examples(questions).unwrap().len());
    assert!(all.iter().sum::<usize>() >= 50, "{all:?}");
}

#[tokio::test]
async fn pagila() {
    ask("pagila", PAGILA).await;
}

#[tokio::test]
async fn chinook() {
    ask("chinook_serial", CHINOOK).await;
}

#[tokio::test]
async fn northwind() {
    ask("northwind", NORTHWIND).await;
}

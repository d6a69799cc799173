//! The schema as the core reads it, without requests.

use mcp_pg_core::TableName;
use mcp_pg_tests::Database;

#[tokio::test]
async fn comments_on_everything_are_read_and_cleaned() {
    let database = Database::of(
        "COMMENT ON SCHEMA public IS 'The\u{202e} shop';
         CREATE DOMAIN zip AS text CHECK (VALUE ~ '^[0-9]+$');
         COMMENT ON DOMAIN zip IS 'Digits';
         CREATE TABLE place (id int, zip zip, CONSTRAINT place_pk PRIMARY KEY (id),
                             CONSTRAINT zip_long CHECK (length(zip) = 5),
                             part_of int CONSTRAINT parent REFERENCES place);
         COMMENT ON TABLE place IS E'A place\\n  in two lines';
         COMMENT ON COLUMN place.zip IS 'Postal code';
         COMMENT ON CONSTRAINT place_pk ON place IS 'The key';
         COMMENT ON CONSTRAINT zip_long ON place IS 'Five';
         COMMENT ON CONSTRAINT parent ON place IS 'The larger one';
         CREATE FUNCTION near(a int, b int DEFAULT 3) RETURNS int LANGUAGE sql AS 'SELECT 1';
         COMMENT ON FUNCTION near(int, int) IS 'How near';",
    )
    .await;
    let schema = database.engine().await.schema();
    assert_eq!(schema.comments["public"], "The shop");
    let place = schema.table(&TableName::new("public", "place")).unwrap();
    assert_eq!(place.comment.as_deref(), Some("A place\n  in two lines"));
    let (_, zip) = place.column("zip").unwrap();
    assert_eq!(zip.comment.as_deref(), Some("Postal code"));
    assert_eq!(zip.data_type.comment.as_deref(), Some("Digits"));
    assert_eq!(place.primary_key.as_ref().unwrap().comment.as_deref(), Some("The key"));
    assert_eq!(place.checks[0].comment.as_deref(), Some("Five"));
    assert_eq!(place.foreign_keys[0].comment.as_deref(), Some("The larger one"));
    let function = &schema.functions[0];
    assert_eq!(function.name, "near");
    assert_eq!(function.arguments, "a integer, b integer");
    assert_eq!(function.result.as_deref(), Some("integer"));
    assert_eq!(function.comment.as_deref(), Some("How near"));
}

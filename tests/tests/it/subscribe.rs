//! Notifications of changes, in both eras of the protocol. For HTTP, see `streams`.

use std::time::Duration;

use mcp_pg_tests::Database;
use rmcp::model::{
    ResourceUpdatedNotificationParam, ServerNotification, SubscribeRequestParams,
    SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::NotificationContext;
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::canned::directory;
use crate::live::triggers;
use crate::program::{ERAS, Era, Session, file};

/// A client that writes down what it is told: `tools`, `resources`, or the address of a resource.
struct Ear(UnboundedSender<String>);

impl ClientHandler for Ear {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.send("tools".into()).unwrap();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.send("resources".into()).unwrap();
    }

    async fn on_resource_updated(
        &self,
        updated: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.0.send(updated.uri).unwrap();
    }
}

/// A client that listens.
struct Listening {
    session: Session<Ear>,
    heard: UnboundedReceiver<String>,
}

impl Listening {
    async fn open(arguments: &[&str], era: Era, uris: &[&str]) -> Self {
        let (told, heard) = unbounded_channel();
        let session = Session::open_with(Ear(told.clone()), arguments, era).await;
        match era {
            Era::Initialize => {
                for uri in uris {
                    subscribe(&session, uri).await.unwrap();
                }
            }
            Era::Discover => {
                let mut filter = SubscriptionFilter::new();
                filter.tools_list_changed = Some(true);
                filter.resources_list_changed = Some(true);
                filter.resource_subscriptions =
                    Some(uris.iter().map(|uri| uri.to_string()).collect());
                let mut stream = session.client.listen(filter).await.unwrap();
                tokio::spawn(async move {
                    while let Ok(Some(notification)) = stream.next().await {
                        let what = match notification {
                            ServerNotification::ToolListChangedNotification(_) => "tools".into(),
                            ServerNotification::ResourceListChangedNotification(_) => {
                                "resources".into()
                            }
                            ServerNotification::ResourceUpdatedNotification(updated) => {
                                updated.params.uri
                            }
                            other => panic!("{other:?}"),
                        };
                        let _ = told.send(what);
                    }
                });
            }
        }
        Self { session, heard }
    }

    /// Waits for exactly these, in any order.
    async fn hear(&mut self, expected: &[&str]) {
        let mut heard = Vec::new();
        while heard.len() < expected.len() {
            let next = tokio::time::timeout(Duration::from_secs(30), self.heard.recv()).await;
            heard.push(next.unwrap_or_else(|_| panic!("only {heard:?} of {expected:?}")).unwrap());
        }
        heard.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(heard, expected);
    }
}

#[expect(deprecated, reason = "the older era")]
async fn subscribe(session: &Session<Ear>, uri: &str) -> Result<(), rmcp::ServiceError> {
    session.client.subscribe(SubscribeRequestParams::new(uri)).await
}

pub(crate) const USERS: &str = "postgresql://schema/users";
pub(crate) const ORDERS: &str = "postgresql://schema/orders";

#[tokio::test]
async fn a_client_hears_what_its_role_may_now_do() {
    const ROLE: &str = "postgresql://role";
    let database = Database::shop().await;
    for era in ERAS {
        let files = directory([]);
        let text = format!("[queries]\ndirectory = {:?}\n", files.display().to_string());
        let config = file(&text);
        let path = config.to_str().unwrap();
        let arguments =
            ["stdio", "--database-url", &database.url, "--role", "admin", "--config", path];
        let mut client = Listening::open(&arguments, era, &[ROLE]).await;
        std::fs::write(files.join("extra.sql"), "-- @roles admin\nSELECT 1 AS one").unwrap();
        client.hear(&["tools", "resources", ROLE]).await;
        std::fs::write(&config, text + "[limits]\nmax_rows = 7\n").unwrap();
        client.hear(&[ROLE]).await;
    }
}

#[tokio::test]
async fn a_live_client_sees_the_schema_change() {
    let poll = file("[database]\nschema_poll = \"50ms\"");
    for era in ERAS {
        for triggered in [false, true] {
            let database = Database::shop().await;
            let mut arguments = vec!["stdio", "--database-url", &database.url];
            if triggered {
                database.sql(&triggers(&[]).await).await;
            } else {
                arguments.extend(["--config", poll.to_str().unwrap()]);
            }
            let mut client = Listening::open(&arguments, era, &[USERS]).await;
            let spelled = async |client: &Listening| -> Value {
                let tools = client.session.client.list_all_tools().await.unwrap();
                let select = tools.iter().find(|tool| tool.name == "select").unwrap();
                select.input_schema["properties"]["table"]["enum"].clone()
            };
            assert!(!spelled(&client).await.to_string().contains("gift"));

            database.sql("CREATE TABLE gift (id integer PRIMARY KEY)").await;
            client.hear(&["tools", "resources"]).await;
            assert!(spelled(&client).await.to_string().contains("gift"));
            let resources = client.session.client.list_all_resources().await.unwrap();
            assert!(resources.iter().any(|known| known.uri == "postgresql://schema/gift"));
            let listed = client.session.call("list_tables", json!({"search": "gift"})).await;
            assert_eq!(listed.unwrap()["tables"][0]["table"], "gift");

            database.sql("ALTER TABLE users ADD nickname text").await;
            client.hear(&["tools", "resources", USERS]).await;
        }
    }
}

#[tokio::test]
async fn rows_that_the_role_may_read_are_told_and_no_others() {
    let roles = file(
        "default_role = \"clerk\"\n[[roles.clerk.grants]]\ntables = [\"public.orders\"]\n\
         actions = [\"select\"]\n[[roles.clerk.grants]]\ntables = [\"public.users\"]\nactions = [\"insert\"]",
    );
    for era in ERAS {
        let database = Database::shop().await;
        let notify = ["users", "orders", "products"].map(|table| ["--notify", table]).concat();
        database.sql(&triggers(&notify).await).await;
        let arguments =
            ["stdio", "--database-url", &database.url, "--config", roles.to_str().unwrap()];
        let mut client = Listening::open(&arguments, era, &[USERS, ORDERS]).await;
        if era == Era::Initialize {
            let hidden = subscribe(&client.session, "postgresql://schema/products").await;
            let absent = subscribe(&client.session, "postgresql://schema/productz").await;
            let told = |result: Result<(), rmcp::ServiceError>| {
                result.unwrap_err().to_string().replace("productz", "products")
            };
            assert_eq!(told(hidden), told(absent));
        }
        // users may be written and not read; products do not exist for the role.
        for change in ["users SET name = name", "products SET name = name", "orders SET note = 'x'"]
        {
            database.sql(&format!("UPDATE {change}")).await;
        }
        client.hear(&[ORDERS]).await;
        let writer = database.client().await;
        for _ in 0..100 {
            writer.execute("UPDATE users SET name = name", &[]).await.unwrap();
            writer.execute("UPDATE orders SET note = 'y'", &[]).await.unwrap();
        }
        client.hear(&[ORDERS]).await;
        if era == Era::Initialize {
            #[expect(deprecated, reason = "the older era")]
            let enough = client.session.client.unsubscribe(UnsubscribeRequestParams::new(ORDERS));
            enough.await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            while let Ok(heard) = client.heard.try_recv() {
                assert_eq!(heard, ORDERS);
            }
            database.sql("UPDATE orders SET note = 'z'").await;
            // What comes next is of the schema.
            database.sql("COMMENT ON TABLE orders IS 'Orders'").await;
            client.hear(&["tools", "resources"]).await;
        }
    }
}

#[tokio::test]
async fn roles_that_see_some_rows_are_told_of_none() {
    let config = file(
        "default_role = \"tenant\"\n[roles.tenant]\ndatabase_role = \"told_of_rows\"\n\
         [[roles.tenant.grants]]\ntables = [\"public.orders\"]\nactions = [\"select\"]\n\
         rows = { user_id = \"claim:user\" }\n\
         [[roles.tenant.grants]]\ntables = [\"*\"]\nactions = [\"select\"]",
    );
    const PRODUCTS: &str = "postgresql://schema/products";
    for era in ERAS {
        let database = Database::shop().await;
        database
            .sql(
                "DO $$ BEGIN CREATE ROLE told_of_rows; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                 GRANT SELECT ON ALL TABLES IN SCHEMA public TO told_of_rows;
                 ALTER TABLE users ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY own ON users USING (name = current_setting('app.name', true));",
            )
            .await;
        let notify = ["users", "orders", "products"].map(|table| ["--notify", table]).concat();
        database.sql(&triggers(&notify).await).await;
        let arguments = [
            "stdio",
            "--database-url",
            &database.url,
            "--claims",
            "{\"user\": 1}",
            "--config",
            config.to_str().unwrap(),
        ];
        let mut client = Listening::open(&arguments, era, &[USERS, ORDERS, PRODUCTS]).await;
        for table in ["users SET name = name", "orders SET note = 'x'", "products SET name = name"]
        {
            database.sql(&format!("UPDATE {table}")).await;
        }
        client.hear(&[PRODUCTS]).await;
        // Of the tables themselves they are told.
        database.sql("COMMENT ON TABLE orders IS 'Orders'").await;
        client.hear(&["tools", "resources", ORDERS]).await;
    }
}

#[tokio::test]
async fn one_session_watches_a_bounded_number_of_resources() {
    let tables: String = (0..210).map(|n| format!("CREATE TABLE t{n} (id integer);")).collect();
    let database = Database::of(&tables).await;
    let arguments = ["stdio", "--database-url", &database.url];
    let client = Listening::open(&arguments, Era::Initialize, &[]).await;
    for number in 0..200 {
        subscribe(&client.session, &format!("postgresql://schema/t{number}")).await.unwrap();
    }
    subscribe(&client.session, "postgresql://schema/t7").await.unwrap();
    let refused = subscribe(&client.session, "postgresql://schema/t200").await.unwrap_err();
    assert!(refused.to_string().contains("200 resources"), "{refused}");
}

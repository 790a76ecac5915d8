//! Entities and migrations say the same, on both databases.

use std::{collections::BTreeMap, sync::Arc};

use filament_host::{
    config::{self, Inputs},
    database,
};
use filament_kernel::db::{ColumnKind, Database, EntityShape};
use filament_test_support::{Backend, on_both_databases};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

/// A table as the database knows it: column -> (kind, nullable), and the primary key in order.
async fn table(db: &Database, name: &str) -> (BTreeMap<String, (ColumnKind, bool)>, Vec<String>) {
    let sqlite = db.backend() == DbBackend::Sqlite;
    let sql = if sqlite {
        format!(
            "SELECT name, type, \"notnull\" = 0 AS nullable, pk FROM pragma_table_info('{name}') ORDER BY pk"
        )
    } else {
        format!(
            "SELECT c.column_name AS name, c.data_type AS type, c.is_nullable = 'YES' AS nullable, \
             COALESCE((SELECT array_position(i.indkey::int2[], a.attnum) + 1 FROM pg_index i \
               WHERE i.indrelid = '{name}'::regclass AND i.indisprimary), 0)::int AS pk \
             FROM information_schema.columns c JOIN pg_attribute a \
               ON a.attrelid = '{name}'::regclass AND a.attname = c.column_name \
             WHERE c.table_name = '{name}' AND c.table_schema = 'public' ORDER BY pk"
        )
    };
    let rows = db
        .read()
        .query_all_raw(Statement::from_string(db.backend(), sql))
        .await
        .expect("the schema");
    let mut columns = BTreeMap::new();
    let mut key = Vec::new();
    for row in rows {
        let name: String = row.try_get("", "name").expect("name");
        let kind: String = row.try_get("", "type").expect("type");
        let nullable: bool = row.try_get("", "nullable").expect("nullable");
        let place: i32 = row.try_get("", "pk").expect("pk");
        let kind = match kind.to_ascii_lowercase().as_str() {
            "text" | "character varying" | "varchar" => ColumnKind::Text,
            kind if kind.contains("int") => ColumnKind::Integer,
            "boolean" => ColumnKind::Boolean,
            "bytea" | "blob" => ColumnKind::Bytes,
            "json" | "jsonb" | "json_text" | "jsonb_text" => ColumnKind::Json,
            other => panic!("a column of type {other}"),
        };
        if place > 0 {
            key.push(name.clone());
        }
        columns.insert(name, (kind, nullable));
    }
    (columns, key)
}

on_both_databases!(every_entity_is_its_table, async |backend: Backend| {
    let database = backend.database().await.expect("a database");
    let loaded = config::load(&[], &[], &Inputs::default()).expect("defaults");
    let db = database::connect(&database.url, &loaded.host.database)
        .await
        .expect("connect");
    let schema: Arc<dyn database::Schema> = Arc::new(filament_tests::notes::Schema);
    database::migrate(&db, &database.url, &loaded.host.database, &schema)
        .await
        .expect("migrate");

    let mut shapes: Vec<EntityShape> = filament_host::event_log::shapes();
    shapes.extend(filament_host::audit::shapes());
    shapes.extend(filament_host::http::idempotency::shapes());
    for module in filament_tests::notes::modules() {
        shapes.extend(module.entities());
    }
    for shape in &shapes {
        let (columns, key) = table(&db, &shape.table).await;
        let mapped: BTreeMap<String, (ColumnKind, bool)> = shape
            .columns
            .iter()
            .map(|column| (column.name.clone(), (column.kind, column.nullable)))
            .collect();
        assert_eq!(mapped, columns, "the columns of {}", shape.table);
        assert_eq!(shape.primary_key, key, "the primary key of {}", shape.table);
    }

    let list = if backend == Backend::Sqlite {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    } else {
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
    };
    let rows = db
        .read()
        .query_all_raw(Statement::from_string(db.backend(), list))
        .await
        .expect("tables");
    for row in rows {
        let name: String = row.try_get("", "name").expect("name");
        let known = name == "seaql_migrations" || shapes.iter().any(|shape| shape.table == name);
        assert!(known, "no entity maps the table {name}");
    }
});

on_both_databases!(
    migrating_twice_at_once_migrates_once,
    async |backend: Backend| {
        let database = backend.database().await.expect("a database");
        let loaded = config::load(&[], &[], &Inputs::default()).expect("defaults");
        let schema: Arc<dyn database::Schema> = Arc::new(filament_server::ProductSchema);
        let db = database::connect(&database.url, &loaded.host.database)
            .await
            .expect("connect");
        if backend == Backend::Postgres {
            let other = database::connect(&database.url, &loaded.host.database)
                .await
                .expect("connect");
            let (one, two) = tokio::join!(
                database::migrate(&db, &database.url, &loaded.host.database, &schema),
                database::migrate(&other, &database.url, &loaded.host.database, &schema)
            );
            one.and(two).expect("both");
        } else {
            database::migrate(&db, &database.url, &loaded.host.database, &schema)
                .await
                .expect("once");
            database::migrate(&db, &database.url, &loaded.host.database, &schema)
                .await
                .expect("again");
        }
        let status = schema.status(db.read()).await.expect("status");
        assert!(
            status.len() >= 3 && status.iter().all(|(_, applied)| *applied),
            "{status:?}"
        );
    }
);

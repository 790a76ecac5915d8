//! The migrations, as the host sees them.

use filament_host::database::Schema;
use filament_migration::{Migrator, MigratorTrait};
use sea_orm::{DatabaseConnection, DbErr};

/// All migrations of the product.
pub struct ProductSchema;

#[async_trait::async_trait]
impl Schema for ProductSchema {
    async fn up(&self, db: &DatabaseConnection) -> Result<(), DbErr> {
        Migrator::up(db, None).await
    }

    fn names(&self) -> Vec<String> {
        Migrator::migrations()
            .iter()
            .map(|migration| migration.name().to_string())
            .collect()
    }

    async fn status(&self, db: &DatabaseConnection) -> Result<Vec<(String, bool)>, DbErr> {
        let applied: Vec<String> = Migrator::get_applied_migrations(db)
            .await?
            .iter()
            .map(|migration| migration.name().to_string())
            .collect();
        let names = self.names().into_iter();
        Ok(names
            .map(|name| {
                let is_applied = applied.contains(&name);
                (name, is_applied)
            })
            .collect())
    }
}

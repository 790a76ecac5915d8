use filament_kernel::db::EntityShape;

pub(crate) mod stream {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "event_streams")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub stream: String,
        pub last_number: i64,
        pub updated_at_ms: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod event {
    use filament_kernel::id::{ChannelId, UserId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "events")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub stream: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub at_ms: i64,
        #[sea_orm(column_type = "Text")]
        pub name: String,
        pub channel_id: Option<ChannelId>,
        #[sea_orm(column_type = "Text")]
        pub data: String,
        pub admits: Option<UserId>,
        pub expels: Option<UserId>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The host's own tables of the log.
pub fn shapes() -> Vec<EntityShape> {
    vec![
        EntityShape::of::<stream::Entity>(),
        EntityShape::of::<event::Entity>(),
    ]
}

//! The two databases, and one test body for both.

use crate::postgres::{Postgres, TestDatabase};

/// The database that a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// A file in a temporary folder.
    Sqlite,
    /// A database in this process's throwaway cluster.
    Postgres,
}

impl Backend {
    /// A fresh, empty database. `None` where PostgreSQL is not installed; that is said on stderr.
    pub async fn database(self) -> Option<TestDatabase> {
        match self {
            Self::Sqlite => Some(TestDatabase::sqlite()),
            Self::Postgres => Postgres::database().await,
        }
    }
}

/// Runs `story` on `backend`, or not at all where PostgreSQL is not installed. What [`crate::on_both_databases`] calls.
pub async fn run_on<F: AsyncFnOnce(Backend)>(backend: Backend, story: F) {
    if backend == Backend::Sqlite || Postgres::is_installed() {
        story(backend).await;
    }
}

/// Makes two tests of one body, `name::sqlite` and `name::postgres`.
///
/// ```ignore
/// on_both_databases!(a_message_is_found_again, async |backend| {
///     let server = Server::start(backend).await;
///     // …
/// });
/// ```
#[macro_export]
macro_rules! on_both_databases {
    ($name:ident, $story:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "a story may need nothing from around it")]
            use super::*;

            async fn story(backend: $crate::Backend) {
                $crate::backend::run_on(backend, $story).await;
            }

            #[test]
            fn sqlite() {
                $crate::backend::block_on(story($crate::Backend::Sqlite));
            }

            #[test]
            fn postgres() {
                $crate::backend::block_on(story($crate::Backend::Postgres));
            }
        }
    };
}

/// Runs one test on a runtime of its own. What [`crate::on_both_databases`] calls, so that its users need not depend on
/// tokio.
pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a tokio runtime");
    runtime.block_on(test);
}

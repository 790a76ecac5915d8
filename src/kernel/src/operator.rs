//! Commands of the operator: given on the server's machine, through the Unix socket in the data folder that only the server's own user
//! can open. Whoever can open it may do everything; there is no other proof of being the operator.

use std::{future::Future, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::error::ApiError;

/// A command of the operator.
#[async_trait::async_trait]
pub trait OperatorCommand: Send + Sync + 'static {
    /// Carries it out. `data` is the text of one JSON object.
    ///
    /// # Errors
    /// What is told to the operator, in the words of an [`ApiError`]'s outside.
    async fn run(&self, data: &RawValue) -> Result<Value, ApiError>;
}

struct Typed<S, T, F> {
    state: Arc<S>,
    run: F,
    data: PhantomData<fn(T)>,
}

/// A command made of a function; see [`crate::module::Instance::operator_command`].
pub(crate) fn typed<S, T, R, F, Fut>(state: Arc<S>, run: F) -> Arc<dyn OperatorCommand>
where
    S: Send + Sync + 'static,
    T: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    F: Fn(Arc<S>, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, ApiError>> + Send + 'static,
{
    Arc::new(Typed {
        state,
        run,
        data: PhantomData,
    })
}

#[async_trait::async_trait]
impl<S, T, R, F, Fut> OperatorCommand for Typed<S, T, F>
where
    S: Send + Sync + 'static,
    T: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    F: Fn(Arc<S>, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, ApiError>> + Send + 'static,
{
    async fn run(&self, data: &RawValue) -> Result<Value, ApiError> {
        let data =
            serde_json::from_str(data.get()).map_err(|error| ApiError::invalid("data", error))?;
        let answer = (self.run)(self.state.clone(), data).await?;
        serde_json::to_value(answer).map_err(ApiError::internal)
    }
}

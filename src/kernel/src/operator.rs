//! Commands of the operator: given on the server's machine, through the Unix socket in the data folder that only the server's own user
//! can open. Whoever can open it may do everything; there is no other proof of being the operator.

use std::{cell::Cell, future::Future, marker::PhantomData, sync::Arc};

use serde::{
    Serialize,
    de::{DeserializeOwned, value::MapDeserializer},
};
use serde_json::{Map, Value};

use crate::error::{ApiError, ErrorCode};

/// What a command is asked.
pub struct Asked<T> {
    /// The command's id: it stands in the log, and as the request's in the audit entries of what the command does.
    pub request_id: Arc<str>,
    /// What for.
    pub data: T,
}

/// A command of the operator.
#[async_trait::async_trait]
pub trait OperatorCommand: Send + Sync + 'static {
    /// Carries it out.
    ///
    /// # Errors
    /// What is told to the operator, in the words of an [`ApiError`]'s outside.
    async fn run(&self, asked: Asked<Map<String, Value>>) -> Result<Value, ApiError>;
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
    F: Fn(Arc<S>, Asked<T>) -> Fut + Send + Sync + 'static,
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
    F: Fn(Arc<S>, Asked<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, ApiError>> + Send + 'static,
{
    async fn run(&self, asked: Asked<Map<String, Value>>) -> Result<Value, ApiError> {
        let Asked { request_id, data } = asked;
        let data = read(&data)?;
        let asked = Asked { request_id, data };
        let answer = (self.run)(self.state.clone(), asked).await?;
        serde_json::to_value(answer).map_err(ApiError::internal)
    }
}

/// Reads what a command is asked.
///
/// # Errors
/// 400 that names the field.
fn read<T: DeserializeOwned>(data: &Map<String, Value>) -> Result<T, ApiError> {
    // The field that is being read; none once all have been, when one may turn out to be missing.
    let reading = Cell::new(None);
    let mut fields = data.iter();
    let watched = std::iter::from_fn(|| {
        let field = fields.next();
        reading.set(field.map(|(name, _)| name.as_str()));
        field.map(|(name, value)| (name.as_str(), value))
    });
    let read = T::deserialize(MapDeserializer::<_, serde_json::Error>::new(watched));
    read.map_err(|error| match reading.get() {
        Some(field) => ApiError::invalid(field, error),
        None => ApiError::new(ErrorCode::INVALID_REQUEST, error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::id::SessionId;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Question {
        #[expect(dead_code, reason = "it is there to be read")]
        username: String,
        session_id: Option<SessionId>,
    }

    fn ask(data: Value) -> Result<Question, String> {
        let data = data.as_object().expect("an object");
        read(data).map_err(|error| error.message().to_string())
    }

    #[test]
    fn what_is_wrong_names_its_field_and_no_position_in_a_text_that_nobody_sees() {
        let question = ask(json!({ "username": "ada", "session_id": null })).expect("good");
        assert_eq!(question.session_id, None);
        for (data, said) in [
            (
                json!({ "username": "ada", "session_id": "xyz" }),
                "session_id: must be an id: 26 upper-case characters of Crockford's base 32",
            ),
            (
                json!({ "username": 7 }),
                "username: invalid type: integer `7`, expected a string",
            ),
            (
                json!({ "admin": true }),
                "admin: unknown field `admin`, expected `username` or `session_id`",
            ),
            (json!({}), "missing field `username`"),
        ] {
            assert_eq!(ask(data).expect_err("refused"), said);
        }
    }
}

//! Requests and answers: what the host tells a handler about a request, checked JSON bodies, raw ones, and JSON written once.

mod raw_body;
mod reason;
mod shape;

use std::{fmt, marker::PhantomData, net::IpAddr, sync::Arc};

use bytes::Bytes;
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response, Result, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaRequest, MetaResponse, MetaResponses, Registry},
    types::{ParseFromJSON, Type},
};
use serde::{
    Serialize,
    de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use validator::Validate;

use self::shape::Shape;
pub use self::{
    raw_body::{BodyLimit, RawBody, body_broken_off, payload_too_large},
    reason::plain_reason,
};
use crate::{
    config::complaints,
    error::{ApiError, ErrorCode},
    service::ServiceTable,
};

/// What the host knows of a request. It is in the request's extensions, as an `Arc`.
pub struct RequestContext {
    /// The request's id, also in the answer's `x-request-id`.
    pub request_id: String,
    /// The client's address; a forwarded one only where a configured proxy says so.
    pub client_ip: IpAddr,
    /// The services of the generation that answers this request.
    pub services: Arc<ServiceTable>,
    /// That generation.
    pub generation: u64,
}

impl RequestContext {
    /// The context of `request`.
    ///
    /// # Errors
    /// 500 when the request did not come through the host.
    pub fn of(request: &Request) -> Result<&Arc<Self>, ApiError> {
        request.extensions().get::<Arc<Self>>().ok_or_else(|| {
            ApiError::internal("the request has no context: it did not come through the host")
        })
    }
}

/// The client's address, as a handler's argument.
#[derive(Debug, Clone, Copy)]
pub struct ClientIp(pub IpAddr);

impl<'a> FromRequest<'a> for ClientIp {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(Self(RequestContext::of(request)?.client_ip))
    }
}

/// Where a request comes from, as a handler's argument: what audit entries and the security log say of it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The request's id, also in the answer's `x-request-id`.
    pub request_id: Arc<str>,
    /// The client's address.
    pub client_ip: IpAddr,
    /// What the client calls itself (`User-Agent`): printable ASCII, cut at 256 characters.
    pub client: Option<Arc<str>>,
}

/// What is kept of a client's name for itself.
const CLIENT_CHARS: usize = 256;

impl<'a> FromRequest<'a> for Origin {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        let context = RequestContext::of(request)?;
        let client = request.header(header::USER_AGENT).map(|client| {
            let printable = client
                .chars()
                .filter(|c| c.is_ascii() && !c.is_ascii_control());
            printable.take(CLIENT_CHARS).collect::<String>().into()
        });
        Ok(Self {
            request_id: context.request_id.as_str().into(),
            client_ip: context.client_ip,
            client,
        })
    }
}

/// A JSON body that is checked before the handler sees it: that it is JSON without doubled keys, NUL or lone surrogates, its
/// shape (fields, types, `#[oai(validator)]`), and its meaning (`#[derive(Validate)]`).
///
/// Answers 400 `invalid_request` with every complaint about meaning at once, 413 and 415.
pub struct Valid<T>(pub T);

impl<T: ParseFromJSON + Validate + 'static> Valid<T> {
    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let value = strict_json(bytes)?;
        let invalid = |message: String| ApiError::new(ErrorCode::INVALID_REQUEST, message);
        if let Some(complaint) = Shape::of::<T>().complaint(&value) {
            return Err(invalid(complaint));
        }
        let parsed = T::parse_from_json(Some(value))
            .map_err(|error| invalid(plain_reason(error.message())))?;
        parsed.validate().map_err(|errors| {
            let all: Vec<String> = complaints(&errors)
                .into_iter()
                .map(|complaint| format!("{}: {}", complaint.key, complaint.message))
                .collect();
            ApiError::new(ErrorCode::INVALID_REQUEST, all.join("; "))
        })?;
        Ok(Self(parsed))
    }
}

/// Parses JSON and refuses what a lenient parser lets pass.
///
/// # Errors
/// 400 that says where.
pub fn strict_json(bytes: &[u8]) -> Result<Value, ApiError> {
    let bad = |error: serde_json::Error| {
        ApiError::new(
            ErrorCode::INVALID_REQUEST,
            format!("the body is not acceptable JSON: {error}"),
        )
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = StrictValue.deserialize(&mut deserializer).map_err(bad)?;
    deserializer.end().map_err(bad)?;
    Ok(value)
}

/// A [`Value`] without doubled keys and without NUL, which Postgres cannot store. Lone surrogates are refused by `serde_json`.
struct StrictValue;

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        if text.contains('\0') {
            return Err(E::custom("a string holds the character NUL"));
        }
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(StrictValue)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!(
                    "the key `{key}` stands there twice"
                )));
            }
            map.insert(key, entries.next_value_seed(StrictValue)?);
        }
        Ok(map.into())
    }
}

impl<'a, T: ParseFromJSON + Validate + 'static> ApiExtractor<'a> for Valid<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: Json::<T>::CONTENT_TYPE,
                schema: T::schema_ref(),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let content_type = request.content_type().unwrap_or_default();
        if !Json::<T>::check_content_type(content_type) {
            return Err(ApiError::new(
                ErrorCode::UNSUPPORTED_MEDIA_TYPE,
                "the Content-Type must be application/json",
            )
            .into());
        }
        let bytes = <Bytes as FromRequest>::from_request(request, body).await?;
        Ok(Self::parse(&bytes)?)
    }
}

/// A JSON answer whose schema is `T`'s and whose bytes were written by serde at once, without a detour through a tree of
/// values. A test of the module shows that both agree.
pub struct JsonBytes<T> {
    bytes: Bytes,
    schema: PhantomData<fn() -> T>,
}

impl<T: Serialize> JsonBytes<T> {
    /// Writes `value`.
    ///
    /// # Errors
    /// 500 when it does not serialise.
    pub fn of(value: &T) -> Result<Self, ApiError> {
        serde_json::to_vec(value)
            .map(Self::from_text)
            .map_err(ApiError::internal)
    }
}

impl<T> JsonBytes<T> {
    /// Takes bytes that are the JSON text of a `T` already.
    pub fn from_text(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            schema: PhantomData,
        }
    }
}

impl<T: Send> IntoResponse for JsonBytes<T> {
    fn into_response(self) -> Response {
        Response::builder()
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(self.bytes)
    }
}

impl<T: Type> ApiResponse for JsonBytes<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Json::<T>::CONTENT_TYPE,
                    schema: T::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// 204 with an empty body.
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        poem::http::StatusCode::NO_CONTENT.into_response()
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Done; there is nothing to say",
                status: Some(204),
                status_range: None,
                content: vec![],
                headers: vec![],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// An answer that the host must not store, a fresh token for example. A request that is sent again under the same `Idempotency-Key`
/// is then carried out again; one that is still under way is waited for.
#[derive(Debug, Clone, Copy)]
pub struct NotStored<T>(pub T);

/// The answer itself; the host finds a `NotStored<()>` among its extensions.
impl<T: IntoResponse> IntoResponse for NotStored<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(NotStored(()));
        response
    }
}

impl<T: ApiResponse> ApiResponse for NotStored<T> {
    fn meta() -> MetaResponses {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::Object;

    use super::*;

    #[derive(Debug, Object, Validate)]
    #[oai(deny_unknown_fields)]
    struct Greeting {
        #[validate(length(min = 2))]
        name: String,
        #[validate(range(max = 9))]
        times: Option<u32>,
    }

    fn refusal(body: &str) -> String {
        match Valid::<Greeting>::parse(body.as_bytes()) {
            Ok(valid) => panic!("accepted {:?}", valid.0),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::INVALID_REQUEST);
                error.message().to_string()
            }
        }
    }

    #[test]
    fn a_bad_body_is_told_which_field_and_which_bound() {
        assert_eq!(refusal("{}"), "name: required, but missing");
        assert_eq!(
            refusal(r#"{"name":"Ann","size":1}"#),
            "size: unknown; the fields here are name, times"
        );
        assert_eq!(
            refusal(r#"{"name":"A","times":10}"#),
            "name: must be at least 2 characters or items; times: must be at most 9"
        );
        assert!(refusal(r#"{"name":"A","name":"B"}"#).contains("`name` stands there twice"));
        assert!(refusal(r#"{"name":"A\u0000"}"#).contains("NUL"));
        assert!(refusal(r#"{"name":"\ud800"}"#).contains("not acceptable JSON"));
        assert!(refusal(r#"{"name":"Ann"} {}"#).contains("trailing"));
        assert_eq!(refusal("[]"), "the body must be a JSON object");
        assert_eq!(refusal(r#"{"name":77}"#), "name: must be a string");
    }
}

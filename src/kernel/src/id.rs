//! Identifiers: ULIDs (26 upper-case Crockford characters on the wire and in the database), one type for each kind of thing.

use std::{
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ulid::Ulid;

/// The text is not an upper-case ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId;

impl std::fmt::Display for InvalidId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("must be an id: 26 upper-case characters of Crockford's base 32")
    }
}

impl std::error::Error for InvalidId {}

/// The format of ids in schemas.
pub(crate) const FORMAT: &str = "ulid";

/// Reads 26 upper-case Crockford characters; the first is 0 to 7, so that the value fits 128 bits.
pub(crate) fn parse(text: &str) -> Result<Ulid, InvalidId> {
    let canonical = text.len() == 26
        && text.bytes().next().is_some_and(|b| b <= b'7')
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b)));
    if !canonical {
        return Err(InvalidId);
    }
    Ulid::from_string(text).map_err(|_| InvalidId)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            sea_orm::DeriveValueType, serde::Serialize, serde::Deserialize,
        )]
        #[sea_orm(value_type = "String")]
        #[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
        pub struct $name(Ulid);

        impl From<Ulid> for $name {
            fn from(id: Ulid) -> Self {
                Self(id)
            }
        }

        impl $name {
            /// The id's 128 bits.
            pub fn ulid(self) -> Ulid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut text = [0; ulid::ULID_LEN];
                f.pad(self.0.array_to_str(&mut text))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl TryFrom<std::borrow::Cow<'_, str>> for $name {
            type Error = InvalidId;
            fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        /// For primary keys: a database never makes one of these ids.
        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }

        impl poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                "string_ulid".into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                let mut schema = poem_openapi::registry::MetaSchema::new_with_format("string", FORMAT);
                schema.pattern = Some("^[0-7][0-9A-HJKMNP-TV-Z]{25}$".to_string());
                poem_openapi::registry::MetaSchemaRef::Inline(Box::new(schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl poem_openapi::types::ParseFromJSON for $name {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                match value.unwrap_or_default() {
                    serde_json::Value::String(text) => {
                        text.parse().map_err(poem_openapi::types::ParseError::custom)
                    }
                    other => Err(poem_openapi::types::ParseError::expected_type(other)),
                }
            }
        }

        impl poem_openapi::types::ParseFromParameter for $name {
            fn parse_from_parameter(text: &str) -> poem_openapi::types::ParseResult<Self> {
                text.parse().map_err(poem_openapi::types::ParseError::custom)
            }
        }

        impl poem_openapi::types::ToJSON for $name {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(serde_json::Value::String(self.to_string()))
            }
        }
    )*};
}

ids! {
    /// An account.
    UserId,
    /// A log-in of an account: what a refresh token and its access tokens belong to.
    SessionId,
    /// A guild, called workspace in events.
    GuildId,
    /// A channel of a guild.
    ChannelId,
    /// A message of a channel.
    MessageId,
    /// A role of a guild.
    RoleId,
    /// A ban of an address from a guild.
    IpBanId,
    /// A row of the audit log.
    AuditId,
    /// A request for friendship.
    FriendRequestId,
    /// Bytes that a module keeps with [`crate::ports::Blobs`].
    BlobId,
}

/// Makes ids that grow: each is greater than all before it, also within one millisecond, and also when the
/// clock steps back while the process runs or (through [`Ids::not_before`]) between two runs.
///
/// The format is that of the ULID specification (<https://github.com/ulid/spec>, "Monotonicity").
#[derive(Debug)]
pub struct Ids {
    last: Mutex<Ulid>,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            last: Mutex::new(Ulid::nil()),
        }
    }
}

impl Ids {
    /// A new id, greater than every earlier one of this generator.
    pub fn next<T: From<Ulid>>(&self) -> T {
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        let now_ms = millis(SystemTime::now());
        let next = if now_ms > last.timestamp_ms() {
            Ulid::from_parts(now_ms, rand::random())
        } else {
            // 80 random bits leave room for any number of increments; an overflow moves on to the next millisecond.
            last.increment()
                .unwrap_or_else(|| Ulid::from_parts(last.timestamp_ms() + 1, rand::random()))
        };
        *last = next;
        T::from(next)
    }

    /// The time of the latest id, in milliseconds since the Unix epoch.
    pub fn latest_ms(&self) -> i64 {
        let last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        i64::try_from(last.timestamp_ms()).unwrap_or(i64::MAX)
    }

    /// From now on ids are later than `time`, whatever the clock says.
    pub fn not_before(&self, time: SystemTime) {
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        let floor = Ulid::from_parts(millis(time) + 1, 0);
        *last = floor.max(*last);
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_upper_case_ulids_and_nothing_else() {
        let good = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(
            good.parse::<UserId>().map(|id| id.to_string()),
            Ok(good.into())
        );
        for bad in [
            "",
            "01arz3ndektsv4rrffq69g5fav",
            "01ARZ3NDEKTSV4RRFFQ69G5FA",
            "01ARZ3NDEKTSV4RRFFQ69G5FAI",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FA\u{e9}",
        ] {
            assert_eq!(bad.parse::<UserId>(), Err(InvalidId), "{bad}");
        }
    }

    #[test]
    fn ids_grow_within_a_millisecond_and_when_the_clock_steps_back() {
        let ids = Ids::default();
        let many: Vec<MessageId> = (0..10_000).map(|_| ids.next()).collect();
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));

        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        ids.not_before(tomorrow);
        let next: MessageId = ids.next();
        assert!(next.ulid().timestamp_ms() > millis(tomorrow));
        assert!(ids.next::<MessageId>() > next);
    }
}

//! What the framework says of a value that it cannot parse, in our words.

/// The plain reason in `failed to parse "string_ulid": must be an id (occurred while parsing "optional_string_ulid")`.
pub fn plain_reason(reason: &str) -> String {
    let reason = reason
        .split_once(" (occurred while parsing \"")
        .map_or(reason, |(reason, _)| reason);
    if let Some((_, inner)) = reason
        .strip_prefix("failed to parse \"")
        .and_then(|rest| rest.split_once("\": "))
    {
        return plain_reason(inner);
    }
    if let Some(rule) = reason.strip_prefix("verification failed. ") {
        return format!("must keep to {rule}");
    }
    // The words of `std` for numbers and booleans, and the framework's for enumerations.
    let ours = match reason {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a number without a fraction"
        }
        "number too large to fit in target type" => "is too large a number",
        "number too small to fit in target type" => "is too small a number",
        "provided string was not `true` or `false`" => "must be true or false",
        "Expect a valid enumeration value." => {
            "must be one of the words that the API's document lists"
        }
        reason => reason,
    };
    ours.to_string()
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::{ParseError, ParseFromParameter};

    use super::*;
    use crate::id::UserId;

    fn reason<T: ParseFromParameter>(text: &str) -> String {
        let result = T::parse_from_parameter(text).map_err(ParseError::propagate::<Vec<T>>);
        plain_reason(&result.err().expect("refused").into_message())
    }

    #[test]
    fn a_reason_is_told_without_the_names_of_types() {
        assert_eq!(
            reason::<UserId>("x"),
            "must be an id: 26 upper-case characters of Crockford's base 32"
        );
        assert_eq!(reason::<i64>("x"), "must be a number without a fraction");
        assert_eq!(reason::<u8>("-1"), "must be a number without a fraction");
        assert_eq!(reason::<u8>("256"), "is too large a number");
        assert_eq!(reason::<bool>("yes"), "must be true or false");
        assert_eq!(
            plain_reason("verification failed. maxItems(64)"),
            "must keep to maxItems(64)"
        );
    }
}

//! Lists that come in pages.

use filament_kernel::{ApiError, http::JsonBytes};
use serde::Serialize;

/// A JSON answer has no more bytes than this: clients refuse what is larger.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A part of a list, with a cursor that says where the rest begins.
pub(crate) trait Page: Serialize {
    /// How many entries it holds.
    fn len(&self) -> usize;

    /// Keeps the first `entries`, of which there is at least one, and lets the cursor point behind the last of them.
    fn cut(&mut self, entries: usize);
}

/// Writes a page, cut short if it is too large. No entry alone may be.
pub(crate) fn write<P: Page>(mut page: P) -> Result<JsonBytes<P>, ApiError> {
    loop {
        let bytes = serde_json::to_vec(&page).map_err(ApiError::internal)?;
        let entries = page.len();
        if bytes.len() <= MAX_ANSWER_BYTES || entries <= 1 {
            return Ok(JsonBytes::from_text(bytes));
        }
        // As many as would fit if all were of the same size; if that is still too much, fewer again.
        page.cut((entries * MAX_ANSWER_BYTES / bytes.len()).clamp(1, entries - 1));
    }
}

/// The number of entries asked for, or `default`, which `max` may undercut.
pub(crate) fn limit(asked: Option<u64>, default: u64, max: u64) -> Result<u64, ApiError> {
    match asked {
        None => Ok(default.min(max)),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(limit) => Err(ApiError::invalid(
            "limit",
            format!("must be 1 to {max}, got {limit}"),
        )),
    }
}

/// Takes off what was read beyond `limit`, and says whether there was any.
pub(crate) fn trim<T>(rows: &mut Vec<T>, limit: u64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Words {
        words: Vec<String>,
        next: Option<usize>,
    }

    impl Page for Words {
        fn len(&self) -> usize {
            self.words.len()
        }

        fn cut(&mut self, entries: usize) {
            self.words.truncate(entries);
            self.next = Some(entries);
        }
    }

    #[test]
    fn pages_are_cut_only_when_they_must_be_and_fit_whatever_the_sizes() {
        let page = |words: Vec<String>| -> (usize, Option<u64>) {
            let page = Words { words, next: None };
            let answer = poem::IntoResponse::into_response(write(page).expect("writes"));
            let bytes = body(answer);
            let value: serde_json::Value = serde_json::from_slice(&bytes).expect("is JSON");
            assert!(bytes.len() <= MAX_ANSWER_BYTES);
            (
                value["words"].as_array().map_or(0, Vec::len),
                value["next"].as_u64(),
            )
        };
        assert_eq!(page(vec!["a".repeat(600); 100]), (100, None));
        let (kept, next) = page(vec!["a".repeat(700); 100]);
        assert!((90..100).contains(&kept), "{kept}");
        assert_eq!(next, Some(kept as u64));
        let mut uneven = vec!["a".repeat(40_000); 2];
        uneven.extend(vec!["a".into(); 98]);
        assert_eq!(page(uneven), (1, Some(1)));
    }

    fn body(answer: poem::Response) -> Vec<u8> {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(answer.into_body().into_vec())
            .expect("a body")
    }

    #[test]
    fn limits_are_within_their_bounds() {
        assert_eq!(limit(None, 20, 100).ok(), Some(20));
        assert_eq!(limit(None, 20, 5).ok(), Some(5));
        assert_eq!(limit(Some(100), 20, 100).ok(), Some(100));
        assert!(limit(Some(0), 20, 100).is_err());
        assert!(limit(Some(101), 20, 100).is_err());
    }
}

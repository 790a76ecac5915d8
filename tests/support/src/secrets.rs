//! What no log may show: passwords, tokens, keys.
//!
//! Whatever is secret is noted as it goes by, known by the name of its field or setting. A [`Search`] then looks for all of
//! it, in every form that a log could write it in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    io::{self, BufRead},
    sync::{Arc, Mutex, PoisonError},
};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

/// Shorter texts are also found by chance, in bytes.
const MIN_BYTES: usize = 8;

/// From this length on a text without spaces is a token or a key, in bytes: whoever sees one of its ends sees a secret.
const TOKEN_BYTES: usize = 32;

/// How much of a token is one of its ends, in bytes.
const END_BYTES: usize = 16;

/// What is secret by its looks, whoever made it.
const MARKS: [(&str, &str); 2] = [
    ("a password's hash", "$argon2"),
    ("an access token", "v4.local."),
];

/// The secrets of one server. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<Mutex<BTreeMap<String, String>>>);

impl Secrets {
    /// Notes one secret and what it is. A text of less than 8 bytes is left out, as it would be found by chance.
    pub fn note(&self, what: &str, secret: &str) {
        if secret.len() >= MIN_BYTES {
            let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            noted.insert(secret.to_owned(), what.to_owned());
        }
    }

    /// Notes `value` when `name`, that of a field or a setting, says that it is secret.
    pub fn note_named(&self, name: &str, value: &str) {
        if names_a_secret(name) {
            self.note(&format!("`{name}`"), value);
        }
    }

    /// Notes the secret fields of a document, however deep.
    pub fn note_json(&self, document: &Value) {
        match document {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(text) => self.note_named(name, text),
                        other => self.note_json(other),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.note_json(item)),
            _ => {}
        }
    }

    /// Notes a setting that is secret: a list of keys one by one, what is in the file that `…_FILE` names, and the password of a URL.
    pub fn note_setting(&self, name: &str, value: &str) {
        if let Some(name) = name.strip_suffix("_FILE") {
            let content = std::fs::read_to_string(value).unwrap_or_default();
            self.note_setting(name, content.trim());
        } else if let Some(password) = password_of_url(value) {
            self.note(&format!("the password in `{name}`"), password);
        } else {
            for one in value.split(',') {
                self.note_named(name, one.trim());
            }
        }
    }

    /// Notes the secret settings of a configuration file. It is read by lines, because a broken file has secrets too.
    pub fn note_settings(&self, toml: &str) {
        for line in toml.lines() {
            if let Some((name, values)) = line.split_once('=') {
                for value in values.split('"').skip(1).step_by(2) {
                    self.note_setting(name.trim(), value);
                }
            }
        }
    }

    /// Makes a search for all that has been noted by now.
    ///
    /// # Panics
    /// When the secrets together are too large for it: gigabytes.
    pub fn search(&self) -> Search {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kinds = BTreeMap::new();
        for (what, mark) in MARKS {
            kinds.insert(mark.to_owned(), what.to_owned());
        }
        for (secret, what) in noted.iter() {
            for telling in telling_parts(secret) {
                for form in forms(telling) {
                    kinds.insert(form, what.clone());
                }
            }
        }
        let (patterns, kinds): (Vec<String>, Vec<String>) = kinds.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns)
            .expect("the secrets fit into an automaton");
        Search { automaton, kinds }
    }
}

/// Looks for secrets.
pub struct Search {
    automaton: AhoCorasick,
    /// What each pattern is.
    kinds: Vec<String>,
}

impl Search {
    /// The first line that shows a secret.
    ///
    /// # Errors
    /// When `text` cannot be read.
    pub fn first_leak(&self, mut text: impl BufRead) -> io::Result<Option<Leak>> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if text.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if let Some(found) = self.automaton.find(&line) {
                let masks = vec!["[…]"; self.kinds.len()];
                let masked = self.automaton.replace_all_bytes(&line, &masks);
                return Ok(Some(Leak {
                    what: self.kinds[found.pattern()].clone(),
                    line: number,
                    text: String::from_utf8_lossy(&masked).trim_end().to_owned(),
                }));
            }
        }
        Ok(None)
    }
}

/// A secret where none may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// What it is.
    pub what: String,
    /// The number of the line, from 1.
    pub line: usize,
    /// The line, with what is secret masked.
    pub text: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in line {}: {}", self.what, self.line, self.text)
    }
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "token", "ticket"]
        .iter()
        .any(|word| name.contains(word))
}

/// `password` in `scheme://user:password@host`, as it stands there.
fn password_of_url(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
    Some(user.split_once(':')?.1)
}

/// The parts of a secret that give it away. The id in `<id>.<secret>` is none; of a long token each end is one, so that a log that cuts
/// it off is found too.
fn telling_parts(secret: &str) -> Vec<&str> {
    if !secret.is_ascii() || secret.contains(' ') {
        return vec![secret];
    }
    let parts = secret
        .split('.')
        .skip(1)
        .filter(|part| part.len() >= END_BYTES);
    let mut parts: Vec<&str> = parts.collect();
    if parts.is_empty() {
        parts.push(secret);
    }
    parts.into_iter().flat_map(ends).collect()
}

fn ends(part: &str) -> Vec<&str> {
    if part.len() < TOKEN_BYTES {
        return vec![part];
    }
    vec![&part[..END_BYTES], &part[part.len() - END_BYTES..]]
}

/// How a log could write a text: as it is, as JSON or Rust quote it, once and twice, as a URL or a form encodes it, as numbers.
fn forms(text: &str) -> BTreeSet<String> {
    let quoted = |text: &str| {
        let json = Value::from(text).to_string();
        json[1..json.len() - 1].to_owned()
    };
    let debug = format!("{text:?}");
    let numbers = format!("{:?}", text.as_bytes());
    BTreeSet::from([
        text.to_owned(),
        quoted(text),
        quoted(&quoted(text)),
        debug[1..debug.len() - 1].to_owned(),
        url_encoded(text, "%20"),
        url_encoded(text, "+"),
        numbers[1..numbers.len() - 1].to_owned(),
    ])
}

fn url_encoded(text: &str, space: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into())
            }
            b' ' => encoded.push_str(space),
            other => write!(encoded, "%{other:02X}").expect("a text takes what is written"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn leak(secrets: &Secrets, log: &str) -> Option<Leak> {
        secrets
            .search()
            .first_leak(log.as_bytes())
            .expect("bytes can be read")
    }

    #[test]
    fn a_secret_is_found_in_every_form_and_not_shown() {
        let secrets = Secrets::default();
        let password = r#"käse "mit" \ loch + 5%"#;
        secrets.note_json(&json!({ "account": [{ "new_password": password }] }));
        let numbers = format!("{:?}", password.as_bytes());
        for form in [
            password.to_owned(),
            format!("{password:?}"),
            json!({ "x": password }).to_string(),
            json!({ "x": format!("{password:?}") }).to_string(),
            "/x?p=k%C3%A4se%20%22mit%22%20%5C%20loch%20%2B%205%25".to_owned(),
            "p=k%C3%A4se+%22mit%22+%5C+loch+%2B+5%25&x=1".to_owned(),
            numbers,
        ] {
            let log = format!("one line\nbefore {form} after\nanother\n");
            let leak = leak(&secrets, &log).unwrap_or_else(|| panic!("not found: {log}"));
            assert_eq!(
                (leak.what.as_str(), leak.line),
                ("`new_password`", 2),
                "{log}"
            );
            assert!(
                leak.text.contains("before") && leak.text.contains("after"),
                "{leak}"
            );
            assert!(
                leak.text.contains("[…]") && !leak.text.contains("loch"),
                "{leak}"
            );
        }
        assert_eq!(leak(&secrets, "käse mit loch\n"), None);
    }

    #[test]
    fn the_id_in_a_token_is_no_secret_and_each_end_of_the_rest_is_one() {
        let secrets = Secrets::default();
        let (id, secret) = (
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "abcdefghijklmnopqrstuvwxyz0123456789ABCD",
        );
        secrets.note_json(&json!({ "refresh_token": format!("{id}.{secret}") }));
        assert_eq!(leak(&secrets, &format!("the session {id} has ended")), None);
        for shown in [secret, &secret[..16], &secret[24..]] {
            assert!(
                leak(&secrets, &format!("token={shown}…")).is_some(),
                "{shown}"
            );
        }
    }

    #[test]
    fn settings_are_secret_by_their_names() {
        let secrets = Secrets::default();
        secrets.note_settings("[auth]\ntoken_keys_previous = \"first-old-key, other-old-key\"\naccess_token_ttl_secs = 900\n[http\nbind_addr = \"127.0.0.1:8080\"\n");
        secrets.note_setting(
            "FILAMENT_DATABASE_URL",
            "postgres://filament:the%20pass@db:5432/name",
        );
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, "secret in a file\n").expect("written");
        let path = file.path().display().to_string();
        secrets.note_setting("FILAMENT_HCAPTCHA_SECRET_FILE", &path);
        for shown in [
            "first-old-key",
            "other-old-key",
            "the%20pass",
            "secret in a file",
        ] {
            assert!(leak(&secrets, shown).is_some(), "{shown}");
        }
        for public in [
            "127.0.0.1:8080",
            "access_token_ttl_secs=900",
            "postgres://filament@db:5432/name",
            &path,
        ] {
            assert_eq!(leak(&secrets, public), None);
        }
    }

    #[test]
    fn hashes_and_access_tokens_are_known_by_their_looks() {
        let nothing_noted = Secrets::default();
        assert!(leak(&nothing_noted, "hash=$argon2id$v=19$m=64").is_some());
        assert!(leak(&nothing_noted, "Bearer v4.local.abc").is_some());
        nothing_noted.note("the word that all use", "short");
        assert_eq!(leak(&nothing_noted, "a short line"), None);
    }
}

//! Passwords: 12 to 128 characters, none of them a control character, kept as Argon2id hashes in the PHC string format, which names
//! its own parameters.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{self, PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use filament_kernel::text::{self, TextRule};
use validator::ValidationError;

/// Characters at least, in UTF-16 code units, of a new password.
const MIN: usize = 12;
/// Characters at most, in UTF-16 code units.
pub(crate) const MAX: usize = 128;

/// The rule of a new password.
pub(crate) struct NewPassword;

impl TextRule for NewPassword {
    const MIN: usize = MIN;
    const MAX: usize = MAX;

    fn check(password: &str) -> Result<(), ValidationError> {
        check_new(password)
    }
}

/// The rule of a password that is offered: whatever rules new ones followed once, nobody has a longer one.
pub(crate) struct OfferedPassword;

impl TextRule for OfferedPassword {
    const MIN: usize = 1;
    const MAX: usize = MAX;
}

/// Whether a new password may be one. A control character (RFC 8265 has none in passwords either) gets into one by accident and is typed
/// by nobody again; NUL could not even be sent to log in.
pub(crate) fn check_new(password: &str) -> Result<(), ValidationError> {
    text::between(password, MIN, MAX)?;
    if password.chars().any(char::is_control) {
        let message = "must not hold control characters (tabs, line ends and the like)";
        return Err(ValidationError::new("control").with_message(message.into()));
    }
    Ok(())
}

/// The characters of passwords that the server makes: none is mistaken for another when it is read aloud or copied by hand.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new password of 120 random bits, in six groups of four characters.
pub(crate) fn generate() -> String {
    let groups: Vec<String> = (0..6)
        .map(|_| {
            let random = rand::random::<[u8; 4]>();
            random
                .iter()
                .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
                .collect()
        })
        .collect();
    groups.join("-")
}

/// Hashes and verifies. Slow on purpose: never on a thread that serves requests.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    /// The hash of nothing, with the parameters of new hashes: verifying against it costs what verifying against a real one costs.
    nobody: String,
}

/// What came of verifying a password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It is not the password.
    Wrong,
    /// It is.
    Right {
        /// The stored hash was made with other parameters than today's.
        outdated: bool,
    },
}

impl Passwords {
    /// Refuses parameters that Argon2 refuses.
    pub(crate) fn new(
        memory_kib: u32,
        iterations: u32,
        parallelism: u32,
    ) -> Result<Self, argon2::Error> {
        let params = Params::new(memory_kib, iterations, parallelism, None)?;
        let nobody = format!(
            "$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${}${}",
            STANDARD_NO_PAD.encode(rand::random::<[u8; 16]>()),
            STANDARD_NO_PAD.encode(rand::random::<[u8; 32]>()),
        );
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            nobody,
        })
    }

    /// Hashes a new password with a new salt.
    pub(crate) fn hash(&self, password: &str) -> Result<String, password_hash::Error> {
        let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())?;
        let hash = self.argon2.hash_password(password.as_bytes(), &salt)?;
        Ok(hash.to_string())
    }

    /// Verifies a password against a stored hash; without one, does the same work and answers `Wrong`.
    pub(crate) fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<Verified, password_hash::Error> {
        let hash = PasswordHash::new(stored.unwrap_or(&self.nobody))?;
        match self.argon2.verify_password(password.as_bytes(), &hash) {
            Ok(()) if stored.is_some() => Ok(Verified::Right {
                outdated: !self.made_today(&hash),
            }),
            Ok(()) | Err(password_hash::Error::Password) => Ok(Verified::Wrong),
            Err(error) => Err(error),
        }
    }

    fn made_today(&self, hash: &PasswordHash<'_>) -> bool {
        let today = self.argon2.params();
        hash.algorithm == Algorithm::Argon2id.ident()
            && Params::try_from(hash).is_ok_and(|then| {
                (then.m_cost(), then.t_cost(), then.p_cost())
                    == (today.m_cost(), today.t_cost(), today.p_cost())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::new(64, 1, 1).expect("good parameters")
    }

    #[test]
    fn a_password_is_verified_by_a_hash_that_names_its_parameters() {
        let passwords = cheap();
        let stored = passwords.hash("correct horse").expect("a hash");
        assert!(
            stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"),
            "{stored}"
        );
        assert_ne!(
            stored,
            passwords.hash("correct horse").expect("a hash"),
            "salted"
        );
        assert_eq!(
            passwords.verify("correct horse", Some(&stored)),
            Ok(Verified::Right { outdated: false })
        );
        assert_eq!(
            passwords.verify("correct horsf", Some(&stored)),
            Ok(Verified::Wrong)
        );
        assert!(
            passwords
                .verify("correct horse", Some("not a hash"))
                .is_err()
        );
    }

    #[test]
    fn without_a_stored_hash_no_password_is_right() {
        assert_eq!(cheap().verify("correct horse", None), Ok(Verified::Wrong));
        let default = Passwords::new(19_456, 2, 1).expect("good parameters");
        let hash = PasswordHash::new(&default.nobody).expect("a PHC string");
        assert!(default.made_today(&hash), "it costs what a real one costs");
    }

    #[test]
    fn a_hash_of_other_parameters_is_good_and_outdated() {
        let stored = cheap().hash("correct horse").expect("a hash");
        for (memory_kib, iterations, parallelism) in
            [(128, 1, 1), (64, 2, 1), (64, 1, 2), (32, 1, 1)]
        {
            let other =
                Passwords::new(memory_kib, iterations, parallelism).expect("good parameters");
            assert_eq!(
                other.verify("correct horse", Some(&stored)),
                Ok(Verified::Right { outdated: true })
            );
            assert_eq!(other.verify("wrong", Some(&stored)), Ok(Verified::Wrong));
        }
    }

    #[test]
    fn a_generated_password_is_one_that_could_be_chosen_and_never_the_same() {
        let password = generate();
        assert_eq!(password.len(), 29);
        assert!(check_new(&password).is_ok());
        assert_ne!(password, generate());
    }

    #[test]
    fn a_new_password_holds_what_can_be_typed() {
        for good in [
            "correct horse battery",
            "пароль с пробелами",
            "\u{1F600} correct horse",
        ] {
            assert!(check_new(good).is_ok(), "{good}");
        }
        for control in ['\0', '\t', '\r', '\n', '\u{1b}', '\u{7f}', '\u{85}'] {
            assert!(check_new(&format!("correct{control}horse")).is_err());
            assert!(OfferedPassword::check(&format!("correct{control}horse")).is_ok());
        }
    }

    #[test]
    fn lengths_are_counted_in_utf16() {
        assert!(check_new(&"x".repeat(12)).is_ok());
        assert!(check_new(&"x".repeat(11)).is_err());
        assert!(check_new(&"\u{1F600}".repeat(64)).is_ok());
        assert!(check_new(&"\u{1F600}".repeat(65)).is_err());
        assert!(OfferedPassword::check("").is_err());
        assert!(OfferedPassword::check("short").is_ok());
        assert!(OfferedPassword::check(&"x".repeat(129)).is_err());
    }
}

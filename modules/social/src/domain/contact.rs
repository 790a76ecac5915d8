//! Whether one person may turn to another directly.

use super::refusal::Refusal;

/// The blocks between two people, as the one who turns to the other has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Who turns to the other has blocked them.
    pub(crate) by_sender: bool,
    /// The other has blocked who turns to them.
    pub(crate) by_recipient: bool,
}

impl Blocks {
    /// Between blocked people there is no direct contact, either way.
    ///
    /// # Errors
    /// To the one who blocked, that they did. To the one who is blocked, what everybody hears from somebody who takes no more.
    pub(crate) fn allow_contact(self) -> Result<(), Refusal> {
        if self.by_sender {
            return Err(Refusal::BlockedBySender);
        }
        if self.by_recipient {
            return Err(Refusal::RecipientTakesNone);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_contact_both_ways_and_only_its_maker_is_told() {
        let between = |by_sender, by_recipient| Blocks {
            by_sender,
            by_recipient,
        };
        assert_eq!(between(false, false).allow_contact(), Ok(()));
        assert_eq!(
            between(false, true).allow_contact(),
            Err(Refusal::RecipientTakesNone)
        );
        for by_recipient in [false, true] {
            assert_eq!(
                between(true, by_recipient).allow_contact(),
                Err(Refusal::BlockedBySender)
            );
        }
    }
}

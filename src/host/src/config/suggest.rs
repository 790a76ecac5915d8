//! What somebody probably meant.

/// Below this likeness (0 is nothing alike, 1 is equal) a guess confuses more than it helps.
const LEAST_LIKENESS: f64 = 0.6;

/// Of pairs of an answer and the word it is known by, the answer whose word is most like `word`.
pub(super) fn nearest<'a>(
    word: &str,
    known: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<&'a str> {
    known
        .map(|(answer, known)| (strsim::normalized_damerau_levenshtein(word, known), answer))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, answer)| answer)
}

/// The guess as a suggestion.
pub(super) fn did_you_mean(guess: &str) -> String {
    format!("did you mean `{guess}`?")
}

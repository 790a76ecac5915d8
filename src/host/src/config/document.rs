//! A TOML text that still knows where everything in it stands.

use toml_edit::{Item, TableLike};

/// A parsed TOML text.
pub(super) struct Document(toml_edit::Document<String>);

/// Why a text is not TOML, and where. The text itself is not quoted: the broken line may hold a secret.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
}

/// A key of a table, with what it holds and the line on which it stands.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) item: &'a Item,
    pub(super) line: usize,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        toml_edit::Document::parse(text.to_owned())
            .map(Self)
            .map_err(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                let (line, column) = position(text, offset);
                SyntaxError {
                    line,
                    column,
                    message: error.message().trim_end_matches('.').to_owned(),
                }
            })
    }

    pub(super) fn root(&self) -> &dyn TableLike {
        self.0.as_table()
    }

    /// The keys of `table`, in the order in which they are written.
    pub(super) fn entries<'a>(&'a self, table: &'a dyn TableLike) -> Vec<Entry<'a>> {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(name, item)| {
                let key = table.get_key_value(name).and_then(|(key, _)| key.span());
                let offset = key.or_else(|| item.span()).map_or(0, |span| span.start);
                let (line, _) = position(self.0.raw(), offset);
                (offset, Entry { name, item, line })
            })
            .collect();
        entries.sort_by_key(|(offset, _)| *offset);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The comment that stands directly above a line, without its marks; empty when there is none.
    pub(super) fn comment_above(&self, line: usize) -> String {
        let lines: Vec<&str> = self.0.raw().lines().take(line.saturating_sub(1)).collect();
        let comment = lines
            .iter()
            .rev()
            .map_while(|line| line.trim().strip_prefix('#'));
        let mut comment: Vec<&str> = comment
            .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
            .collect();
        comment.reverse();
        comment.join("\n")
    }

    /// The text with `section.` put before the name in every `[header]`, so that it can stand as the body of `section`.
    pub(super) fn nested_in(&self, section: &str) -> String {
        let mut text = self.0.raw().to_owned();
        let mut headers = Vec::new();
        self.header_offsets(self.root(), &mut headers);
        headers.sort_unstable();
        for offset in headers.into_iter().rev() {
            text.insert_str(offset + 1, &format!("{section}."));
        }
        text
    }

    fn header_offsets(&self, table: &dyn TableLike, found: &mut Vec<usize>) {
        for (_, item) in table.iter() {
            let Some(table) = item.as_table() else {
                continue;
            };
            if !table.is_implicit()
                && !table.is_dotted()
                && let Some(span) = table.span()
            {
                found.push(span.start);
            }
            self.header_offsets(table, found);
        }
    }
}

/// The line and column, both from 1, of a byte in a text.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

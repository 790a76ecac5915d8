//! Tables for people to read in a terminal.

use std::fmt;

use time::OffsetDateTime;

/// Rows below headings, each column as wide as its widest cell.
pub(crate) struct Table<const COLUMNS: usize>(Vec<[String; COLUMNS]>);

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(headings: [&str; COLUMNS]) -> Self {
        Self(vec![headings.map(str::to_string)])
    }

    /// Adds a row. What clients say of themselves may stand in it: what would move the cursor is left out.
    pub(crate) fn row(&mut self, cells: [String; COLUMNS]) {
        self.0
            .push(cells.map(|cell| cell.replace(char::is_control, "")));
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            let widths = self.0.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or_default()
        });
        for row in &self.0 {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A time as `2026-11-23 03:04`, in UTC; `-` for what no calendar holds.
pub(crate) fn utc(unix: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(unix) {
        Ok(time) => format!("{} {:02}:{:02}", time.date(), time.hour(), time.minute()),
        Err(_) => "-".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_moves_the_cursor() {
        let mut table = Table::new(["NAME", "CLIENT"]);
        table.row(["ada".to_string(), "a\u{1b}[2Jb".to_string()]);
        table.row(["grace hopper".to_string(), String::new()]);
        assert_eq!(
            table.to_string(),
            "NAME          CLIENT\nada           a[2Jb\ngrace hopper\n"
        );
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00");
        assert_eq!(utc(1_795_403_099), "2026-11-23 03:04");
        assert_eq!(utc(i64::MAX), "-");
    }
}

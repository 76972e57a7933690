//! Tables for people: plain columns, so that they can be cut and searched as well.

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use jiff::Timestamp;

/// Column heads, then rows of as many cells.
#[derive(Debug, Clone)]
pub struct Rows {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    none: &'static str,
}

impl Rows {
    /// An empty table; `none` is the sentence that is shown if it stays empty.
    #[must_use]
    pub fn new(heads: &[&'static str], none: &'static str) -> Self {
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
            none,
        }
    }

    /// Adds a row.
    pub fn add<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)).to_vec());
    }

    /// The table as text; heads are bold if `colour`.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", self.none);
        }
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(self.heads.iter().map(|head| self.head(head, colour)))
            .add_rows(&self.rows);
        if colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        format!("{}\n", table.trim_fmt())
    }

    fn head(&self, head: &str, colour: bool) -> Cell {
        let cell = Cell::new(head.to_uppercase());
        if colour {
            cell.add_attribute(Attribute::Bold)
        } else {
            cell
        }
    }
}

/// One line, without characters that a terminal would obey.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A time to the second, in UTC; `-` for none.
#[must_use]
pub fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(
        || "-".to_owned(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants() -> Rows {
        let mut rows = Rows::new(&["name", "weight"], "no tenants yet");
        rows.add(["acme".to_owned(), "1".to_owned()]);
        rows.add(["globex\u{1b}[2J".to_owned(), "10".to_owned()]);
        rows
    }

    #[test]
    fn without_a_terminal_it_is_plain_text_in_columns() {
        assert_eq!(
            tenants().render(false),
            "NAME        WEIGHT\nacme        1\nglobex [2J  10\n"
        );
    }

    #[test]
    fn on_a_terminal_only_our_own_escapes_are_in_it() {
        let shown = tenants().render(true);
        assert!(shown.contains("\u{1b}[1m"), "{shown:?}");
        assert!(!shown.contains("\u{1b}[2J"), "{shown:?}");
    }

    #[test]
    fn an_empty_table_says_so() {
        let rows = Rows::new(&["name"], "no tenants yet");
        assert_eq!(rows.render(true), "no tenants yet\n");
    }

    #[test]
    fn times_are_shown_to_the_second() {
        let at: Timestamp = "2026-11-24T01:02:03.456Z".parse().unwrap();
        assert_eq!(time(Some(at)), "2026-11-24T01:02:03Z");
        assert_eq!(time(None), "-");
    }
}

//! A page of headings, paragraphs and tables, written in several formats from one description. Every text in it is taken for a
//! stranger's and escaped.

use std::fmt::Write as _;

use crate::escape;

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading; the first one is the title.
    Heading(String),
    /// A line of text.
    Paragraph(String),
    /// Items.
    List(Vec<String>),
    /// Rows under a head of as many cells.
    Table {
        /// Names of the columns.
        head: Vec<String>,
        /// The rows.
        rows: Vec<Vec<String>>,
    },
}

impl Block {
    /// A table from plain words.
    pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> Self {
        let head = head.iter().map(|name| (*name).to_owned()).collect();
        Self::Table { head, rows }
    }
}

/// As Markdown (GitHub's, for its tables).
pub fn markdown(blocks: &[Block]) -> String {
    let cells = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escape::markdown(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut written = String::new();
    for (place, block) in blocks.iter().enumerate() {
        match block {
            Block::Heading(text) => {
                let level = if place == 0 { "#" } else { "##" };
                let _ = write!(written, "{level} {}\n\n", escape::markdown(text));
            }
            Block::Paragraph(text) => {
                let _ = write!(written, "{}\n\n", escape::markdown(text));
            }
            Block::List(items) => {
                for item in items {
                    let _ = writeln!(written, "- {}", escape::markdown(item));
                }
                written.push('\n');
            }
            Block::Table { head, rows } => {
                written += &cells(head);
                let _ = writeln!(written, "|{}", "---|".repeat(head.len()));
                for row in rows {
                    written += &cells(row);
                }
                written.push('\n');
            }
        }
    }
    written
}

/// As a whole HTML page without scripts, styles from elsewhere or links.
pub fn html(blocks: &[Block]) -> String {
    const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
        table{border-collapse:collapse}th,td{border:1px solid #999;padding:.2rem .6rem;text-align:left}";
    let title = blocks.iter().find_map(|block| match block {
        Block::Heading(text) => Some(escape::html(text)),
        _ => None,
    });
    let row = |cells: &[String], tag: &str| {
        let cell = |cell: &String| format!("<{tag}>{}</{tag}>", escape::html(cell));
        format!("<tr>{}</tr>\n", cells.iter().map(cell).collect::<String>())
    };
    let mut body = String::new();
    for (place, block) in blocks.iter().enumerate() {
        let part = match block {
            Block::Heading(text) => {
                let tag = if place == 0 { "h1" } else { "h2" };
                format!("<{tag}>{}</{tag}>\n", escape::html(text))
            }
            Block::Paragraph(text) => format!("<p>{}</p>\n", escape::html(text)),
            Block::List(items) => {
                let item = |item: &String| format!("<li>{}</li>\n", escape::html(item));
                format!("<ul>\n{}</ul>\n", items.iter().map(item).collect::<String>())
            }
            Block::Table { head, rows } => {
                let rows: String = rows.iter().map(|cells| row(cells, "td")).collect();
                format!("<table>\n{}{rows}</table>\n", row(head, "th"))
            }
        };
        body.push_str(&part);
    }
    let title = title.unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
}

/// As plain text; rows of tables become lines.
pub fn text(blocks: &[Block]) -> String {
    let mut written = String::new();
    for block in blocks {
        match block {
            Block::Heading(text) | Block::Paragraph(text) => {
                let _ = write!(written, "{}\n\n", escape::line(text));
            }
            Block::List(items) => {
                for item in items {
                    let _ = writeln!(written, "- {}", escape::line(item));
                }
                written.push('\n');
            }
            Block::Table { head, rows } => {
                for cells in std::iter::once(head).chain(rows) {
                    let cells: Vec<String> = cells.iter().map(|cell| escape::line(cell)).collect();
                    let _ = writeln!(written, "{}", cells.join(" | "));
                }
                written.push('\n');
            }
        }
    }
    written
}

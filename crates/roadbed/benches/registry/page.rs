//! Puts figures between the marks of `docs/benchmarks.md`, each section between marks of its own: one that was not
//! measured this time keeps what it had.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    machine::{Machine, when_and_what},
    report::Section,
    sections::SectionName,
};

/// What one run has measured.
#[derive(Debug)]
pub(crate) struct Figures {
    blocks: Vec<(String, String)>,
}

impl Figures {
    /// Of a machine, on which nothing is measured yet.
    pub(crate) fn new(machine: &Machine) -> Self {
        Self {
            blocks: vec![("machine".to_owned(), machine.to_markdown())],
        }
    }

    /// Adds a section; its block.
    pub(crate) fn add(&mut self, name: SectionName, section: &Section) -> &str {
        let text = format!(
            "{}- measured {}\n",
            with_notes_open(section.to_markdown()),
            when_and_what()
        );
        self.blocks.push((name.to_string(), text));
        self.last()
    }

    /// The block that was added last.
    pub(crate) fn last(&self) -> &str {
        self.blocks.last().map_or("", |(_, text)| text)
    }

    /// Replaces in the page what was measured.
    pub(crate) fn write_into_page(&self) -> Result<()> {
        let path = page();
        let mut text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        for (name, block) in &self.blocks {
            text = replaced(&text, name, block)?;
        }
        fs::write(&path, text)?;
        Ok(())
    }
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks.md")
}

/// The remark about the day goes on with the list of notes, or starts one.
fn with_notes_open(mut markdown: String) -> String {
    if markdown.lines().last().is_some_and(|line| line.starts_with('|')) {
        markdown.push('\n');
    }
    markdown
}

fn replaced(text: &str, name: &str, block: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    );
    let (before, rest) = text
        .split_once(&begin)
        .with_context(|| format!("the page has no place for {name}"))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("the place for {name} does not end"))?;
    Ok(format!("{before}{begin}{block}{end}{after}"))
}

//! Tables of figures, each with its bar and whether it is met.

use std::fmt::{self, Write as _};

/// What a figure has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// A figure that is held against a bar.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    /// The figure.
    pub(crate) value: f64,
    /// Of figure and bar.
    pub(crate) unit: &'static str,
    /// The bar; none for what is only told.
    pub(crate) bar: Option<Bar>,
}

impl Judged {
    /// A ratio.
    pub(crate) fn ratio(value: f64, bar: Bar) -> Self {
        Self {
            value,
            unit: " ×",
            bar: Some(bar),
        }
    }

    /// A figure with a unit.
    pub(crate) fn of(value: f64, unit: &'static str, bar: Bar) -> Self {
        Self {
            value,
            unit,
            bar: Some(bar),
        }
    }

    /// A ratio for which no bar is set.
    pub(crate) fn told(value: f64) -> Self {
        Self {
            value,
            unit: " ×",
            bar: None,
        }
    }

    fn verdict(&self) -> String {
        let Some(bar) = self.bar else {
            return "–".to_owned();
        };
        let (met, missed_by) = match bar {
            Bar::AtLeast(least) => (self.value >= least, 1.0 - self.value / least),
            Bar::AtMost(most) => (self.value <= most, self.value / most - 1.0),
        };
        if met {
            "met".to_owned()
        } else {
            format!("**missed by {:.0} %**", missed_by * 100.0)
        }
    }

    fn bar_text(&self) -> String {
        match self.bar {
            None => "–".to_owned(),
            Some(Bar::AtLeast(least)) => format!("≥ {}{}", least, self.unit),
            Some(Bar::AtMost(most)) => format!("≤ {}{}", most, self.unit),
        }
    }

    fn value_text(&self) -> String {
        let digits = if self.value.abs() >= 100.0 {
            0
        } else if self.value.abs() >= 10.0 {
            1
        } else {
            2
        };
        format!("{:.digits$}{}", self.value, self.unit)
    }
}

/// One line of a table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) measure: String,
    /// Roadbed's figure.
    pub(crate) ours: String,
    /// docker-registry's.
    pub(crate) peer: String,
    /// The figure that counts.
    pub(crate) judged: Judged,
}

/// The figures of one section.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// Its heading.
    title: &'static str,
    peer: &'static str,
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Section {
    /// Without figures yet.
    pub(crate) fn new(title: &'static str) -> Self {
        Self::beside(title, "docker-registry")
    }

    /// Beside another peer.
    pub(crate) fn beside(title: &'static str, peer: &'static str) -> Self {
        Self {
            title,
            peer,
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a line.
    pub(crate) fn row(
        &mut self,
        measure: impl Into<String>,
        ours: impl Into<String>,
        peer: impl Into<String>,
        judged: Judged,
    ) {
        self.rows.push(Row {
            measure: measure.into(),
            ours: ours.into(),
            peer: peer.into(),
            judged,
        });
    }

    /// Adds a remark below the table.
    pub(crate) fn note(&mut self, text: impl fmt::Display) {
        self.notes.push(text.to_string());
    }

    /// As it stands on the page.
    pub(crate) fn to_markdown(&self) -> String {
        let mut out = format!(
            "### {}\n\n| measure | roadbed | {} | figure | bar | verdict |\n|---|---:|---:|---:|---:|---|\n",
            self.title, self.peer
        );
        for row in &self.rows {
            let Row {
                measure,
                ours,
                peer,
                judged,
            } = row;
            let (value, bar, verdict) = (judged.value_text(), judged.bar_text(), judged.verdict());
            let _ = writeln!(
                out,
                "| {measure} | {ours} | {peer} | {value} | {bar} | {verdict} |"
            );
        }
        if !self.notes.is_empty() {
            out.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(out, "- {note}");
        }
        out
    }
}

//! What people read.

use super::*;
use crate::{LayerOrigin, ScannedBase};

fn table(width: usize, has_colour: bool) -> String {
    let options = OutputOptions {
        width,
        has_colour,
        ..OutputOptions::default()
    };
    sample::scanned().to_form(OutputForm::Table, &options)
}

#[test]
fn the_table() {
    let expected = include_str!("table.txt");
    assert_eq!(table(100, false), expected, "\n{}", table(100, false));
}

#[test]
fn no_line_is_wider_than_asked() {
    for width in [0, 40, 57, 80, 200] {
        let widest = table(width, false)
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap();
        assert!(widest <= width.max(40), "{widest} > {width}");
    }
    let hostile = sample::hostile(&"wide".repeat(400)).to_form(OutputForm::Table, &OutputOptions::default());
    assert!(hostile.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn colours_are_all_that_colours_change() {
    let coloured = table(80, true);
    assert!(coloured.contains("\u{1b}[31mcritical\u{1b}[0m"));
    let mut plain = coloured.clone();
    for code in ["0", "1", "2", "31", "33", "34"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, table(80, false));
}

#[test]
fn what_stands_on_a_base_says_what_is_from_it() {
    let mut result = sample::scanned();
    let base = ScannedBase {
        name: "java17".to_owned(),
        version: "17.0.9".to_owned(),
        owner: Some("group:platform".to_owned()),
        layers: 1,
        superseded: true,
    };
    result.set_origins(Some(base), |layer| match layer {
        0 => LayerOrigin::Base,
        _ => LayerOrigin::Own,
    });
    let options = OutputOptions {
        width: 200,
        ..OutputOptions::default()
    };
    let table = result.to_form(OutputForm::Table, &options);
    for wanted in [
        "On java17 17.0.9 of group:platform (1 layer, a newer one is there): from the base: 1 critical, 2 medium, 1 low; yours: 1 high, 1 medium, 7 unknown",
        "              from the base\n",
        "              yours; in usr/lib/python3.11/a.dist-info/METADATA\n",
        "              layer 1; yours\n",
        "Layer 0 of java17: ADD rootfs.tar",
        "Layer 1, yours: COPY app",
    ] {
        assert!(table.contains(wanted), "{wanted}\n{table}");
    }
    let document: Value = serde_json::from_str(&written(OutputForm::Json, &result)).unwrap();
    assert_eq!(document["summary"]["origins"]["base"]["critical"], 1);
    assert_eq!(document["summary"]["origins"]["own"]["high"], 1);
    assert_eq!(document["layers"][1]["origin"], "own");
    assert_eq!(document["base"]["name"], "java17");
    result.keep_contents();
    assert_eq!((result.base.is_none(), result.origins()), (true, None));
}

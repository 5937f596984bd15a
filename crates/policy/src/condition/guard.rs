//! Bounds on the text of a condition, before a recursive parser sees it.

use super::error::{ConditionError, ConditionProblem};
use crate::PolicyLimits;

/// Refuses what is too long, nested too deeply, or a chain of too many operators: the parser and all that walks its tree
/// recurse once per bracket and per operator of a chain.
pub(super) fn check(source: &str, limits: &PolicyLimits) -> Result<(), ConditionError> {
    if source.trim().is_empty() {
        return Err(ConditionProblem::Empty.at(1));
    }
    let too_large = |count: usize, unit: &str, limit: usize, column: usize| {
        let what = format!("{count} {unit}");
        Err(ConditionProblem::TooLarge { what, limit }.at(column))
    };
    if source.len() > limits.expression_bytes {
        return too_large(source.len(), "bytes", limits.expression_bytes, 1);
    }
    let (mut depth, mut operators) = (0_usize, 0_usize);
    // Brackets inside of quotes are counted too: telling quotes apart is the parser's business, and no honest condition
    // comes near the limits.
    for (place, character) in source.chars().enumerate() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        operators += usize::from("([{.+-*/%<>=!?".contains(character));
        if depth > limits.expression_nesting {
            return too_large(
                depth,
                "brackets in brackets",
                limits.expression_nesting,
                place + 1,
            );
        }
        if operators > limits.expression_operators {
            return too_large(operators, "operators", limits.expression_operators, place + 1);
        }
    }
    Ok(())
}

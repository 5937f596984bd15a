//! What is written down: values, lists, words, regular expressions.

use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr, ListExpr, LiteralValue};
use regex_automata::dfa::{StartKind, dense};
use regex_automata::{nfa::thompson, util::syntax};

use super::super::cost;
use super::super::error::ConditionProblem;
use super::super::node::{Literal, Node};
use super::super::value::{Type, Words};
use super::{Checker, Lowered, Typed};
use crate::PolicyLimits;
use crate::limits::MAX_FACT_LIST;
use crate::nearest::did_you_mean;
use crate::text::one_line;

pub(super) fn literal(value: &LiteralValue) -> Result<Typed, ConditionProblem> {
    let (literal, kind) = match value {
        LiteralValue::Boolean(value) => (Literal::Bool(*value.inner()), Type::Bool),
        LiteralValue::Int(value) => (Literal::Int(*value.inner()), Type::Int),
        LiteralValue::Double(value) => (Literal::Double(*value.inner()), Type::Double),
        LiteralValue::String(value) => (Literal::Text(value.inner().to_owned()), Type::Text),
        LiteralValue::UInt(_) => return Err(ConditionProblem::NotHere("write the number without u")),
        LiteralValue::Bytes(_) => return Err(ConditionProblem::NotHere("write the text without b")),
        LiteralValue::Null => {
            return Err(ConditionProblem::NotHere(
                "nothing is null here; has() tells whether a field is known",
            ));
        }
    };
    Ok(Typed::new(Node::Literal(literal), kind, cost::STEP))
}

/// The word as its place in the list.
pub(super) fn word(words: &'static Words, text: &str) -> Result<Literal, ConditionProblem> {
    let place = words.words.iter().position(|word| *word == text);
    place
        .map(Literal::Word)
        .ok_or_else(|| ConditionProblem::UnknownWord {
            word: one_line(text, 64),
            list: words.name,
            hint: did_you_mean(text, words.words.iter().copied()),
        })
}

/// A regular expression as a whole automaton: what would need much memory is refused here, and one byte of text costs
/// one step. Without Unicode classes, as RE2 has it, which CEL prescribes.
pub(super) fn regex(
    pattern: &str,
    limits: &PolicyLimits,
) -> Result<Arc<dense::DFA<Vec<u32>>>, ConditionProblem> {
    if pattern.len() > limits.regex_bytes {
        let what = format!("a regular expression of {} bytes", pattern.len());
        return Err(ConditionProblem::TooLarge {
            what,
            limit: limits.regex_bytes,
        });
    }
    let memory = Some(limits.regex_memory);
    let built = dense::Builder::new()
        .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(24))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(memory))
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Unanchored)
                .dfa_size_limit(memory)
                .determinize_size_limit(memory),
        )
        .build(pattern);
    built
        .map(Arc::new)
        .map_err(|error| ConditionProblem::Regex(one_line(&whole(&error), 200)))
}

fn whole(error: &dense::BuildError) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

impl Checker<'_> {
    /// A list of texts that were written down.
    pub(super) fn list(&mut self, expr: &IdedExpr, list: &ListExpr) -> Lowered {
        let mut texts = Vec::new();
        for element in self.elements(expr, list)? {
            match element {
                Literal::Text(text) => texts.push(text),
                _ => {
                    return Err(self.at(
                        expr,
                        ConditionProblem::NotHere("a list of numbers only stands after `in`"),
                    ));
                }
            }
        }
        Ok(Typed::new(
            Node::Literal(Literal::Texts(texts)),
            Type::Texts,
            cost::LIST,
        ))
    }

    /// The elements of a list, which are all written down.
    pub(super) fn elements(
        &mut self,
        expr: &IdedExpr,
        list: &ListExpr,
    ) -> Result<Vec<Literal>, super::ConditionError> {
        if list.elements.len() > MAX_FACT_LIST {
            let what = format!("a list of {} entries", list.elements.len());
            return Err(self.at(
                expr,
                ConditionProblem::TooLarge {
                    what,
                    limit: MAX_FACT_LIST,
                },
            ));
        }
        let mut literals = Vec::new();
        for element in &list.elements {
            let Expr::Literal(_) = element.expr else {
                return Err(self.at(
                    element,
                    ConditionProblem::NotHere("a list holds values that are written down"),
                ));
            };
            if let Node::Literal(literal) = self.lower(element)?.node {
                literals.push(literal);
            }
        }
        Ok(literals)
    }
}

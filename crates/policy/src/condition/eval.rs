//! Evaluation. Allocates only short lists of references.

use regex_automata::{Input, dfa::Automaton as _};
use thiserror::Error;

use super::fields::Facts;
use super::node::{Arithmetic, Literal, Node, Quantifier, TextTest};
use super::value::{Value, clipped};
use crate::limits::MAX_FACT_LIST;

/// Why a condition has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EvalError {
    /// A label or annotation was read that is not there.
    #[error("it reads a key that is not there; ask with `in` or has() first")]
    NoSuchKey,
    /// A list is shorter.
    #[error("it reads beyond the end of a list")]
    OutOfRange,
    /// A number went beyond 64 bits.
    #[error("a number goes beyond 64 bits")]
    Overflow,
    /// Division by zero.
    #[error("it divides by zero")]
    DivisionByZero,
    /// Cannot happen after the check; never a panic.
    #[error("a value has another type than was checked")]
    Type,
}

pub(super) fn holds(node: &Node, facts: &Facts<'_>) -> Result<bool, EvalError> {
    Evaluation {
        facts,
        elements: Vec::new(),
    }
    .truth(node)
}

struct Evaluation<'a, 'f> {
    facts: &'f Facts<'a>,
    /// What the enclosing quantifiers are at, outermost first.
    elements: Vec<&'a str>,
}

impl<'a> Evaluation<'a, '_> {
    fn truth(&mut self, node: &'a Node) -> Result<bool, EvalError> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            _ => Err(EvalError::Type),
        }
    }

    fn value(&mut self, node: &'a Node) -> Result<Value<'a>, EvalError> {
        Ok(match node {
            Node::Literal(literal) => value_of(literal),
            Node::Field(field) => field.value(self.facts),
            Node::Known(field) => Value::Bool(field.is_known(self.facts)),
            Node::Element(depth) => Value::text(self.elements.get(*depth).ok_or(EvalError::Type)?),
            Node::Entry(map, key) => self.entry(map, key)?,
            Node::Item(list, place) => self.item(list, place)?,
            Node::Not(inner) => Value::Bool(!self.truth(inner)?),
            Node::And(left, right) => Value::Bool(self.settle(left, right, false)?),
            Node::Or(left, right) => Value::Bool(self.settle(left, right, true)?),
            Node::If(parts) => {
                let [condition, yes, no] = &**parts;
                let branch = if self.truth(condition)? { yes } else { no };
                self.value(branch)?
            }
            Node::Negate(inner) => negate(&self.value(inner)?)?,
            Node::Arithmetic(operator, left, right) => {
                arithmetic(*operator, &self.value(left)?, &self.value(right)?)?
            }
            Node::Compare(comparison, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Value::Bool(comparison.accepts(left.compare(&right)))
            }
            Node::Rank(comparison, unordered, left, right) => {
                let (Value::Word(left), Value::Word(right)) = (self.value(left)?, self.value(right)?) else {
                    return Err(EvalError::Type);
                };
                let known = Some(left) != *unordered && Some(right) != *unordered;
                Value::Bool(known && comparison.accepts(Some(left.cmp(&right))))
            }
            Node::OneOf(value, literals) => {
                let value = self.value(value)?;
                let is_equal = |literal| {
                    value
                        .compare(&value_of(literal))
                        .is_some_and(std::cmp::Ordering::is_eq)
                };
                Value::Bool(literals.iter().any(is_equal))
            }
            Node::Holds(value, holder) => self.is_held(value, holder)?,
            Node::Size(value) => size(&self.value(value)?)?,
            Node::Texts(kind, text, part) => self.test_text(*kind, text, part)?,
            Node::Matches(text, regex) => {
                let text = self.text(text)?;
                let found = regex.try_search_fwd(&Input::new(&*text).earliest(true));
                Value::Bool(found.map_err(|_| EvalError::Type)?.is_some())
            }
            Node::Quantifier(kind, list, condition) => self.quantify(*kind, list, condition)?,
        })
    }

    fn text(&mut self, node: &'a Node) -> Result<std::borrow::Cow<'a, str>, EvalError> {
        match self.value(node)? {
            Value::Text(text) => Ok(text),
            _ => Err(EvalError::Type),
        }
    }

    /// `&&` and `||` as CEL has them: a side that settles the answer hides the error of the other.
    fn settle(&mut self, left: &'a Node, right: &'a Node, settling: bool) -> Result<bool, EvalError> {
        let left = self.truth(left);
        if left == Ok(settling) {
            return Ok(settling);
        }
        match self.truth(right) {
            Ok(right) if right == settling => Ok(settling),
            Ok(_) => left,
            Err(error) => left.and(Err(error)),
        }
    }

    fn entry(&mut self, map: &'a Node, key: &'a Node) -> Result<Value<'a>, EvalError> {
        let key = self.text(key)?;
        let Value::TextMap(map) = self.value(map)? else {
            return Err(EvalError::Type);
        };
        map.get(&*key)
            .map(|value| Value::text(value))
            .ok_or(EvalError::NoSuchKey)
    }

    fn item(&mut self, list: &'a Node, place: &'a Node) -> Result<Value<'a>, EvalError> {
        let (Value::Texts(list), Value::Int(place)) = (self.value(list)?, self.value(place)?) else {
            return Err(EvalError::Type);
        };
        let place = usize::try_from(place).map_err(|_| EvalError::OutOfRange)?;
        list.get(place)
            .map(|text| Value::text(text))
            .ok_or(EvalError::OutOfRange)
    }

    fn is_held(&mut self, value: &'a Node, holder: &'a Node) -> Result<Value<'a>, EvalError> {
        let text = self.text(value)?;
        match self.value(holder)? {
            Value::Texts(list) => Ok(Value::Bool(list.iter().any(|item| *item == text))),
            Value::TextMap(map) => Ok(Value::Bool(map.contains_key(&*text))),
            _ => Err(EvalError::Type),
        }
    }

    fn test_text(&mut self, kind: TextTest, text: &'a Node, part: &'a Node) -> Result<Value<'a>, EvalError> {
        let (text, part) = (self.text(text)?, self.text(part)?);
        Ok(Value::Bool(match kind {
            TextTest::StartsWith => text.starts_with(&*part),
            TextTest::EndsWith => text.ends_with(&*part),
            TextTest::Contains => text.contains(&*part),
        }))
    }

    /// Errors as CEL has them: an element that settles the answer hides those of the others, except for `exists_one`.
    fn quantify(
        &mut self,
        kind: Quantifier,
        list: &'a Node,
        condition: &'a Node,
    ) -> Result<Value<'a>, EvalError> {
        let list: Vec<&'a str> = match self.value(list)? {
            Value::Texts(list) => list,
            Value::TextMap(map) => map.keys().take(MAX_FACT_LIST).map(|key| clipped(key)).collect(),
            _ => return Err(EvalError::Type),
        };
        let mut found = 0_usize;
        let mut error = None;
        for element in list {
            self.elements.push(element);
            let answer = self.truth(condition);
            self.elements.pop();
            match (kind, answer) {
                (Quantifier::Exists, Ok(true)) => return Ok(Value::Bool(true)),
                (Quantifier::All, Ok(false)) => return Ok(Value::Bool(false)),
                (_, Ok(answer)) => found += usize::from(answer),
                (_, Err(problem)) => error = error.or(Some(problem)),
            }
        }
        match (error, kind) {
            (Some(error), _) => Err(error),
            (None, Quantifier::Exists) => Ok(Value::Bool(false)),
            (None, Quantifier::All) => Ok(Value::Bool(true)),
            (None, Quantifier::ExistsOne) => Ok(Value::Bool(found == 1)),
        }
    }
}

fn value_of(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::Text(text) => Value::text(text),
        Literal::Time(time) => Value::Time(*time),
        Literal::Word(place) => Value::Word(*place),
        Literal::Texts(texts) => Value::texts(texts.iter().map(String::as_str)),
    }
}

fn negate<'a>(value: &Value<'_>) -> Result<Value<'a>, EvalError> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or(EvalError::Overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        _ => Err(EvalError::Type),
    }
}

fn arithmetic<'a>(operator: Arithmetic, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'a>, EvalError> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            if *right == 0 && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
                return Err(EvalError::DivisionByZero);
            }
            let result = match operator {
                Arithmetic::Add => left.checked_add(*right),
                Arithmetic::Subtract => left.checked_sub(*right),
                Arithmetic::Multiply => left.checked_mul(*right),
                Arithmetic::Divide => left.checked_div(*right),
                Arithmetic::Remainder => left.checked_rem(*right),
            };
            result.map(Value::Int).ok_or(EvalError::Overflow)
        }
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(match operator {
            Arithmetic::Add => left + right,
            Arithmetic::Subtract => left - right,
            Arithmetic::Multiply => left * right,
            Arithmetic::Divide => left / right,
            Arithmetic::Remainder => return Err(EvalError::Type),
        })),
        _ => Err(EvalError::Type),
    }
}

fn size<'a>(value: &Value<'_>) -> Result<Value<'a>, EvalError> {
    let size = match value {
        Value::Text(text) => text.chars().count(),
        Value::Texts(list) => list.len(),
        Value::TextMap(map) => map.len(),
        _ => return Err(EvalError::Type),
    };
    Ok(Value::Int(size.try_into().unwrap_or(i64::MAX)))
}

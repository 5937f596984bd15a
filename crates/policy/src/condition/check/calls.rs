//! Operators and functions.

use cel::common::ast::{Expr, IdedExpr};

use super::super::cost;
use super::super::error::ConditionProblem;
use super::super::fields::parse_time;
use super::super::node::{Arithmetic, Literal, Node, Quantifier, TextTest};
use super::super::operators;
use super::super::value::Type;
use super::{Checker, Lowered, Typed, literals};
use crate::nearest::did_you_mean;
use crate::text::one_line;

const FUNCTIONS: [&str; 10] = [
    "has",
    "size",
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "exists",
    "all",
    "exists_one",
    "timestamp",
];

impl Checker<'_> {
    pub(super) fn compare(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Lowered {
        let Some(comparison) = operators::comparison(name) else {
            return self.unknown_function(expr, name);
        };
        let (mut left, mut right) = (self.lower(left)?, self.lower(right)?);
        self.spell(expr, &mut left, &mut right)?;
        let (kind, cost) = (left.kind, left.cost + right.cost);
        let (left_kind, right_kind) = (left.kind, right.kind);
        let (left, right) = (Box::new(left.node), Box::new(right.node));
        let node = match (left_kind, right_kind) {
            (Type::Word(words), Type::Word(other))
                if words == other && comparison.is_order() && words.ordered =>
            {
                Node::Rank(comparison, words.unordered, left, right)
            }
            (Type::Word(words), Type::Word(other)) if words == other && !comparison.is_order() => {
                Node::Compare(comparison, left, right)
            }
            (Type::Int | Type::Double, Type::Int | Type::Double)
            | (Type::Text, Type::Text)
            | (Type::Time, Type::Time) => Node::Compare(comparison, left, right),
            (Type::Bool, Type::Bool) if !comparison.is_order() => Node::Compare(comparison, left, right),
            (left, right) => {
                let shown = operators::shown(name);
                return Err(self.mismatch(
                    expr,
                    &shown,
                    &[left, right],
                    "both sides must be of one type that it knows",
                ));
            }
        };
        Ok(Typed::new(node, Type::Bool, cost + cost::compare(kind)))
    }

    /// A text that is written beside a word must be one of the words.
    fn spell(
        &mut self,
        expr: &IdedExpr,
        left: &mut Typed,
        right: &mut Typed,
    ) -> Result<(), super::ConditionError> {
        let (words, written) = match (left.kind, right.kind) {
            (Type::Word(words), Type::Text) => (words, right),
            (Type::Text, Type::Word(words)) => (words, left),
            _ => return Ok(()),
        };
        let Some(text) = written.written() else {
            return Ok(());
        };
        let literal = literals::word(words, text).map_err(|problem| self.at(expr, problem))?;
        *written = Typed::new(Node::Literal(literal), Type::Word(words), cost::STEP);
        Ok(())
    }

    pub(super) fn arithmetic(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Lowered {
        let Some(operator) = operators::arithmetic(name) else {
            return self.unknown_function(expr, name);
        };
        let (left, right) = (self.lower(left)?, self.lower(right)?);
        let fits = match (left.kind, right.kind) {
            (Type::Int, Type::Int) => true,
            (Type::Double, Type::Double) => operator != Arithmetic::Remainder,
            _ => false,
        };
        if !fits {
            let expected = "it takes two numbers of one type; texts and lists are never joined here";
            return Err(self.mismatch(expr, &operators::shown(name), &[left.kind, right.kind], expected));
        }
        let (kind, cost) = (left.kind, left.cost + right.cost + cost::STEP);
        let node = Node::Arithmetic(operator, Box::new(left.node), Box::new(right.node));
        Ok(Typed::new(node, kind, cost))
    }

    pub(super) fn negate(&mut self, expr: &IdedExpr, inner: &IdedExpr) -> Lowered {
        let inner = self.lower(inner)?;
        if !matches!(inner.kind, Type::Int | Type::Double) {
            return Err(self.mismatch(expr, "-", &[inner.kind], "it takes a number"));
        }
        Ok(Typed::new(
            Node::Negate(Box::new(inner.node)),
            inner.kind,
            inner.cost + cost::STEP,
        ))
    }

    pub(super) fn is_in(&mut self, expr: &IdedExpr, value: &IdedExpr, holder: &IdedExpr) -> Lowered {
        let value = self.lower(value)?;
        if let Expr::List(list) = &holder.expr {
            let literals = self.elements(holder, list)?;
            return self.one_of(expr, value, literals);
        }
        let holder = self.lower(holder)?;
        let (Type::Text, Type::Texts | Type::TextMap) = (value.kind, holder.kind) else {
            let expected = "a text can be in a list of texts, in labels or in annotations";
            return Err(self.mismatch(expr, "in", &[value.kind, holder.kind], expected));
        };
        let cost = value.cost + holder.cost + cost::search(holder.kind);
        let node = Node::Holds(Box::new(value.node), Box::new(holder.node));
        Ok(Typed::new(node, Type::Bool, cost))
    }

    fn one_of(&mut self, expr: &IdedExpr, value: Typed, literals: Vec<Literal>) -> Lowered {
        let mut spelled = Vec::with_capacity(literals.len());
        for literal in literals {
            spelled.push(match (value.kind, literal) {
                (Type::Word(words), Literal::Text(text)) => {
                    literals::word(words, &text).map_err(|problem| self.at(expr, problem))?
                }
                (Type::Text, literal @ Literal::Text(_)) | (Type::Int, literal @ Literal::Int(_)) => literal,
                (kind, _) => {
                    let expected = "the list must hold values of the type that is looked for";
                    return Err(self.mismatch(expr, "in", &[kind], expected));
                }
            });
        }
        let count = u64::try_from(spelled.len()).unwrap_or(u64::MAX);
        let cost = value.cost + count.saturating_mul(cost::compare(value.kind)) + cost::STEP;
        Ok(Typed::new(
            Node::OneOf(Box::new(value.node), spelled),
            Type::Bool,
            cost,
        ))
    }

    pub(super) fn function(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        arguments: &[IdedExpr],
    ) -> Lowered {
        match (name, target, arguments) {
            ("has", None, [field]) => self.has(field),
            ("size", None, [value]) | ("size", Some(value), []) => self.size(expr, value),
            ("timestamp", None, [moment]) => self.timestamp(moment),
            ("startsWith", Some(text), [part]) => self.test_text(expr, TextTest::StartsWith, text, part),
            ("endsWith", Some(text), [part]) => self.test_text(expr, TextTest::EndsWith, text, part),
            ("contains", Some(text), [part]) => self.test_text(expr, TextTest::Contains, text, part),
            ("matches", Some(text), [pattern]) => self.matches(expr, text, pattern),
            ("exists", Some(list), [name, test]) => {
                self.quantifier(expr, Quantifier::Exists, list, [name, test])
            }
            ("all", Some(list), [name, test]) => self.quantifier(expr, Quantifier::All, list, [name, test]),
            ("exists_one", Some(list), [name, test]) => {
                self.quantifier(expr, Quantifier::ExistsOne, list, [name, test])
            }
            ("map" | "filter", Some(_), _) => Err(self.at(
                expr,
                ConditionProblem::NotHere(
                    "map() and filter() make lists, which is never needed here: use exists() or all()",
                ),
            )),
            (name, ..) if FUNCTIONS.contains(&name) => Err(self.at(
                expr,
                ConditionProblem::NotHere(
                    "the function takes another number of arguments, or stands after a dot",
                ),
            )),
            (name, ..) => self.unknown_function(expr, name),
        }
    }

    fn unknown_function(&self, expr: &IdedExpr, name: &str) -> Lowered {
        let hint = did_you_mean(name, FUNCTIONS);
        let name = one_line(&operators::shown(name), 64);
        Err(self.at(expr, ConditionProblem::UnknownFunction { name, hint }))
    }

    fn has(&mut self, argument: &IdedExpr) -> Lowered {
        let Expr::Select(select) = &argument.expr else {
            return Err(self.at(
                argument,
                ConditionProblem::NotHere("has() takes a field, such as has(finding.epss)"),
            ));
        };
        if let Some(record) = self.record(&select.operand) {
            let field = self.field(argument, record, &select.field)?;
            return Ok(Typed::new(Node::Known(field), Type::Bool, cost::read(field.kind)));
        }
        let map = self.lower(&select.operand)?;
        if map.kind != Type::TextMap {
            return Err(self.mismatch(
                argument,
                "has",
                &[map.kind],
                "it takes a field, a label or an annotation",
            ));
        }
        let key = Node::Literal(Literal::Text(select.field.clone()));
        let node = Node::Holds(Box::new(key), Box::new(map.node));
        Ok(Typed::new(
            node,
            Type::Bool,
            map.cost + cost::search(Type::TextMap),
        ))
    }

    fn size(&mut self, expr: &IdedExpr, value: &IdedExpr) -> Lowered {
        let value = self.lower(value)?;
        if !matches!(value.kind, Type::Text | Type::Texts | Type::TextMap) {
            return Err(self.mismatch(
                expr,
                "size",
                &[value.kind],
                "it counts texts, lists, labels and annotations",
            ));
        }
        let node = Node::Size(Box::new(value.node));
        Ok(Typed::new(node, Type::Int, value.cost + cost::SEARCH))
    }

    fn timestamp(&mut self, moment: &IdedExpr) -> Lowered {
        let typed = self.lower(moment)?;
        let Some(text) = typed.written() else {
            return Err(self.at(
                moment,
                ConditionProblem::NotHere("timestamp() takes a text that is written down"),
            ));
        };
        let time =
            parse_time(text).ok_or_else(|| self.at(moment, ConditionProblem::Time(one_line(text, 64))))?;
        Ok(Typed::new(
            Node::Literal(Literal::Time(time)),
            Type::Time,
            cost::STEP,
        ))
    }

    fn test_text(&mut self, expr: &IdedExpr, test: TextTest, whole: &IdedExpr, part: &IdedExpr) -> Lowered {
        let (whole, part) = (self.lower(whole)?, self.lower(part)?);
        if (whole.kind, part.kind) != (Type::Text, Type::Text) {
            return Err(self.mismatch(
                expr,
                "a test of whole",
                &[whole.kind, part.kind],
                "it takes two texts",
            ));
        }
        let work = if test == TextTest::Contains {
            cost::SEARCH
        } else {
            cost::TEXT
        };
        let cost = whole.cost + part.cost + work;
        let node = Node::Texts(test, Box::new(whole.node), Box::new(part.node));
        Ok(Typed::new(node, Type::Bool, cost))
    }

    fn matches(&mut self, expr: &IdedExpr, text: &IdedExpr, pattern: &IdedExpr) -> Lowered {
        let (text, typed) = (self.lower(text)?, self.lower(pattern)?);
        if text.kind != Type::Text {
            return Err(self.mismatch(expr, "matches", &[text.kind], "it takes a text"));
        }
        let Some(source) = typed.written() else {
            return Err(self.at(
                pattern,
                ConditionProblem::NotHere("matches() takes an expression that is written down"),
            ));
        };
        let regex = literals::regex(source, self.limits).map_err(|problem| self.at(pattern, problem))?;
        let node = Node::Matches(Box::new(text.node), regex);
        Ok(Typed::new(node, Type::Bool, text.cost + cost::MATCH))
    }
}

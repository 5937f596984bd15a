//! From the parser's tree to ours: every name, type and literal is checked here, once.

mod calls;
mod literals;
mod quantifiers;

use cel::Program;
use cel::common::ast::{CallExpr, Expr, IdedExpr, SelectExpr, SourceInfo, operators as names};

use super::cost;
use super::error::{ConditionError, ConditionProblem};
use super::fields::Record;
use super::node::{Literal, Node};
use super::operators;
use super::value::Type;
use crate::PolicyLimits;
use crate::nearest::did_you_mean;
use crate::text::one_line;

/// A condition as it is evaluated.
pub(super) struct Checked {
    pub(super) node: Node,
    pub(super) cost: u64,
    pub(super) reads: Vec<&'static super::fields::Field>,
}

pub(super) fn check(program: &Program, limits: &PolicyLimits) -> Result<Checked, ConditionError> {
    let mut checker = Checker {
        source: program.source_info(),
        limits,
        variables: Vec::new(),
        reads: Vec::new(),
        nodes: 0,
    };
    let root = program.expression();
    let typed = checker.lower(root)?;
    if typed.kind != Type::Bool {
        return Err(checker.at(root, ConditionProblem::NotBool(typed.kind)));
    }
    if typed.cost > limits.condition_cost {
        let (cost, limit) = (typed.cost, limits.condition_cost);
        return Err(checker.at(root, ConditionProblem::TooCostly { cost, limit }));
    }
    Ok(Checked {
        node: typed.node,
        cost: typed.cost,
        reads: checker.reads,
    })
}

/// A node with what it yields and costs at worst.
struct Typed {
    node: Node,
    kind: Type,
    cost: u64,
}

impl Typed {
    fn new(node: Node, kind: Type, cost: u64) -> Self {
        Self { node, kind, cost }
    }

    /// The text, if it is one that was written down.
    fn written(&self) -> Option<&str> {
        match &self.node {
            Node::Literal(Literal::Text(text)) => Some(text),
            _ => None,
        }
    }
}

type Lowered = Result<Typed, ConditionError>;

struct Checker<'p> {
    source: &'p SourceInfo,
    limits: &'p PolicyLimits,
    /// Names of the elements of enclosing quantifiers, outermost first.
    variables: Vec<String>,
    reads: Vec<&'static super::fields::Field>,
    nodes: usize,
}

impl Checker<'_> {
    fn at(&self, expr: &IdedExpr, problem: ConditionProblem) -> ConditionError {
        let offset = self
            .source
            .offset_for(expr.id)
            .map_or(0, |(start, _)| start as usize);
        problem.at(offset + 1)
    }

    fn lower(&mut self, expr: &IdedExpr) -> Lowered {
        self.nodes += 1;
        if self.nodes > self.limits.expression_nodes {
            let (what, limit) = (format!("{} nodes", self.nodes), self.limits.expression_nodes);
            return Err(self.at(expr, ConditionProblem::TooLarge { what, limit }));
        }
        match &expr.expr {
            Expr::Literal(value) => literals::literal(value).map_err(|problem| self.at(expr, problem)),
            Expr::Ident(name) => self.variable(expr, name),
            Expr::Select(select) => self.select(expr, select),
            Expr::List(list) => self.list(expr, list),
            Expr::Call(call) => self.call(expr, call),
            Expr::Map(_) | Expr::Struct(_) => Err(self.at(
                expr,
                ConditionProblem::NotHere("maps and messages cannot be made here"),
            )),
            Expr::Comprehension(_) | Expr::Unspecified => Err(self.at(
                expr,
                ConditionProblem::NotHere("this form of CEL is not known here"),
            )),
        }
    }

    fn variable(&mut self, expr: &IdedExpr, name: &str) -> Lowered {
        if let Some(depth) = self.variables.iter().rposition(|variable| variable == name) {
            return Ok(Typed::new(Node::Element(depth), Type::Text, cost::STEP));
        }
        if Record::named(name).is_some() {
            let problem =
                ConditionProblem::NotHere("a variable is used by its fields, such as finding.severity");
            return Err(self.at(expr, problem));
        }
        let known = Record::ALL.iter().map(|record| record.as_str());
        let hint = did_you_mean(name, known.chain(self.variables.iter().map(String::as_str)));
        let name = one_line(name, 64);
        Err(self.at(expr, ConditionProblem::UnknownVariable { name, hint }))
    }

    fn select(&mut self, expr: &IdedExpr, select: &SelectExpr) -> Lowered {
        if let Some(record) = self.record(&select.operand) {
            let field = self.field(expr, record, &select.field)?;
            return Ok(Typed::new(Node::Field(field), field.kind, cost::read(field.kind)));
        }
        let map = self.lower(&select.operand)?;
        let key = Typed::new(
            Node::Literal(Literal::Text(select.field.clone())),
            Type::Text,
            cost::STEP,
        );
        self.entry(expr, map, key)
    }

    /// The record that `expr` is the variable of, unless a quantifier took the name.
    fn record(&mut self, expr: &IdedExpr) -> Option<Record> {
        match &expr.expr {
            Expr::Ident(name) if !self.variables.contains(name) => Record::named(name),
            _ => None,
        }
    }

    fn field(
        &mut self,
        expr: &IdedExpr,
        record: Record,
        name: &str,
    ) -> Result<&'static super::fields::Field, ConditionError> {
        let field = record.field(name).ok_or_else(|| {
            let hint = did_you_mean(name, record.fields().map(|field| field.name));
            let (record, name) = (record.as_str(), one_line(name, 64));
            self.at(expr, ConditionProblem::UnknownField { record, name, hint })
        })?;
        if !self.reads.iter().any(|known| std::ptr::eq(*known, field)) {
            self.reads.push(field);
        }
        Ok(field)
    }

    fn entry(&self, expr: &IdedExpr, holder: Typed, key: Typed) -> Lowered {
        let cost = holder.cost + key.cost;
        let (holder_node, key_node) = (Box::new(holder.node), Box::new(key.node));
        match (holder.kind, key.kind) {
            (Type::TextMap, Type::Text) => {
                let node = Node::Entry(holder_node, key_node);
                Ok(Typed::new(node, Type::Text, cost + cost::search(Type::TextMap)))
            }
            (Type::Texts, Type::Int) => Ok(Typed::new(
                Node::Item(holder_node, key_node),
                Type::Text,
                cost + cost::STEP,
            )),
            (left, right) => Err(self.mismatch(
                expr,
                "[ ]",
                &[left, right],
                "a list takes a number, labels and annotations a name",
            )),
        }
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Lowered {
        match (
            call.func_name.as_str(),
            call.target.as_deref(),
            call.args.as_slice(),
        ) {
            (names::LOGICAL_NOT, None, [inner]) => {
                let inner = self.truth(inner)?;
                Ok(Typed::new(
                    Node::Not(Box::new(inner.node)),
                    Type::Bool,
                    inner.cost + cost::STEP,
                ))
            }
            (names::LOGICAL_AND, None, [left, right]) => self.logic(left, right, Node::And),
            (names::LOGICAL_OR, None, [left, right]) => self.logic(left, right, Node::Or),
            (names::CONDITIONAL, None, [condition, yes, no]) => self.conditional(expr, [condition, yes, no]),
            (names::NEGATE, None, [inner]) => self.negate(expr, inner),
            (names::INDEX, None, [holder, key]) => {
                let (holder, key) = (self.lower(holder)?, self.lower(key)?);
                self.entry(expr, holder, key)
            }
            (names::IN, None, [value, holder]) => self.is_in(expr, value, holder),
            (name, None, [left, right]) if operators::comparison(name).is_some() => {
                self.compare(expr, name, left, right)
            }
            (name, None, [left, right]) if operators::arithmetic(name).is_some() => {
                self.arithmetic(expr, name, left, right)
            }
            (name, target, arguments) => self.function(expr, name, target, arguments),
        }
    }

    fn truth(&mut self, expr: &IdedExpr) -> Lowered {
        let typed = self.lower(expr)?;
        if typed.kind == Type::Bool {
            return Ok(typed);
        }
        Err(self.mismatch(expr, "a condition", &[typed.kind], "compare it with something"))
    }

    fn logic(
        &mut self,
        left: &IdedExpr,
        right: &IdedExpr,
        make: fn(Box<Node>, Box<Node>) -> Node,
    ) -> Lowered {
        let (left, right) = (self.truth(left)?, self.truth(right)?);
        let cost = left.cost + right.cost + cost::STEP;
        Ok(Typed::new(
            make(Box::new(left.node), Box::new(right.node)),
            Type::Bool,
            cost,
        ))
    }

    fn conditional(&mut self, expr: &IdedExpr, [condition, yes, no]: [&IdedExpr; 3]) -> Lowered {
        let condition = self.truth(condition)?;
        let (yes, no) = (self.lower(yes)?, self.lower(no)?);
        if yes.kind != no.kind {
            return Err(self.mismatch(
                expr,
                "? :",
                &[yes.kind, no.kind],
                "both sides must be of one type",
            ));
        }
        let cost = condition.cost + yes.cost.max(no.cost) + cost::STEP;
        let kind = yes.kind;
        let node = Node::If(Box::new([condition.node, yes.node, no.node]));
        Ok(Typed::new(node, kind, cost))
    }

    fn mismatch(
        &self,
        expr: &IdedExpr,
        what: &str,
        found: &[Type],
        expected: &'static str,
    ) -> ConditionError {
        let found = found
            .iter()
            .map(Type::to_string)
            .collect::<Vec<_>>()
            .join(" and ");
        let what = one_line(what, 64);
        self.at(
            expr,
            ConditionProblem::Types {
                what,
                found,
                expected,
            },
        )
    }
}

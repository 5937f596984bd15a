//! `exists`, `all`, `exists_one`.

use cel::common::ast::{Expr, IdedExpr};

use super::super::cost;
use super::super::error::ConditionProblem;
use super::super::fields::Record;
use super::super::node::{Node, Quantifier};
use super::super::value::Type;
use super::{Checker, Lowered, Typed};

impl Checker<'_> {
    pub(super) fn quantifier(
        &mut self,
        expr: &IdedExpr,
        kind: Quantifier,
        list: &IdedExpr,
        [variable, condition]: [&IdedExpr; 2],
    ) -> Lowered {
        let list = self.lower(list)?;
        if !matches!(list.kind, Type::Texts | Type::TextMap) {
            return Err(self.mismatch(
                expr,
                "exists",
                &[list.kind],
                "it walks through lists, labels and annotations",
            ));
        }
        let limit = self.limits.quantifier_depth;
        if self.variables.len() >= limit {
            let what = format!("{} exists() or all() in one another", limit + 1);
            return Err(self.at(expr, ConditionProblem::TooLarge { what, limit }));
        }
        let Expr::Ident(name) = &variable.expr else {
            return Err(self.at(
                variable,
                ConditionProblem::NotHere("the first argument names the element"),
            ));
        };
        if Record::named(name).is_some() || self.variables.contains(name) || name.starts_with('.') {
            return Err(self.at(
                variable,
                ConditionProblem::NotHere("the element needs a name of its own"),
            ));
        }
        self.variables.push(name.clone());
        let condition = self.truth(condition);
        self.variables.pop();
        let condition = condition?;
        let cost = list.cost + cost::LIST.saturating_mul(condition.cost + cost::STEP);
        let node = Node::Quantifier(kind, Box::new(list.node), Box::new(condition.node));
        Ok(Typed::new(node, Type::Bool, cost))
    }
}

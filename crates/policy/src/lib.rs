//! From findings and rules to a decision: allow, warn or refuse, each with its reasons.
//!
//! Pure: the moment of judgement is an argument, conditions are compiled and evaluated under a budget.

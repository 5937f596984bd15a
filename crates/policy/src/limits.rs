//! What bounds a policy and one judgement. Each limit names what it stops.

/// Longest text of a fact that a condition looks at, in bytes. A label of a megabyte must not cost a megabyte per rule.
pub const MAX_FACT_TEXT_BYTES: usize = 4_096;

/// Most entries of a list or map of facts that a condition walks through.
pub const MAX_FACT_LIST: usize = 100;

/// Most findings that one decision looks at, the worst first. The rest is counted as unknown.
pub const MAX_FINDINGS: usize = 20_000;

/// Most reasons that one decision keeps, the worst first.
pub const MAX_REASONS: usize = 1_000;

/// Most reasons of one rule with one effect, the worst first: bounds the memory of a decision about a flood of findings.
pub const MAX_REASONS_PER_RULE: usize = 500;

/// Most waivers whose scope takes in one image; more have no effect on it, which is the safe side.
pub const MAX_WAIVERS_PER_IMAGE: usize = 1_000;

/// Most finding ids that one reason names.
pub const MAX_IDS_PER_REASON: usize = 100;

/// Most waived findings that one decision lists.
pub const MAX_WAIVED: usize = 1_000;

/// Most signatures and attestations that one decision lists, those that count first.
pub const MAX_SIGNATURES: usize = 100;

/// Longest message of a reason after its template was filled in, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// Longest line that is given to a client as the text of a refusal or warning, in bytes.
pub const MAX_LINE_BYTES: usize = 900;

/// Longest time that a waiver may be in force, in days. Whoever still needs it then asks again.
pub const MAX_WAIVER_DAYS: i64 = 366;

/// Most findings, rules or patterns that one waiver names.
pub const MAX_WAIVER_ENTRIES: usize = 100;

/// Bounds on a policy while it is loaded, and on the work of one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyLimits {
    /// All files together, in bytes.
    pub policy_bytes: usize,
    /// Rules of all files together.
    pub rules: usize,
    /// Patterns of repositories in one rule.
    pub patterns: usize,
    /// One condition, in bytes.
    pub expression_bytes: usize,
    /// Brackets in brackets in one condition.
    pub expression_nesting: usize,
    /// Operators, dots and brackets in one condition: bounds the depth of chains that have no brackets.
    pub expression_operators: usize,
    /// Nodes of the tree of one condition.
    pub expression_nodes: usize,
    /// `exists` or `all` inside `exists` or `all`: each level multiplies the work by [`MAX_FACT_LIST`].
    pub quantifier_depth: usize,
    /// Work of one condition at worst, in units of comparing two small values.
    pub condition_cost: u64,
    /// One regular expression, in bytes.
    pub regex_bytes: usize,
    /// Memory of one compiled regular expression, in bytes.
    pub regex_memory: usize,
    /// One message before it is filled in, in bytes.
    pub message_bytes: usize,
    /// Days of grace.
    pub grace_days: u16,
    /// Work of all conditions over all findings of one decision, in the units of `condition_cost`.
    pub decision_cost: u64,
}

impl Default for PolicyLimits {
    fn default() -> Self {
        Self {
            policy_bytes: 256 << 10,
            rules: 200,
            patterns: 100,
            expression_bytes: 1_024,
            expression_nesting: 8,
            expression_operators: 80,
            expression_nodes: 400,
            quantifier_depth: 2,
            condition_cost: 250_000,
            regex_bytes: 256,
            regex_memory: 256 << 10,
            message_bytes: 512,
            grace_days: 365,
            decision_cost: 50_000_000,
        }
    }
}

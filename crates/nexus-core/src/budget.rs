//! Budgets, spending, and what follows from the two.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::RunReport;
use crate::units::Span;

/// An amount of US dollars, at a resolution of a millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct Usd(u64);

impl Usd {
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl TryFrom<f64> for Usd {
    type Error = String;

    fn try_from(dollars: f64) -> Result<Self, Self::Error> {
        if !(0.0..=1e9).contains(&dollars) {
            return Err(format!("`{dollars}` is not an amount of US dollars: use a number from 0 to a billion"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        Ok(Self((dollars * 1e6).round() as u64))
    }
}

impl From<Usd> for f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 for every amount that is accepted")]
    fn from(amount: Usd) -> Self {
        amount.0 as Self / 1e6
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.2}", f64::from(*self))
    }
}

/// A budget; a limit that is absent is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Tokens of models, input and output together.
    pub tokens: Option<u64>,
    /// Calls of models.
    pub turns: Option<u64>,
    /// US dollars, as agents say what they cost; what an agent doesn't say is not counted.
    pub cost: Option<Usd>,
    /// Time of agents, all together.
    pub wall_time: Option<Span>,
}

/// The spending so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    pub tokens: u64,
    pub turns: u64,
    /// In millionths of a US dollar.
    pub cost_micros: u64,
    /// In milliseconds.
    pub wall_ms: u64,
}

impl Spent {
    /// Nothing but time.
    #[must_use]
    pub fn time(wall: Duration) -> Self {
        Self { wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX), ..Self::default() }
    }

    #[must_use]
    pub fn of(run: &RunReport, wall: Duration) -> Self {
        Self {
            tokens: run.tokens.total(),
            turns: run.turns.into(),
            cost_micros: run.cost_micros.unwrap_or(0),
            ..Self::time(wall)
        }
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            turns: self.turns.saturating_add(other.turns),
            cost_micros: self.cost_micros.saturating_add(other.cost_micros),
            wall_ms: self.wall_ms.saturating_add(other.wall_ms),
        }
    }

    /// The spending since `earlier`, which is of the same run.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(earlier.tokens),
            turns: self.turns.saturating_sub(earlier.turns),
            cost_micros: self.cost_micros.saturating_sub(earlier.cost_micros),
            wall_ms: self.wall_ms.saturating_sub(earlier.wall_ms),
        }
    }

    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A budget's word on the spending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    Within,
    /// At least 80 % of something are spent: a sentence that says so.
    Near(String),
    /// All of something is spent: a sentence that says so.
    Over(String),
}

/// Percent of a budget at which is warned.
pub const WARN_AT: u64 = 80;

impl Budget {
    /// Nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The strictest word on what was spent. `whose` begins the sentence ("the task", "the department qa").
    #[must_use]
    pub fn judge(&self, spent: &Spent, whose: &str) -> Judgement {
        let parts = [
            self.tokens.map(|most| (spent.tokens, most, format!("{most} tokens"))),
            self.turns.map(|most| (spent.turns, most, format!("{most} model turns"))),
            self.cost.map(|most| (spent.cost_micros, most.micros(), most.to_string())),
            self.wall_time
                .map(|most| (spent.wall_ms, Spent::time(most.get()).wall_ms, format!("{most} of agents' time"))),
        ];
        let mut near = Judgement::Within;
        for (used, most, words) in parts.into_iter().flatten() {
            if used >= most {
                return Judgement::Over(format!("{whose} has used up its budget of {words}"));
            }
            // Both are far below what overflows: a budget is a number that somebody wrote.
            if near == Judgement::Within && u128::from(used) * 100 >= u128::from(most) * u128::from(WARN_AT) {
                let percent = u128::from(used) * 100 / u128::from(most);
                near = Judgement::Near(format!("{whose} has used {percent} % of its budget of {words}"));
            }
        }
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(budget: Budget, spent: Spent, expected: &str) {
        let words = match budget.judge(&spent, "it") {
            Judgement::Within => "within".to_owned(),
            Judgement::Near(words) | Judgement::Over(words) => words,
        };
        assert_eq!(words, expected);
    }

    #[test]
    fn warned_at_80_percent_and_over_at_100() {
        let budget = Budget { tokens: Some(1000), ..Budget::default() };
        let tokens = |tokens| Spent { tokens, ..Spent::default() };
        check(budget, tokens(799), "within");
        check(budget, tokens(800), "it has used 80 % of its budget of 1000 tokens");
        check(budget, tokens(999), "it has used 99 % of its budget of 1000 tokens");
        check(budget, tokens(1000), "it has used up its budget of 1000 tokens");
        let cost = Budget { cost: Some(Usd::try_from(0.5).unwrap()), ..Budget::default() };
        check(cost, Spent { cost_micros: 500_000, ..Spent::default() }, "it has used up its budget of $0.50");
        let time = Budget { wall_time: Some(Span::from_secs(60)), ..budget };
        check(time, Spent { wall_ms: 60_000, ..tokens(900) }, "it has used up its budget of 1m of agents' time");
        check(Budget::default(), tokens(u64::MAX), "within");
    }

    #[test]
    fn dollars_are_numbers() {
        let read = serde_json::from_str::<Usd>;
        assert_eq!(read("5").unwrap().micros(), 5_000_000);
        assert_eq!(read("0.25").unwrap().to_string(), "$0.25");
        assert!(read("-1").is_err() && read("1e30").is_err());
        assert_eq!(serde_json::to_string(&Usd::from_micros(1_500_000)).unwrap(), "1.5");
    }

    proptest! {
        /// More spent is never judged more kindly.
        #[test]
        fn monotonic(most in 1_u64..1000, used in 0_u64..2000, more in 0_u64..2000) {
            let budget = Budget { turns: Some(most), ..Budget::default() };
            let rank = |turns| match budget.judge(&Spent { turns, ..Spent::default() }, "it") {
                Judgement::Within => 0,
                Judgement::Near(_) => 1,
                Judgement::Over(_) => 2,
            };
            prop_assert!(rank(used) <= rank(used + more));
        }
    }
}

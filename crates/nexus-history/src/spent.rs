//! Spending by day, department and agent: kept up to date by every fold, and never less by a task's expiry.

use std::collections::BTreeMap;

use jiff::civil::Date;
use nexus_core::budget::Spent;
use nexus_core::id::{AgentName, DepartmentName};
use nexus_core::spend::{Purse, Spending};

use crate::db::{Tx, reading, within};
use crate::{History, HistoryError, row};

/// The spending that a batch adds.
pub(crate) type Expenses = BTreeMap<Purse, Spent>;

/// A row beside the position, which is there even where no row is.
type Row = (i64, Option<String>, Option<String>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

impl History {
    /// The spending on `day`, and the stream sequence up to which that is folded: both of the same moment.
    pub async fn spent(&self, day: Date) -> Result<(u64, Spending), HistoryError> {
        const SQL: &str = "SELECT m.position, s.department, s.agent, s.tokens, s.turns, s.cost_micros, s.wall_ms \
             FROM nexus_meta m LEFT JOIN nexus_spent s ON s.day = $1";
        let rows: Vec<Row> =
            reading!(&self.db, pool => sqlx::query_as(SQL).bind(day.to_string()).fetch_all(pool).await)
                .map_err(|error| self.failed(error))?;
        let (mut position, mut spending) = (0, Spending::default());
        let number = |n: Option<i64>| u64::try_from(n.unwrap_or(0)).map_err(|error| row::corrupt(&self.url, error));
        for (folded, department, agent, tokens, turns, cost, wall) in rows {
            position = number(Some(folded))?;
            let (Some(department), Some(agent)) = (department, agent) else { continue };
            let department = DepartmentName::new(department).map_err(|error| row::corrupt(&self.url, error))?;
            let agent = AgentName::new(agent).map_err(|error| row::corrupt(&self.url, error))?;
            let spent = Spent {
                tokens: number(tokens)?,
                turns: number(turns)?,
                cost_micros: number(cost)?,
                wall_ms: number(wall)?,
            };
            spending.add(department, agent, spent);
        }
        Ok((position, spending))
    }
}

impl Tx {
    pub(crate) async fn spend(&mut self, expenses: &Expenses) -> Result<(), sqlx::Error> {
        // Capped: what an agent makes up must not stop the fold.
        const SQL: &str = "INSERT INTO nexus_spent (day, department, agent, tokens, turns, cost_micros, wall_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (day, department, agent) DO UPDATE SET \
                tokens = CASE WHEN nexus_spent.tokens > $8 - excluded.tokens THEN $8 ELSE nexus_spent.tokens + excluded.tokens END, \
                turns = CASE WHEN nexus_spent.turns > $8 - excluded.turns THEN $8 ELSE nexus_spent.turns + excluded.turns END, \
                cost_micros = CASE WHEN nexus_spent.cost_micros > $8 - excluded.cost_micros THEN $8 \
                    ELSE nexus_spent.cost_micros + excluded.cost_micros END, \
                wall_ms = CASE WHEN nexus_spent.wall_ms > $8 - excluded.wall_ms THEN $8 \
                    ELSE nexus_spent.wall_ms + excluded.wall_ms END";
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for (purse, spent) in expenses {
            within!(self, tx => {
                let query = sqlx::query(SQL)
                    .bind(purse.day.to_string())
                    .bind(purse.department.as_str())
                    .bind(purse.agent.as_str())
                    .bind(number(spent.tokens))
                    .bind(number(spent.turns))
                    .bind(number(spent.cost_micros))
                    .bind(number(spent.wall_ms))
                    .bind(i64::MAX);
                query.execute(tx).await?;
            });
        }
        Ok(())
    }
}

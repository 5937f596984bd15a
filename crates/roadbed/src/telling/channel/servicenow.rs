//! `ServiceNow`, by its Table API.

use http::StatusCode;
use road::message::{Ticket, Upsert, servicenow};

use super::Channel;
use super::rest::{Ask, external, strange};
use crate::telling::outcome::{NotTaken, Taken};

/// The table of incidents.
const TABLE: &str = "/api/now/table/incident";

/// What is asked back.
const FIELDS: (&str, &str) = ("sysparm_fields", "sys_id");

impl Channel<'_> {
    pub(super) async fn find_incident(&self, key: &str) -> Result<Option<String>, NotTaken> {
        let query = format!("correlation_id={key}");
        let url = self.url(
            TABLE,
            &[("sysparm_query", &query), ("sysparm_limit", "1"), FIELDS],
        )?;
        let answer = self.ask(url, Ask::Get).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let found = answer.body["result"]
            .as_array()
            .ok_or_else(|| strange("list of incidents"))?;
        match found.first() {
            None => Ok(None),
            Some(first) => external(&first["sys_id"])
                .map(Some)
                .ok_or_else(|| strange("sys_id")),
        }
    }

    pub(super) async fn create_incident(&self, ticket: &Ticket) -> Result<String, NotTaken> {
        let url = self.url(TABLE, &[FIELDS])?;
        let answer = self
            .ask(url, Ask::Post(servicenow(ticket, Upsert::Create)))
            .await?;
        external(&answer.body["result"]["sys_id"]).ok_or_else(|| strange("sys_id"))
    }

    pub(super) async fn update_incident(
        &self,
        external: &str,
        ticket: &Ticket,
        upsert: Upsert<'_>,
    ) -> Result<bool, NotTaken> {
        let url = self.url(&format!("{TABLE}/{external}"), &[FIELDS])?;
        let answer = self.ask(url, Ask::Patch(servicenow(ticket, upsert))).await?;
        Ok(answer.status != StatusCode::NOT_FOUND)
    }

    /// Whether incidents can be read; none is made.
    pub(super) async fn test_servicenow(&self) -> Result<Taken, NotTaken> {
        self.find_incident("roadbed-test").await?;
        Ok(Taken {
            status: Some(200),
            note: Some("incidents can be read; none was made".to_owned()),
        })
    }
}

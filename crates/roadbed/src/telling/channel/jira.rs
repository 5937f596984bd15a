//! Jira, by its REST API: version 2, whose descriptions are text in both kinds of it; only the search is another in the cloud.

use http::StatusCode;
use road::message::{JiraSettings, Ticket, Upsert, jira};
use serde_json::json;

use super::Channel;
use super::rest::{Ask, external, strange};
use crate::telling::outcome::{NotTaken, Taken};

/// Where Atlassian hosts it itself.
const CLOUD: &str = ".atlassian.net";

const ISSUE: &str = "/rest/api/2/issue";

impl Channel<'_> {
    pub(super) async fn find_issue(&self, key: &str) -> Result<Option<String>, NotTaken> {
        let project = self
            .spec
            .tickets
            .project
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        let jql = format!("project = \"{project}\" AND labels = \"{key}\"");
        let base = self.url("", &[])?;
        let path = if base.host_str().is_some_and(|host| host.ends_with(CLOUD)) {
            "/rest/api/3/search/jql"
        } else {
            "/rest/api/2/search"
        };
        let query = [("jql", jql.as_str()), ("maxResults", "1"), ("fields", "key")];
        let answer = self.ask(self.url(path, &query)?, Ask::Get).await?;
        let found = answer.body["issues"]
            .as_array()
            .ok_or_else(|| strange("list of issues"))?;
        match found.first() {
            None => Ok(None),
            Some(first) => external(&first["key"]).map(Some).ok_or_else(|| strange("key")),
        }
    }

    pub(super) async fn create_issue(&self, ticket: &Ticket) -> Result<String, NotTaken> {
        let body = jira(ticket, &self.jira_settings(), Upsert::Create);
        let made = self.ask(self.url(ISSUE, &[])?, Ask::Post(body.clone())).await;
        let made = match made {
            // Not every project has a field for it.
            Err(error) if names_due_date(&error) => {
                self.ask(self.url(ISSUE, &[])?, Ask::Post(without_due_date(body)))
                    .await?
            }
            made => made?,
        };
        external(&made.body["key"]).ok_or_else(|| strange("key"))
    }

    pub(super) async fn update_issue(
        &self,
        external: &str,
        ticket: &Ticket,
        upsert: Upsert<'_>,
    ) -> Result<bool, NotTaken> {
        let path = format!("{ISSUE}/{external}");
        let body = jira(ticket, &self.jira_settings(), upsert);
        let changed = self.ask(self.url(&path, &[])?, Ask::Put(body.clone())).await;
        let changed = match changed {
            Err(error) if names_due_date(&error) => {
                self.ask(self.url(&path, &[])?, Ask::Put(without_due_date(body)))
                    .await?
            }
            changed => changed?,
        };
        if changed.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let tickets = &self.spec.tickets;
        let transition = match upsert {
            Upsert::Resolve(_) => tickets.done_transition.as_deref(),
            Upsert::Reopen => tickets.reopen_transition.as_deref(),
            Upsert::Create | Upsert::Update => None,
        };
        if let Some(name) = transition {
            self.transition(&path, name).await?;
        }
        Ok(true)
    }

    /// Moves a ticket. One that cannot go this way is there already, or somebody has moved it elsewhere: it stays.
    async fn transition(&self, path: &str, name: &str) -> Result<(), NotTaken> {
        let path = format!("{path}/transitions");
        let offered = self.ask(self.url(&path, &[])?, Ask::Get).await?;
        let mut offered = offered.body["transitions"].as_array().into_iter().flatten();
        let wanted = offered.find(|transition| {
            let offered = transition["name"].as_str().unwrap_or_default();
            offered.eq_ignore_ascii_case(name)
        });
        let Some(id) = wanted.and_then(|transition| external(&transition["id"])) else {
            tracing::info!(
                transition = name,
                "a ticket offers no such transition and stays where it is"
            );
            return Ok(());
        };
        let body = json!({ "transition": { "id": id } });
        self.ask(self.url(&path, &[])?, Ask::Post(body)).await.map(drop)
    }

    /// Whether the project is there; no ticket is made.
    pub(super) async fn test_jira(&self) -> Result<Taken, NotTaken> {
        self.find_issue("roadbed-test").await?;
        Ok(Taken {
            status: Some(200),
            note: Some("tickets of the project can be searched; none was made".to_owned()),
        })
    }

    fn jira_settings(&self) -> JiraSettings {
        JiraSettings {
            project: self.spec.tickets.project.clone(),
            issue_type: self.spec.tickets.issue_type.clone(),
        }
    }
}

fn names_due_date(error: &NotTaken) -> bool {
    error.status == Some(400) && error.fields.iter().any(|field| field == "duedate")
}

fn without_due_date(mut body: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = body["fields"].as_object_mut() {
        fields.remove("duedate");
    }
    body
}

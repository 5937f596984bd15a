use serde_json::json;
use store::{Delivery, DeliveryState, Timestamp};
use uuid::Uuid;

/// A delivery about `subject` that was never tried.
pub(super) fn delivery(subject: &str) -> Delivery {
    Delivery {
        id: 1,
        uid: Uuid::nil(),
        sink: "hook".into(),
        kind: "tag.set".into(),
        subject: subject.into(),
        incident: None,
        owner: String::new(),
        body: json!({}),
        state: DeliveryState::Pending,
        is_held: false,
        tried_from: Timestamp(0),
        next_at: Timestamp(0),
        attempts: 0,
        status: None,
        error: None,
        created_at: Timestamp(0),
        finished_at: None,
    }
}

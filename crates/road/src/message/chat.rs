//! Incoming webhooks of Slack and of what takes the same payload.

use policy::yaml::one_line;
use serde_json::{Value, json};

use super::{MAX_PARTS_WRITTEN, Message, words};
use crate::escape;

/// Longest text of a section, in characters (Slack, "Section block": 3,000).
pub const MAX_SLACK_SECTION_CHARS: usize = 3_000;

/// Longest header, in characters (Slack, "Header block": 150).
const MAX_HEADER_CHARS: usize = 150;

/// Most blocks of one message (Slack: 50), of which some are not applications.
const MAX_PART_BLOCKS: usize = 40;

/// Longest line of a section before it is escaped, in bytes.
const MAX_LINE_BYTES: usize = 400;

/// The payload. Names are not linked, and `text` says the same for receivers that show no blocks.
pub fn slack(message: &Message) -> Value {
    let subject = words::subject(message);
    let header: String = neutral(&subject).chars().take(MAX_HEADER_CHARS).collect();
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": header, "emoji": false}}),
        section(&[words::opening(message)]),
    ];
    let open: Vec<_> = message.parts.iter().filter(|part| part.open > 0).collect();
    let shown = MAX_PART_BLOCKS.min(MAX_PARTS_WRITTEN);
    for part in open.iter().take(shown) {
        let mut lines = vec![words::standing(part)];
        lines.extend(
            words::actions(part)
                .into_iter()
                .map(|action| format!("• {action}")),
        );
        blocks.push(section(&lines));
    }
    if open.len() > shown {
        blocks.push(section(&[format!(
            "and {} more applications",
            open.len() - shown
        )]));
    }
    if let Some(link) = &message.link {
        blocks.push(section(std::slice::from_ref(link)));
    }
    payload(&subject, &blocks)
}

/// Several messages in one payload: a digest. A single one is told as it is alone.
pub fn slack_digest(messages: &[&Message]) -> Value {
    if let [one] = messages {
        return slack(one);
    }
    let subject = words::digest_subject(messages);
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": neutral(&subject), "emoji": false}}),
    ];
    for message in messages.iter().take(MAX_PART_BLOCKS) {
        let mut lines = vec![words::subject(message), words::opening(message)];
        let open = message.parts.iter().filter(|part| part.open > 0);
        for part in open.take(MAX_PARTS_WRITTEN) {
            lines.push(words::standing(part));
            lines.extend(
                words::actions(part)
                    .into_iter()
                    .map(|action| format!("• {action}")),
            );
        }
        // It is said first: lines at the end may be left out.
        lines.splice(1..1, message.link.clone());
        blocks.push(section(&lines));
    }
    let more = messages.len().saturating_sub(MAX_PART_BLOCKS);
    if more > 0 {
        blocks.push(section(&[format!("and {more} more")]));
    }
    payload(&subject, &blocks)
}

fn payload(subject: &str, blocks: &[Value]) -> Value {
    json!({
        "text": escape::slack(subject),
        "blocks": blocks,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Plain text is not parsed for markup, but others who take the payload look for mentions in it.
fn neutral(text: &str) -> String {
    escape::line(text)
        .replace('@', "@\u{200b}")
        .replace('<', "‹")
        .replace('>', "›")
}

/// Lines are left out rather than cut, so that nothing escaped is cut in two.
fn section(lines: &[String]) -> Value {
    const MORE: &str = "…";
    let mut text = String::new();
    let mut count = 0;
    for line in lines {
        let line = escape::slack(&one_line(line, MAX_LINE_BYTES));
        let length = line.chars().count() + 1;
        if count + length + MORE.len() > MAX_SLACK_SECTION_CHARS {
            text.push_str(MORE);
            break;
        }
        count += length;
        text.push_str(&line);
        text.push('\n');
    }
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text.trim_end(), "verbatim": true}})
}

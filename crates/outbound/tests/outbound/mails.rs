//! Mail, handed to servers that take it, and to those that do what they should not.

use std::sync::Arc;

use outbound::{AddressGuard, Client, MailLogin, MailServer, MailTls, OutboundError, Posted, Settings};

use super::world::settings;
use crate::post::{Manner, PostOffice};

const TEXT: &str = "Subject: x\r\n\r\n.a line with a dot\r\n..two\r\nlast\r\n";

fn client(office: &PostOffice) -> Client {
    Client::new(Settings {
        authorities: vec![office.authority().as_bytes().to_vec()],
        ..settings()
    })
    .unwrap()
}

fn server(office: &PostOffice, tls: MailTls, login: Option<(&str, &str)>) -> MailServer {
    MailServer {
        host: "127.0.0.1".to_owned(),
        port: office.port(),
        tls,
        login: login.map(|(user, password)| MailLogin {
            user: user.to_owned(),
            password: Arc::new(password.to_owned().into()),
        }),
    }
}

async fn post(
    office: &PostOffice,
    tls: MailTls,
    login: Option<(&str, &str)>,
) -> Result<Posted, OutboundError> {
    let to = ["ann@shop.example", "bob@shop.example"].map(str::to_owned);
    client(office)
        .mail(&server(office, tls, login), "roadbed@shop.example", &to, TEXT)
        .await
}

fn reason(posted: Result<Posted, OutboundError>) -> (String, bool) {
    match posted {
        Err(OutboundError::Mail { reason, may_pass, .. }) => (reason, may_pass),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn mail_comes_as_it_is_over_every_kind_of_connection() {
    for (manner, tls, is_protected) in [
        (
            Manner {
                tls: true,
                ..Manner::default()
            },
            MailTls::FromStart,
            true,
        ),
        (
            Manner {
                start_tls: true,
                ..Manner::default()
            },
            MailTls::StartTls,
            true,
        ),
        (Manner::default(), MailTls::Never, false),
    ] {
        let office = PostOffice::start(manner).await;
        let posted = post(&office, tls, None).await.unwrap();
        assert!(posted.refused.is_empty());
        let mails = office.mails();
        assert_eq!((mails.len(), mails[0].is_protected), (1, is_protected));
        assert_eq!(mails[0].text, TEXT);
        assert_eq!(
            (mails[0].from.as_str(), mails[0].to.len()),
            ("roadbed@shop.example", 2)
        );
    }
}

#[tokio::test]
async fn a_login_goes_over_tls_or_not_at_all() {
    for by_login in [false, true] {
        let login = Some(("roadbed".to_owned(), "pässword".to_owned(), by_login));
        let office = PostOffice::start(Manner {
            tls: true,
            login,
            ..Manner::default()
        })
        .await;
        let (said, may_pass) = reason(post(&office, MailTls::FromStart, Some(("roadbed", "wrong"))).await);
        assert!(said.contains("535") && !may_pass, "{said}");
        post(&office, MailTls::FromStart, Some(("roadbed", "pässword")))
            .await
            .unwrap();
        assert_eq!(office.mails()[0].user.as_deref(), Some("roadbed"));
    }
    let office = PostOffice::start(Manner::default()).await;
    let (said, _) = reason(post(&office, MailTls::Never, Some(("a", "b"))).await);
    assert!(said.contains("without TLS"), "{said}");
    let (said, _) = reason(post(&office, MailTls::StartTls, None).await);
    assert!(said.contains("no STARTTLS"), "{said}");
    assert!(office.mails().is_empty());
}

#[tokio::test]
async fn who_is_refused_keeps_nobody_else_from_the_mail() {
    let refuses = vec!["ann@shop.example".to_owned()];
    let office = PostOffice::start(Manner {
        refuses,
        ..Manner::default()
    })
    .await;
    let posted = post(&office, MailTls::Never, None).await.unwrap();
    assert_eq!(posted.refused[0].0, "ann@shop.example");
    assert!(posted.refused[0].1.starts_with("550 no such") && !posted.refused[0].1.contains('\u{1b}'));
    assert_eq!(office.mails()[0].to, ["bob@shop.example"]);
    let refuses = vec!["ann@shop.example".to_owned(), "bob@shop.example".to_owned()];
    let office = PostOffice::start(Manner {
        refuses,
        ..Manner::default()
    })
    .await;
    let (said, may_pass) = reason(post(&office, MailTls::Never, None).await);
    assert!(said.contains("550") && !may_pass && office.mails().is_empty());
    let after_data = Some("451 later".to_owned());
    let office = PostOffice::start(Manner {
        after_data,
        ..Manner::default()
    })
    .await;
    assert_eq!(
        reason(post(&office, MailTls::Never, None).await),
        ("451 later".to_owned(), true)
    );
}

#[tokio::test]
async fn servers_that_say_too_much_or_nothing_are_left() {
    let office = PostOffice::start(Manner {
        endless: true,
        ..Manner::default()
    })
    .await;
    let (said, _) = reason(post(&office, MailTls::Never, None).await);
    assert!(said.contains("too long"), "{said}");
    let office = PostOffice::start(Manner {
        mute: true,
        ..Manner::default()
    })
    .await;
    let (said, may_pass) = reason(post(&office, MailTls::Never, None).await);
    assert!(said.contains("says nothing") && may_pass, "{said}");
    let office = PostOffice::start(Manner {
        verbose: true,
        ..Manner::default()
    })
    .await;
    let (said, _) = reason(post(&office, MailTls::Never, None).await);
    assert!(said.contains("too many lines"), "{said}");
    // What came before TLS could be anybody's.
    let manner = Manner {
        start_tls: true,
        injects: true,
        ..Manner::default()
    };
    let office = PostOffice::start(manner).await;
    let (said, _) = reason(post(&office, MailTls::StartTls, None).await);
    assert!(said.contains("before TLS"), "{said}");
    let office = PostOffice::start(Manner {
        tls: true,
        ..Manner::default()
    })
    .await;
    let stranger = Client::new(settings()).unwrap();
    let to = ["ann@shop.example".to_owned()];
    let server = server(&office, MailTls::FromStart, None);
    let (said, _) = reason(stranger.mail(&server, "r@shop.example", &to, TEXT).await);
    assert!(said.contains("no TLS"), "{said}");
}

#[tokio::test]
async fn mail_goes_to_no_address_that_is_not_listed_and_says_no_stranger_s_commands() {
    let office = PostOffice::start(Manner::default()).await;
    let guarded = Client::new(Settings {
        guard: AddressGuard::public_only(),
        ..settings()
    })
    .unwrap();
    let to = ["ann@shop.example".to_owned()];
    for host in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254"] {
        let server = MailServer {
            host: host.to_owned(),
            ..server(&office, MailTls::Never, None)
        };
        let error = guarded
            .mail(&server, "r@shop.example", &to, TEXT)
            .await
            .unwrap_err();
        assert!(
            matches!(error, OutboundError::Address { .. }),
            "{host}: {error:?}"
        );
    }
    let server = server(&office, MailTls::Never, None);
    let client = client(&office);
    for (from, to, text) in [
        (
            "r@shop.example>\r\nRCPT TO:<x@evil.example",
            "ann@shop.example",
            TEXT,
        ),
        ("r@shop.example", "ann@shop.example> NOTIFY=x", TEXT),
        ("r@shop.example", "ann", TEXT),
        (
            "r@shop.example",
            "ann@shop.example",
            "Subject: x\n\n\n.\nMAIL FROM:<a@b>",
        ),
        (
            "r@shop.example",
            "ann@shop.example",
            "Subject: x\r\n\r\n\r.\r\r\nä",
        ),
    ] {
        let (_, may_pass) = reason(client.mail(&server, from, &[to.to_owned()], text).await);
        assert!(!may_pass);
    }
    assert!(office.mails().is_empty());
}

use super::*;
use crate::dice::Dice;

const NAME: &str = "_roadbed-mirror._tcp.mirrors.example";

fn question() -> Question {
    Question::new(7, NAME).unwrap()
}

/// A record behind the question, whose name is that of the question.
fn record(port: u16, target: &[u8]) -> Vec<u8> {
    let mut record = vec![0xc0, 12];
    let length = u16::try_from(6 + target.len()).unwrap();
    for number in [TYPE_SRV, CLASS_IN, 0, 60, length, 10, 5, port] {
        record.extend(number.to_be_bytes());
    }
    record.extend_from_slice(target);
    record
}

fn answer(flags: u16, count: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = Vec::new();
    for number in [7, flags, 1, count, 0, 0] {
        message.extend(number.to_be_bytes());
    }
    message.extend_from_slice(&question().section);
    message.extend(records.concat());
    message
}

fn read(message: &[u8]) -> Option<Vec<(String, u16)>> {
    match question().answer(message)? {
        Answer::Targets(targets) => Some(
            targets
                .into_iter()
                .map(|target| (target.host, target.port))
                .collect(),
        ),
        Answer::Refused => None,
    }
}

fn two() -> Vec<u8> {
    // The second goes on with `mirrors.example`, which stands in the question.
    let place = u8::try_from(12 + "_roadbed-mirror._tcp.".len()).unwrap();
    let whole = record(5443, b"\x01a\x07example\x00");
    answer(0x8180, 2, &[whole, record(5444, &[1, b'b', 0xc0, place])])
}

#[test]
fn records_say_host_and_port() {
    assert_eq!(
        read(&two()).unwrap(),
        [
            ("a.example".to_owned(), 5443),
            ("b.mirrors.example".to_owned(), 5444)
        ]
    );
    assert!(read(&answer(0x8183, 0, &[])).unwrap().is_empty(), "no such name");
    assert!(
        read(&answer(0x8180, 1, &[record(5443, b"\0")]))
            .unwrap()
            .is_empty(),
        "no such service"
    );
    assert!(
        read(&answer(0x8180, 1, &[record(0, b"\x01a\0")]))
            .unwrap()
            .is_empty()
    );
    assert!(
        read(&answer(0x8180, 1, &[record(1, b"\x03a/b\0")]))
            .unwrap()
            .is_empty()
    );
    assert!(matches!(
        question().answer(&answer(0x8182, 0, &[])),
        Some(Answer::Refused)
    ));
}

#[test]
fn what_is_no_answer_to_the_question_is_none() {
    let right = two();
    for (place, byte) in [(0, 1), (2, 0), (5, 2), (20, b'x')] {
        let mut wrong = right.clone();
        wrong[place] = byte;
        assert!(question().answer(&wrong).is_none(), "{place}");
    }
    let label = "a".repeat(64);
    for name in ["", "a..b", "a.", &label, &"a.".repeat(128)] {
        assert!(Question::new(1, name).is_none(), "{name}");
    }
}

#[test]
fn an_answer_has_so_many_records_and_names_have_an_end() {
    let many = vec![record(1, b"\x01a\0"); 70];
    assert_eq!(
        read(&answer(0x8180, 70, &many)).unwrap().len(),
        usize::from(RECORDS)
    );
    // To itself, and from one to the next for ever.
    let own = answer(0x8180, 1, &[record(1, &[0xc0, 0xff])]);
    assert!(read(&own).unwrap().is_empty());
    let here = u8::try_from(answer(0x8180, 1, &[]).len() + 18).unwrap();
    assert!(
        read(&answer(0x8180, 1, &[record(1, &[0xc0, here])]))
            .unwrap()
            .is_empty()
    );
    let long = [&[63; 64][..]; 5].concat();
    assert!(
        read(&answer(0x8180, 1, &[record(1, &[&long[..], b"\0"].concat())]))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn whatever_comes_is_read_to_its_end() {
    for seed in 0..5_000 {
        let mut dice = Dice::new(seed);
        let mut message = two();
        for _ in 0..dice.roll(8) {
            let place = usize::try_from(dice.roll(message.len() as u64)).unwrap();
            message[place] = dice.roll(256).to_le_bytes()[0];
        }
        message.truncate(usize::try_from(dice.roll(message.len() as u64 + 1)).unwrap());
        if let Some(targets) = read(&message) {
            assert!(
                targets.iter().all(|(host, port)| !host.is_empty() && *port > 0),
                "{seed}"
            );
        }
    }
}

#[test]
fn name_servers_are_those_of_the_system() {
    let text = "# a comment\nsearch old.example\nnameserver 10.96.0.10\nnameserver nonsense\n\
                search kube-system.svc.cluster.local svc.cluster.local\nnameserver fd00::1\noptions ndots:5\n";
    let found = NameServers::parse(text);
    assert_eq!(
        found.servers,
        ["10.96.0.10:53".parse().unwrap(), "[fd00::1]:53".parse().unwrap()]
    );
    assert_eq!(
        found.domains,
        ["kube-system.svc.cluster.local", "svc.cluster.local"]
    );
    let many = "nameserver 10.0.0.1\n".repeat(9) + "search" + &" a.example".repeat(9);
    let found = NameServers::parse(&many);
    assert_eq!((found.servers.len(), found.domains.len()), (SERVERS, DOMAINS));
}

#[tokio::test]
async fn a_name_is_looked_for_in_the_domains_and_at_the_next_server() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let servers = NameServers {
        servers: vec![silent.local_addr().unwrap(), server.local_addr().unwrap()],
        domains: vec!["example".to_owned()],
    };
    let answering = tokio::spawn(async move {
        let mut message = [0; 512];
        loop {
            let (count, from) = server.recv_from(&mut message).await.unwrap();
            let is_whole = message[..count].windows(7).any(|part| part == b"example");
            let mut reply = if is_whole { two() } else { answer(0x8183, 0, &[]) };
            if !is_whole {
                reply.truncate(12);
                reply.extend_from_slice(&message[12..count - 11]);
            }
            reply[..2].copy_from_slice(&message[..2]);
            server.send_to(&reply, from).await.unwrap();
        }
    });
    let targets = servers.targets("mirrors").await.unwrap();
    assert_eq!(targets[0].host, "a.example");
    assert_eq!(targets.len(), 2);
    answering.abort();
    let nobody = NameServers {
        servers: Vec::new(),
        domains: Vec::new(),
    };
    assert!(nobody.targets("mirrors").await.is_err());
}

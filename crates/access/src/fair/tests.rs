use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

type Queue = FairQueue<u32, u32, (u32, u32)>;

const FOREVER: u64 = u64::MAX;

fn who(class: Class, principal: u32, address: u32) -> Who<u32, u32> {
    Who {
        class,
        principal,
        address,
    }
}

fn queue(waiting: usize) -> Queue {
    FairQueue::new(FairLimits {
        waiting,
        ..FairLimits::default()
    })
}

fn offer(queue: &mut Queue, who: Who<u32, u32>) -> Result<Ticket, Shed> {
    let offered = queue.offer(0, who, 1, FOREVER, (who.principal, who.address));
    offered.map(|offered| offered.ticket)
}

/// How often each is served in so many turns.
fn served<K: Eq + Hash>(queue: &mut Queue, turns: usize, key: impl Fn((u32, u32)) -> K) -> HashMap<K, usize> {
    let mut counts = HashMap::new();
    for _ in 0..turns {
        let Some(one) = queue.next(0) else { break };
        *counts.entry(key(one)).or_insert(0) += 1;
    }
    counts
}

#[test]
fn a_thousand_requests_of_one_slow_only_itself() {
    let mut queue = queue(4_096);
    for _ in 0..1_000 {
        offer(&mut queue, who(Class::Ci, 1, 1)).unwrap();
    }
    for _ in 0..10 {
        offer(&mut queue, who(Class::Ci, 2, 2)).unwrap();
    }
    let counts = served(&mut queue, 20, |(principal, _)| principal);
    assert!(counts[&2] >= 9, "{counts:?}");
}

#[test]
fn what_waits_of_one_counts_from_all_its_addresses() {
    let mut queue = queue(4_096);
    for address in 0..20 {
        offer(&mut queue, who(Class::Ci, 1, address)).unwrap();
    }
    offer(&mut queue, who(Class::Node, 1, 1)).unwrap();
    assert_eq!(queue.waiting_of(Class::Ci, &1), 20);
    assert_eq!(queue.waiting_of(Class::Node, &1), 1);
    assert_eq!(queue.waiting_of(Class::Ci, &2), 0);
    while queue.next(0).is_some() {}
    assert_eq!(queue.waiting_of(Class::Ci, &1), 0);
}

#[test]
fn a_cluster_behind_one_robot_is_not_one_attacker() {
    let mut queue = queue(4_096);
    for request in 0..1_000 {
        offer(&mut queue, who(Class::Node, 1, request)).unwrap();
        offer(&mut queue, who(Class::Node, 2, 1_000_000)).unwrap();
    }
    let counts = served(&mut queue, 900, |(principal, _)| principal);
    assert!(counts[&1] >= 780, "{counts:?}");
    assert!(counts[&2] >= 90, "the other one has its share: {counts:?}");
}

#[test]
fn addresses_of_one_robot_share_alike() {
    let mut queue = queue(8_192);
    for _ in 0..1_000 {
        offer(&mut queue, who(Class::Node, 1, 7)).unwrap();
    }
    for address in 100..110 {
        offer(&mut queue, who(Class::Node, 1, address)).unwrap();
    }
    let counts = served(&mut queue, 12, |(_, address)| address);
    let served = (100..110).filter(|address| counts.contains_key(address)).count();
    assert_eq!(served, 10, "{counts:?}");
}

#[test]
fn classes_come_in_their_order_and_none_starves() {
    let mut queue = queue(4_096);
    for _ in 0..200 {
        for class in Class::ALL {
            let principal = u32::try_from(class.index()).unwrap();
            queue
                .offer(0, who(class, principal, 0), 1, FOREVER, (principal, 0))
                .unwrap();
        }
    }
    let counts = served(&mut queue, 160, |(class, _)| class);
    assert_eq!(counts[&0], 150);
    assert!((1..5).all(|class| counts[&class] >= 2), "{counts:?}");
}

#[test]
fn who_would_wait_too_long_is_told_before() {
    let mut queue = queue(4_096);
    for _ in 0..300 {
        offer(&mut queue, who(Class::Ci, 1, 1)).unwrap();
    }
    // One turn in ten milliseconds.
    for turn in 0..100 {
        queue.next(turn * 10);
    }
    let shed = queue
        .offer(1_000, who(Class::Ci, 1, 1), 1, 1_000, (1, 1))
        .unwrap_err();
    assert!(matches!(shed, Shed::TooLong { after: 1_500..=2_500 }), "{shed:?}");
    let other = queue.offer(1_000, who(Class::Ci, 2, 2), 1, 1_000, (2, 2));
    assert!(other.is_ok(), "another one has no such wait");
}

#[test]
fn a_line_that_is_full_is_full_for_whoever_filled_it() {
    let mut queue = queue(16);
    let taken = (0..100)
        .filter(|_| offer(&mut queue, who(Class::Ci, 1, 1)).is_ok())
        .count();
    assert_eq!(taken, 4, "one address: half of the principal's half");
    let taken = (0..100)
        .filter(|address| offer(&mut queue, who(Class::Ci, 1, 100 + address)).is_ok())
        .count();
    assert_eq!(queue.waiting(), 8, "one principal: half");
    assert_eq!(taken, 7, "which its addresses share alike");
    assert!(offer(&mut queue, who(Class::Ci, 2, 1)).is_ok());
    assert!(
        offer(&mut queue, who(Class::Node, 1, 1)).is_ok(),
        "classes have places of their own"
    );
}

/// How many requests of somebody find a place, and how many of each principal and address go for that.
fn pushed_in(queue: &mut Queue, who: Who<u32, u32>) -> (usize, HashMap<(u32, u32), usize>) {
    let (mut taken, mut gone) = (0, HashMap::new());
    while let Ok(offered) = queue.offer(0, who, 1, FOREVER, (who.principal, who.address)) {
        taken += 1;
        if let Some(one) = offered.pushed_out {
            *gone.entry(one).or_insert(0) += 1;
        }
    }
    (taken, gone)
}

#[test]
fn two_who_have_filled_the_line_make_room_for_a_third() {
    let mut queue = queue(16);
    for (principal, address) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
        assert_eq!(pushed_in(&mut queue, who(Class::Ci, principal, address)).0, 4);
    }
    assert_eq!(queue.waiting(), 16);
    let third = who(Class::Ci, 3, 5);
    let (taken, gone) = pushed_in(&mut queue, third);
    assert_eq!(taken, 4, "as many as one address may have, and less than a third");
    assert!(gone.keys().all(|(principal, _)| *principal != 3), "{gone:?}");
    assert_eq!(gone.values().sum::<usize>(), 4);
    let (taken, _) = pushed_in(&mut queue, who(Class::Ci, 3, 6));
    assert_eq!(taken, 1, "a third of the line and no more");
    assert_eq!(queue.waiting(), 16);
}

#[test]
fn two_addresses_do_not_keep_others_of_the_same_name_out() {
    let mut queue = queue(16);
    for address in [1, 2] {
        pushed_in(&mut queue, who(Class::Ci, 1, address));
    }
    assert_eq!(queue.waiting(), 8, "all that a principal may have");
    let (taken, gone) = pushed_in(&mut queue, who(Class::Ci, 1, 3));
    assert_eq!(taken, 2);
    assert_eq!(gone.values().sum::<usize>(), 2);
    assert!(!gone.contains_key(&(1, 3)));
    assert_eq!(queue.waiting(), 8);
}

#[test]
fn what_was_had_beyond_counts_at_the_next_turn() {
    let mut queue = queue(4_096);
    for _ in 0..100 {
        offer(&mut queue, who(Class::Ci, 1, 1)).unwrap();
        offer(&mut queue, who(Class::Ci, 2, 2)).unwrap();
    }
    queue.charge(&who(Class::Ci, 1, 1), 50);
    let counts = served(&mut queue, 60, |(principal, _)| principal);
    assert!(counts[&2] >= 54, "{counts:?}");
}

#[derive(Debug, Clone)]
enum Step {
    Offer(usize, u32, u32, u64),
    Next,
    Cancel(usize),
    Charge(usize, u32, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_usize, 0..50_u32, 0..500_u32, 0..100_u64).prop_map(|(c, p, a, cost)| Step::Offer(c, p, a, cost)),
        3 => Just(Step::Next),
        1 => any::<prop::sample::Index>().prop_map(|index| Step::Cancel(index.index(1_000))),
        1 => (0..5_usize, 0..50_u32, 0..1_000_u64).prop_map(|(c, p, cost)| Step::Charge(c, p, cost)),
    ]
}

proptest! {
    #[test]
    fn whoever_waits_is_served_once_and_memory_is_bounded(steps in prop::collection::vec(step(), 1..600)) {
        const WAITING: usize = 24;
        let mut queue: FairQueue<u32, u32, u64> = FairQueue::new(FairLimits { waiting: WAITING, ..FairLimits::default() });
        let mut open: Vec<(Who<u32, u32>, Ticket, u64)> = Vec::new();
        let mut number = 0;
        for (now, step) in (0_u64..).zip(steps) {
            match step {
                Step::Offer(class, principal, address, cost) => {
                    let who = who(Class::ALL[class], principal, address);
                    number += 1;
                    if let Ok(offered) = queue.offer(now, who, cost, FOREVER, number) {
                        if let Some(out) = offered.pushed_out {
                            let place = open.iter().position(|(_, _, other)| *other == out);
                            prop_assert!(place.is_some());
                            let (gone, ticket, _) = open.remove(place.unwrap_or(0));
                            prop_assert!((gone.principal, gone.address) != (principal, address));
                            prop_assert!(!queue.cancel(&gone, ticket));
                        }
                        open.push((who, offered.ticket, number));
                    }
                }
                Step::Next => match queue.next(now) {
                    None => prop_assert!(open.is_empty()),
                    Some(one) => {
                        let place = open.iter().position(|(_, _, other)| *other == one);
                        prop_assert!(place.is_some());
                        open.remove(place.unwrap_or(0));
                    }
                },
                Step::Cancel(index) if !open.is_empty() => {
                    let (who, ticket, _) = open.remove(index % open.len());
                    prop_assert!(queue.cancel(&who, ticket));
                    prop_assert!(!queue.cancel(&who, ticket));
                }
                Step::Cancel(_) => {}
                Step::Charge(class, principal, cost) => queue.charge(&who(Class::ALL[class], principal, 0), cost),
            }
            prop_assert_eq!(queue.waiting(), open.len());
            prop_assert!(queue.waiting_by_class().into_iter().all(|waiting| waiting <= WAITING));
            prop_assert!(queue.remembered() <= 5 * 2 * 2 * (WAITING + 1));
            prop_assert_eq!(queue.waiters().map(|(_, waiting)| waiting).sum::<usize>(), open.len());
        }
        let rest = std::iter::from_fn(|| queue.next(1_000)).count();
        prop_assert_eq!(rest, open.len(), "nobody is left");
    }

    /// Two who always wait: whatever their requests cost, neither has had more than one request's cost beyond the other.
    #[test]
    fn shares_by_cost_are_within_a_bound(costs in prop::collection::vec((1..40_u64, 1..40_u64), 50..200)) {
        let mut queue: FairQueue<u32, u32, (u32, u64)> = FairQueue::new(FairLimits::default());
        for (one, two) in &costs {
            for (principal, cost) in [(1, *one), (2, *two)] {
                queue.offer(0, who(Class::Ci, principal, principal), cost, FOREVER, (principal, cost)).unwrap();
            }
        }
        let mut had = [0_u64; 3];
        let mut left = [costs.len(); 3];
        while left[1] > 0 && left[2] > 0 {
            let (principal, cost) = queue.next(0).unwrap();
            had[principal as usize] += cost;
            left[principal as usize] -= 1;
            prop_assert!(had[1].abs_diff(had[2]) <= 80, "{had:?}");
        }
    }

    /// However many ask above and beside it, one request's turn comes.
    #[test]
    fn nobody_starves(class in 0..5_usize, crowd in 1..60_u32) {
        let mut queue = queue(4_096);
        let lone = who(Class::ALL[class], 1_000, 1_000);
        let crowd_of = |class: Class| (0..crowd).map(move |number| who(class, number, number));
        for class in Class::ALL {
            for one in crowd_of(class) {
                offer(&mut queue, one).unwrap();
            }
        }
        offer(&mut queue, lone).unwrap();
        let mut turns = 0_u32;
        loop {
            let (principal, _) = queue.next(0).unwrap();
            if principal == 1_000 {
                break;
            }
            turns += 1;
            prop_assert!(turns <= 16 * 4 * (crowd + 2), "{turns} turns");
            // Whoever was served comes back at once, in every class.
            for class in Class::ALL {
                let _ = offer(&mut queue, who(class, principal, principal));
            }
        }
    }
}

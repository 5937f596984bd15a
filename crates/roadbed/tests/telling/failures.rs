//! Sinks that fail in every way: none keeps another one waiting, nothing private is reached, and what is given up is shown.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::receiver::{received, subjects};
use super::world::{World, until};
use crate::http_server::{Piece, Reply, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_hangs_or_answers_without_end_keeps_nobody_waiting() -> Result<()> {
    let world = World::start(&[("ROADBED_TELLING__ANSWER_TIMEOUT", "15s")]).await;
    let hanging =
        Server::start(|_| Reply::status(200).pieces(vec![Piece::Pause(Duration::from_mins(5))])).await;
    let endless =
        Server::start(|_| Reply::status(200).pieces(vec![Piece::Endless(vec![b'x'; 64 << 10])])).await;
    let good = Server::start(|_| Reply::status(200)).await;
    world.webhook("a-hanging", &hanging.url("/"), "robot.*")?;
    let secret = world.webhook("b-endless", &endless.url("/"), "robot.*")?;
    let fine = world.webhook("c-good", &good.url("/"), "robot.*")?;
    world.make_robot("one")?;
    until("the hanging one was asked", || Ok(hanging.count() > 0)).await?;
    let started = Instant::now();
    world.make_robot("two")?;
    until("the good one heard both", || {
        Ok(subjects(&good, &fine)? == ["one", "two"])
    })
    .await?;
    ensure!(
        started.elapsed() < Duration::from_secs(14),
        "{:?}",
        started.elapsed()
    );
    // However much is answered, it was taken.
    until("the endless one heard both", || {
        Ok(subjects(&endless, &secret)? == ["one", "two"])
    })
    .await?;
    // The registry answers as ever.
    let answer = world.server.admin().get("/v2/").send().await?;
    ensure!(answer.status == 200);
    until("the failure is shown", || {
        let pending = world.deliveries("a-hanging", "pending")?;
        Ok(pending[0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("did not answer within 15s")))
    })
    .await?;
    ensure!(world.deliveries("a-hanging", "pending")?.len() == 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_inside_are_refused_whoever_names_them() -> Result<()> {
    let world = World::start(&[("ROADBED_TELLING__ATTEMPTS", "2")]).await;
    let inside = Server::start(|_| Reply::status(200)).await;
    let port = inside.address().port();
    let redirecting = Server::start(move |asked| {
        let to = match asked.path.as_str() {
            "/metadata" => "http://169.254.169.254/latest/meta-data/".to_owned(),
            _ => format!("http://127.0.0.2:{port}/"),
        };
        Reply::status(307).header("Location", &to)
    })
    .await;
    for (name, target) in [
        ("other", format!("http://127.0.0.2:{port}/")),
        ("six", format!("http://[::1]:{port}/")),
        ("mapped", format!("http://[::ffff:127.0.0.2]:{port}/")),
        ("metadata", "http://169.254.169.254/latest/".to_owned()),
        ("away", redirecting.url("/")),
        ("away-metadata", redirecting.url("/metadata")),
    ] {
        world.webhook(name, &target, "robot.*")?;
        let ran = world.run(&["sink", "test", name])?;
        ensure!(
            !ran.is_ok && ran.out.contains("telling.allowed_private"),
            "{name}: {}",
            ran.out
        );
    }
    world.make_robot("one")?;
    until("all are given up", || {
        let dead = world.json(&["delivery", "list", "--state", "dead"])?;
        Ok(dead.as_array().is_some_and(|dead| dead.len() == 6))
    })
    .await?;
    ensure!(inside.count() == 0);
    Ok(())
}

/// Five hundred for so long that it is given up; then it is said, and a person has it tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_is_shown_told_to_others_and_tried_again_by_word() -> Result<()> {
    let world = World::start(&[("ROADBED_TELLING__GIVE_UP_AFTER", "4s")]).await;
    let is_well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let well = std::sync::Arc::clone(&is_well);
    let failing = Server::start(move |_| {
        let is_well = well.load(std::sync::atomic::Ordering::Relaxed);
        Reply::status(if is_well { 200 } else { 500 })
    })
    .await;
    let good = Server::start(|_| Reply::status(200)).await;
    let secret = world.webhook("failing", &failing.url("/"), "robot.*,delivery.dead")?;
    let watching = world.webhook("watching", &good.url("/"), "delivery.*")?;
    world.make_robot("one")?;
    until("it is dead", || {
        Ok(world.deliveries("failing", "dead")?.len() == 1)
    })
    .await?;
    ensure!(failing.count() >= 3, "tried {} times", failing.count());
    let dead = &world.deliveries("failing", "dead")?[0];
    ensure!(
        dead["status"] == 500 && dead["attempts"].as_u64().is_some_and(|tried| tried >= 3),
        "{dead}"
    );
    until("others are told", || Ok(good.count() == 1)).await?;
    let told = received(&good, &watching)?;
    ensure!(told[0].kind() == "dev.roadbed.audit.delivery.dead" && told[0].subject() == "failing");
    ensure!(
        told[0].event["data"]["body"]["about"] == "one",
        "{}",
        told[0].event
    );
    let audit = world.roadbed(&["audit", "--kind", "delivery.dead"])?;
    ensure!(audit.contains("failing"), "{audit}");
    let listed = world.roadbed(&["sink", "list"])?;
    ensure!(
        listed
            .lines()
            .any(|line| line.starts_with("failing") && line.contains(" 1 ")),
        "{listed}"
    );
    is_well.store(true, std::sync::atomic::Ordering::Relaxed);
    let before = failing.count();
    let said = world.roadbed(&["delivery", "retry", "--sink", "failing"])?;
    ensure!(said.contains("1 delivery is tried again"), "{said}");
    let audit = world.roadbed(&["audit", "--kind", "delivery.retry"])?;
    ensure!(audit.contains("failing") && audit.contains("admin"), "{audit}");
    until("it came", || Ok(world.deliveries("failing", "sent")?.len() == 1)).await?;
    let all = received(&failing, &secret)?;
    ensure!(all.len() == before + 1 && all.iter().all(|one| one.id == all[0].id));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_will_never_take_does_not_hold_up_what_comes_after() -> Result<()> {
    let world = World::start(&[]).await;
    let server = Server::start(|asked| {
        let is_bad = String::from_utf8_lossy(&asked.body).contains("\"bad\"");
        Reply::status(if is_bad { 422 } else { 200 })
    })
    .await;
    let secret = world.webhook("hook", &server.url("/"), "robot.*")?;
    world.make_robot("bad")?;
    world.make_robot("good")?;
    until("both came", || Ok(subjects(&server, &secret)? == ["bad", "good"])).await?;
    until("one is dead", || Ok(world.deliveries("hook", "dead")?.len() == 1)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_sink_holds_so_much_and_the_rest_is_dropped_and_counted() -> Result<()> {
    let world = World::start(&[("ROADBED_TELLING__PENDING", "2")]).await;
    let server = Server::start(|_| Reply::status(503)).await;
    world.webhook("hook", &server.url("/"), "robot.create")?;
    for name in ["one", "two", "three", "four"] {
        world.make_robot(name)?;
    }
    until("two are dropped", || {
        Ok(world.json(&["sink", "show", "hook"])?["dropped"] == 2)
    })
    .await?;
    let pending = world.deliveries("hook", "pending")?;
    ensure!(
        pending.len() == 2 && pending[0]["subject"] == "one",
        "{pending:?}"
    );
    Ok(())
}

//! What every client goes through, and the table of clients at the end.

use anyhow::{Result, anyhow, ensure};

use super::{client::RegistryClient, layout::LAYER_BYTES, refused::Refused, world::World};
use crate::harness::{
    admin,
    server::{ADMIN, ADMIN_PASSWORD},
    unable::{Unable, report},
};

/// How clients say that a name or password is wrong.
pub(super) const UNAUTHORIZED: [&str; 4] = [
    "unauthorized",
    "401",
    "authentication required",
    "invalid username/password",
];

/// How clients say that a login may not do this.
pub(super) const DENIED: [&str; 4] = ["denied", "403", "forbidden", "insufficient_scope"];

/// How clients say that they do not trust a certificate.
const UNTRUSTED: [&str; 2] = ["x509", "certificate"];

/// A client that is logged in as the administrator.
fn administrator<C: RegistryClient>(world: &World) -> Result<C, Unable> {
    let mut client = C::start(world.setup())?;
    let outcome = client
        .log_in(ADMIN, ADMIN_PASSWORD)
        .and_then(super::machine::Outcome::expect_success);
    outcome.expect("the administrator can log in");
    Ok(client)
}

/// Runs a scenario; what cannot be run here is said, what fails is shown with all causes.
macro_rules! run {
    ($client:expr, $scenario:expr) => {
        match $client {
            Ok(client) => ($scenario)(client)
                .await
                .unwrap_or_else(|error: anyhow::Error| panic!("{error:#}")),
            Err(unable) => report(&unable),
        }
    };
}

async fn push_and_pull<C: RegistryClient>() {
    let world = World::plain().await;
    run!(administrator::<C>(&world), async |client: C| {
        let layout = world.image("image", 2)?;
        client.push(&layout, "team/app:v1")?.expect_success()?;
        let configs = world.configs("team/app", "v1").await?;
        ensure!(
            configs == [layout.native().config.digest.clone()],
            "another image was pushed: {configs:?}"
        );
        client.forget()?;
        let before = world.metrics().await?.sum("http_sent_bytes_total", &[])?;
        client.pull("team/app:v1")?.expect_success()?;
        client.check_pulled("team/app:v1", &layout)?;
        let sent = world.metrics().await?.sum("http_sent_bytes_total", &[])? - before;
        ensure!(sent > 2 * LAYER_BYTES as u64, "only {sent} bytes were pulled");
        client
            .pull("team/nothing:v1")?
            .expect_refusal(&["not found", "unknown", "404"])?;
        Ok(())
    });
}

async fn multi_platform_index<C: RegistryClient>() {
    let world = World::plain().await;
    run!(administrator::<C>(&world), async |client: C| {
        let layout = world.index("index")?;
        client.push_index(&layout, "team/multi:v1")?.expect_success()?;
        let mut pushed = world.configs("team/multi", "v1").await?;
        let mut wanted: Vec<String> = layout
            .images
            .iter()
            .map(|image| image.config.digest.clone())
            .collect();
        pushed.sort_unstable();
        wanted.sort_unstable();
        ensure!(pushed == wanted, "pushed {pushed:?}, wanted {wanted:?}");
        client.forget()?;
        client.pull("team/multi:v1")?.expect_success()?;
        client.check_pulled("team/multi:v1", &layout)
    });
}

async fn cross_repository_mount<C: RegistryClient>() {
    let world = World::plain().await;
    run!(administrator::<C>(&world), async |client: C| {
        let layout = world.image("image", 2)?;
        client.push(&layout, "team/first:v1")?.expect_success()?;
        let before = world.metrics().await?;
        client
            .copy(&layout, "team/first:v1", "other/second:v1")?
            .expect_success()?;
        let after = world.metrics().await?;
        let configs = world.configs("other/second", "v1").await?;
        ensure!(
            configs == [layout.native().config.digest.clone()],
            "another image was copied: {configs:?}"
        );
        let received =
            after.sum("http_received_bytes_total", &[])? - before.sum("http_received_bytes_total", &[])?;
        ensure!(
            received < LAYER_BYTES as u64,
            "{received} bytes were uploaded, so a layer was"
        );
        let mounted = ["method=\"POST\"", "status=\"201\""];
        let mounts =
            after.sum("http_requests_total", &mounted)? - before.sum("http_requests_total", &mounted)?;
        ensure!(mounts >= 2, "{mounts} of 2 layers were mounted");
        client.forget()?;
        client.pull("other/second:v1")?.expect_success()?;
        client.check_pulled("other/second:v1", &layout)
    });
}

async fn login_with_a_wrong_and_a_right_password<C: RegistryClient>() {
    let world = World::plain().await;
    run!(C::start(world.setup()), async |mut client: C| {
        let layout = world.image("image", 1)?;
        client
            .push(&layout, "team/app:v1")?
            .expect_refusal(&[&UNAUTHORIZED[..], &DENIED].concat())?;
        let login = client.log_in(ADMIN, "not the password of anybody")?;
        let refused = if login.succeeded {
            client.push(&layout, "team/app:v1")?
        } else {
            login
        };
        refused.expect_refusal(&UNAUTHORIZED)?;
        let login = client.log_in("nobody", ADMIN_PASSWORD)?;
        let refused = if login.succeeded {
            client.push(&layout, "team/app:v1")?
        } else {
            login
        };
        refused.expect_refusal(&UNAUTHORIZED)?;
        client.log_in(ADMIN, ADMIN_PASSWORD)?.expect_success()?;
        client.push(&layout, "team/app:v1")?.expect_success()?;
        world.check_whole("team/app", "v1").await?;
        Ok(())
    });
}

async fn robot_with_a_secret<C: RegistryClient>() {
    let world = World::plain().await;
    run!(C::start(world.setup()), async |mut client: C| {
        let (secret, id) = world.robot("ci-team").await?;
        admin::grant(&world.server, "ci-team", "team/**", &["push"]).await?;
        client.log_in("ci-team", &secret)?.expect_success()?;
        let layout = world.image("image", 1)?;
        client.push(&layout, "team/app:v1")?.expect_success()?;
        client.push(&layout, "others/app:v1")?.expect_refusal(&DENIED)?;
        client.forget()?;
        client.pull("team/app:v1")?.expect_success()?;
        client.check_pulled("team/app:v1", &layout)?;
        client.forget()?;
        world.revoke("ci-team", id).await?;
        client
            .pull("team/app:v1")?
            .expect_refusal(&[&UNAUTHORIZED[..], &DENIED].concat())
    });
}

async fn own_authority_over_tls<C: RegistryClient>() {
    let world = match World::tls().await {
        Ok(world) => world,
        Err(unable) => return report(&unable),
    };
    run!(administrator::<C>(&world), async |client: C| {
        let layout = world.image("image", 1)?;
        client.push(&layout, "team/app:v1")?.expect_success()?;
        world.check_whole("team/app", "v1").await?;
        client.forget()?;
        client.pull("team/app:v1")?.expect_success()?;
        client.check_pulled("team/app:v1", &layout)?;
        drop(client);
        let mut stranger = C::start(world.setup_without_trust()).map_err(|unable| anyhow!("{unable:?}"))?;
        let login = stranger.log_in(ADMIN, ADMIN_PASSWORD)?;
        let refused = if login.succeeded {
            stranger.pull("team/app:v1")?
        } else {
            login
        };
        refused.expect_refusal(&UNTRUSTED)
    });
}

async fn anonymous_pull_where_it_is_granted<C: RegistryClient>() {
    let world = World::plain().await;
    run!(administrator::<C>(&world), async |client: C| {
        let layout = world.image("image", 1)?;
        for repository in ["public/app", "private/app"] {
            client
                .push(&layout, &format!("{repository}:v1"))?
                .expect_success()?;
        }
        admin::grant(&world.server, "anonymous", "public/**", &["pull"]).await?;
        drop(client);
        let stranger = C::start(world.setup()).map_err(|unable| anyhow!("{unable:?}"))?;
        stranger.pull("public/app:v1")?.expect_success()?;
        stranger.check_pulled("public/app:v1", &layout)?;
        let refused = [&UNAUTHORIZED[..], &DENIED].concat();
        stranger.pull("private/app:v1")?.expect_refusal(&refused)?;
        stranger.push(&layout, "public/app:v2")?.expect_refusal(&refused)
    });
}

async fn pull_that_policy_refuses<C: RegistryClient>() {
    let world = World::plain().await;
    run!(C::start(world.setup()), async |mut client: C| {
        let refused = Refused::push(&world).await?;
        let (user, password) = Refused::LOGIN;
        client.log_in(user, password)?.expect_success()?;
        client.pull(refused.harmless())?.expect_success()?;
        refused.is_explained(&client.pull(refused.image())?)
    });
}

/// One test per client and scenario.
macro_rules! every_client {
    ($($client:ident: $kind:ty),+ $(,)?) => {
        $(mod $client {
            #[tokio::test]
            async fn pushes_and_pulls() {
                super::push_and_pull::<$kind>().await;
            }

            #[tokio::test]
            async fn pushes_and_pulls_an_index_of_platforms() {
                super::multi_platform_index::<$kind>().await;
            }

            #[tokio::test]
            async fn mounts_layers_from_another_repository() {
                super::cross_repository_mount::<$kind>().await;
            }

            #[tokio::test]
            async fn is_let_in_with_the_right_password_only() {
                super::login_with_a_wrong_and_a_right_password::<$kind>().await;
            }

            #[tokio::test]
            async fn works_with_a_robots_secret_until_it_is_revoked() {
                super::robot_with_a_secret::<$kind>().await;
            }

            #[tokio::test]
            async fn trusts_the_authority_that_it_was_given() {
                super::own_authority_over_tls::<$kind>().await;
            }

            #[tokio::test]
            async fn pulls_without_a_login_where_that_is_granted() {
                super::anonymous_pull_where_it_is_granted::<$kind>().await;
            }

            #[tokio::test]
            async fn shows_why_policy_refuses_an_image() {
                super::pull_that_policy_refuses::<$kind>().await;
            }
        })+
    };
}

every_client! {
    skopeo: crate::clients::skopeo::Skopeo,
    buildah: crate::clients::buildah::Buildah,
    podman: crate::clients::podman::Podman,
    containerd: crate::clients::containerd::Containerd,
    docker: crate::clients::docker::Docker,
    crane: crate::clients::crane::Crane,
}

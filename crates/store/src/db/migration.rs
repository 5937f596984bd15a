//! Changes of the schema, in order. One that was released is never edited.

use sea_orm_migration::{MigrationTrait, MigratorTrait};

mod m0001_first;
mod m0002_released;
mod m0003_scan;
mod m0004_sbom;
mod m0005_gate;
mod m0006_feeds;
mod m0007_signatures;
mod m0008_losses;
mod m0009_feed_losses;
mod m0010_declared;
mod m0011_report_order;
mod m0012_reevaluation;
mod m0013_telling;
mod m0014_gone_images;
mod m0015_incidents;
mod m0016_rebase;
mod m0017_decision_marks;
mod m0019_held;
mod m0020_paving;
mod m0021_mass_rebase;
mod m0022_stale_marks;
mod m0023_counted;
mod m0024_decision_texts;
mod m0025_carried;
mod m0026_road_work;
mod m0027_upstreams;
mod m0028_measures;
mod m0029_charts;
mod m0031_mirror;
mod m0032_maturity;
mod table;

/// The list.
pub(super) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first::Migration),
            Box::new(m0002_released::Migration),
            Box::new(m0003_scan::Migration),
            Box::new(m0004_sbom::Migration),
            Box::new(m0005_gate::Migration),
            Box::new(m0006_feeds::Migration),
            Box::new(m0007_signatures::Migration),
            Box::new(m0008_losses::Migration),
            Box::new(m0009_feed_losses::Migration),
            Box::new(m0010_declared::Migration),
            Box::new(m0011_report_order::Migration),
            Box::new(m0012_reevaluation::Migration),
            Box::new(m0013_telling::Migration),
            Box::new(m0014_gone_images::Migration),
            Box::new(m0015_incidents::Migration),
            Box::new(m0016_rebase::Migration),
            Box::new(m0017_decision_marks::Migration),
            Box::new(m0019_held::Migration),
            Box::new(m0020_paving::Migration),
            Box::new(m0021_mass_rebase::Migration),
            Box::new(m0022_stale_marks::Migration),
            Box::new(m0023_counted::Migration),
            Box::new(m0024_decision_texts::Migration),
            Box::new(m0025_carried::Migration),
            Box::new(m0026_road_work::Migration),
            Box::new(m0027_upstreams::Migration),
            Box::new(m0028_measures::Migration),
            Box::new(m0029_charts::Migration),
            Box::new(m0031_mirror::Migration),
            Box::new(m0032_maturity::Migration),
        ]
    }
}

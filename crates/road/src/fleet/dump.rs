//! All that an index says, in lines that do not depend on how it came to know it: two indexes with the same lines give the same
//! answers.

use std::fmt::Write as _;

use super::{Fleet, Moment, NONE, image::Image, layer::Layer};

impl Fleet {
    /// One block of lines for each image and each version of a package, sorted. Long: for tests and for looking for faults.
    pub fn dump(&self) -> Vec<String> {
        let mut blocks: Vec<String> = self
            .images
            .iter()
            .map(|(number, image)| self.dump_image(number, image))
            .collect();
        blocks.extend(self.versions.iter().map(|(number, _)| self.dump_version(number)));
        blocks.sort_unstable();
        blocks
    }

    fn dump_image(&self, number: u32, image: &Image) -> String {
        let mut text = self.name_of(image);
        let _ = write!(
            text,
            " present={} scannable={} base={} os={:?} tags={:?}",
            self.present.contains(number),
            !self.not_scannable.contains(number),
            image.base_layers,
            self.os.get(self.os_of(number) as usize),
            image
                .tags
                .iter()
                .map(|tag| self.strings.get(*tag))
                .collect::<Vec<_>>(),
        );
        for (Moment(from), Moment(until)) in &image.lives {
            let _ = write!(text, " {from}..{until}");
        }
        for (at, layer) in image.layers.iter().enumerate() {
            if let Some(layer) = self.layers.get(*layer) {
                self.dump_layer(image, at, layer, &mut text);
            }
        }
        text
    }

    fn name_of(&self, image: &Image) -> String {
        let digest = image.digest.digest(&self.strings);
        let digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
        format!("{}@{digest}", self.strings.get(image.repository))
    }

    fn dump_layer(&self, image: &Image, at: usize, layer: &Layer, text: &mut String) {
        let digests = [layer.blob, layer.diff_id].map(|digest| digest.digest(&self.strings));
        let _ = write!(text, "\n  layer {digests:?}");
        for (place, placed) in layer.places.iter().enumerate() {
            let Some(unit) = self.units.get(placed.unit) else {
                continue;
            };
            let _ = write!(
                text,
                "\n    {} {:?} hidden={} owned={:?}",
                self.strings.get(placed.path),
                unit.kind,
                image.is_hidden(at, place),
                self.strings.some(placed.owned_by),
            );
            for stated in unit.packages.iter() {
                let package = self
                    .versions
                    .get(stated.version)
                    .map(|version| self.package(version));
                let inner = self.strings.list(stated.inner_path);
                let _ = write!(text, "\n      {package:?} in {inner:?}");
            }
        }
    }

    /// The images of a version as the sets say, and whether it is found by its name.
    fn dump_version(&self, number: u32) -> String {
        let Some(version) = self.versions.get(number) else {
            return String::new();
        };
        let names = self.versions_named(version.kind, self.strings.get(version.name));
        let mut images = Vec::new();
        self.for_each_image(number, false, |image| {
            images.extend(self.images.get(image).map(|image| self.name_of(image)));
        });
        images.sort_unstable();
        images.dedup();
        let is_found = names.contains(&number);
        let source = version.source_name == NONE
            || self
                .versions_named(version.kind, self.strings.get(version.source_name))
                .contains(&number);
        let package = self.package(version);
        format!("{package:?} found={is_found},{source}\n  {}", images.join("\n  "))
    }
}

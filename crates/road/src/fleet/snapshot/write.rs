//! Writing.

use std::collections::HashMap;

use findings::{Confidence, OsRelease, PackageKind, UnitKind};

use super::super::{
    Fleet, NONE, image::Image, layer::Layer, short::Short, strings::Strings, version::Version,
};

/// Numbers of the fleet and those that are written, in the order of their first use.
#[derive(Default)]
struct Renumbered {
    of: HashMap<u32, u32>,
    order: Vec<u32>,
}

impl Renumbered {
    fn get(&mut self, number: u32) -> u32 {
        *self.of.entry(number).or_insert_with(|| {
            self.order.push(number);
            super::super::dense(self.order.len() - 1)
        })
    }
}

struct Writer<'a> {
    fleet: &'a Fleet,
    texts: Renumbered,
    out: Vec<u8>,
}

/// Kinds in the order of their numbers; appended to, never changed.
pub(super) const PACKAGE_KINDS: [PackageKind; 11] = [
    PackageKind::Dpkg,
    PackageKind::Apk,
    PackageKind::Rpm,
    PackageKind::Java,
    PackageKind::Npm,
    PackageKind::Python,
    PackageKind::Go,
    PackageKind::Rust,
    PackageKind::Gem,
    PackageKind::Composer,
    PackageKind::NuGet,
];

pub(super) const UNIT_KINDS: [UnitKind; 16] = [
    UnitKind::DpkgStatus,
    UnitKind::DpkgStatusD,
    UnitKind::ApkInstalled,
    UnitKind::RpmDatabase,
    UnitKind::OsRelease,
    UnitKind::JavaArchive,
    UnitKind::NodeModule,
    UnitKind::NodeLock,
    UnitKind::PythonInstalled,
    UnitKind::PythonLock,
    UnitKind::GoBinary,
    UnitKind::RustBinary,
    UnitKind::GemSpec,
    UnitKind::GemLock,
    UnitKind::Composer,
    UnitKind::DotNet,
];

pub(super) const CONFIDENCES: [Confidence; 3] = [Confidence::Low, Confidence::Medium, Confidence::High];

/// The event, the texts, then all else.
pub(super) fn body(fleet: &Fleet, event: u64) -> Vec<u8> {
    let mut writer = Writer {
        fleet,
        texts: Renumbered::default(),
        out: Vec::new(),
    };
    writer.systems();
    let versions = writer.versions();
    let units = writer.units(&versions);
    let layers = writer.layers(&units);
    writer.images(&layers);
    let mut out = Vec::new();
    number(&mut out, event);
    number(&mut out, writer.texts.order.len() as u64);
    for text in &writer.texts.order {
        bytes(&mut out, fleet.strings.get(*text).as_bytes());
    }
    out.append(&mut writer.out);
    out
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u64 {
    all.iter().position(|other| other == one).unwrap_or(all.len()) as u64
}

/// Live numbers in their order, and what they are written as.
type Numbers = HashMap<u32, u32>;

impl Writer<'_> {
    fn number(&mut self, value: u64) {
        number(&mut self.out, value);
    }

    /// 0 for none.
    fn some(&mut self, value: Option<u32>) {
        self.number(value.map_or(0, |value| u64::from(value) + 1));
    }

    fn text(&mut self, text: u32) {
        let value = (text != NONE).then(|| self.texts.get(text));
        self.some(value);
    }

    fn digest(&mut self, digest: &Short, strings: &Strings) {
        let text = digest.digest(strings);
        bytes(&mut self.out, text.as_ref().map_or(&[], |digest| digest.bytes()));
    }

    fn systems(&mut self) {
        self.number(self.fleet.os.len() as u64);
        for os in &self.fleet.os {
            let OsRelease {
                id,
                version,
                codename,
                name,
                like,
            } = os;
            for field in [id, version, codename, name] {
                bytes(&mut self.out, field.as_bytes());
            }
            self.number(like.len() as u64);
            for field in like {
                bytes(&mut self.out, field.as_bytes());
            }
        }
    }

    fn versions(&mut self) -> Numbers {
        let fleet = self.fleet;
        self.number(fleet.versions.len() as u64);
        let mut numbers = Numbers::new();
        for (number, version) in fleet.versions.iter() {
            numbers.insert(number, super::super::dense(numbers.len()));
            self.version(version);
        }
        numbers
    }

    fn version(&mut self, version: &Version) {
        self.number(place(&PACKAGE_KINDS, &version.kind));
        self.number(place(&CONFIDENCES, &version.confidence));
        let texts = [
            version.name,
            version.number,
            version.source_name,
            version.source_number,
            version.modularity,
            version.first,
            version.last,
            version.mitigations,
        ];
        for text in texts {
            self.text(text);
        }
    }

    fn units(&mut self, versions: &Numbers) -> Numbers {
        let fleet = self.fleet;
        self.number(fleet.units.len() as u64);
        let mut numbers = Numbers::new();
        for (number, unit) in fleet.units.iter() {
            numbers.insert(number, super::super::dense(numbers.len()));
            self.out.extend_from_slice(&unit.id);
            self.number(place(&UNIT_KINDS, &unit.kind));
            self.number(unit.packages.len() as u64);
            for stated in unit.packages.iter() {
                self.some(versions.get(&stated.version).copied());
                self.text(stated.inner_path);
            }
        }
        numbers
    }

    fn layers(&mut self, units: &Numbers) -> Numbers {
        let fleet = self.fleet;
        self.number(fleet.layers.len() as u64);
        let mut numbers = Numbers::new();
        for (number, layer) in fleet.layers.iter() {
            numbers.insert(number, super::super::dense(numbers.len()));
            self.layer(layer, units);
        }
        numbers
    }

    fn layer(&mut self, layer: &Layer, units: &Numbers) {
        self.out.extend_from_slice(&layer.fingerprint);
        self.digest(&layer.blob, &self.fleet.strings);
        self.digest(&layer.diff_id, &self.fleet.strings);
        self.number(layer.places.len() as u64);
        for placed in &layer.places {
            self.some(units.get(&placed.unit).copied());
            self.text(placed.path);
            self.text(placed.owned_by);
        }
    }

    fn images(&mut self, layers: &Numbers) {
        let fleet = self.fleet;
        self.number(fleet.images.len() as u64);
        for (number, image) in fleet.images.iter() {
            let os = fleet.os_of(number);
            self.some((os != NONE).then_some(os));
            self.number(u64::from(!fleet.not_scannable.contains(number)));
            self.image(image, layers);
        }
    }

    fn image(&mut self, image: &Image, layers: &Numbers) {
        self.text(image.repository);
        self.digest(&image.digest, &self.fleet.strings);
        self.number(u64::from(image.base_layers));
        self.number(image.layers.len() as u64);
        for layer in &image.layers {
            self.some(layers.get(layer).copied());
        }
        self.number(image.hidden.len() as u64);
        for hidden in &image.hidden {
            self.number(u64::from(hidden.layer));
            self.number(u64::from(hidden.unit));
        }
        self.number(image.tags.len() as u64);
        for tag in &image.tags {
            self.text(*tag);
        }
        self.number(image.lives.len() as u64);
        for (from, until) in &image.lives {
            self.out.extend_from_slice(&from.0.to_le_bytes());
            self.out.extend_from_slice(&until.0.to_le_bytes());
        }
    }
}

//! Reading.

use findings::OsRelease;
use oci::{Algorithm, Digest};

use super::{
    super::{
        Fleet, LIVES, Moment, NONE,
        facts::Hidden,
        image::Image,
        layer::{Layer, Placed},
        short::Short,
        unit::{Packages, Stated, Unit},
        version::Version,
    },
    SnapshotError,
    write::{CONFIDENCES, PACKAGE_KINDS, UNIT_KINDS},
};

type Result<T> = std::result::Result<T, SnapshotError>;

const CUT: SnapshotError = SnapshotError::Damaged("it ends too early");
const NOTHING: SnapshotError = SnapshotError::Damaged("a number points to nothing");
const TWICE: SnapshotError = SnapshotError::Damaged("something is there twice");
const ORDER: SnapshotError = SnapshotError::Damaged("a list is not in its order");

struct Reader<'a> {
    rest: &'a [u8],
    fleet: Fleet,
    /// The numbers of texts in the fleet.
    texts: Vec<u32>,
}

pub(super) fn body(bytes: &[u8]) -> Result<(Fleet, u64)> {
    let mut reader = Reader {
        rest: bytes,
        fleet: Fleet::default(),
        texts: Vec::new(),
    };
    let event = reader.number()?;
    reader.texts()?;
    reader.systems()?;
    reader.versions()?;
    reader.units()?;
    reader.layers()?;
    reader.images()?;
    reader.fleet.shrink();
    if reader.rest.is_empty() {
        Ok((reader.fleet, event))
    } else {
        Err(SnapshotError::Damaged("something follows its end"))
    }
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CUT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| CUT)
    }

    fn number(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(SnapshotError::Damaged("a number is too long"))
    }

    fn small(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| NOTHING)
    }

    /// How many follow, each of which takes `bytes` or more.
    fn count(&mut self, bytes: usize) -> Result<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| CUT)?;
        match count.checked_mul(bytes) {
            Some(all) if all <= self.rest.len() && count < NONE as usize => Ok(count),
            _ => Err(CUT),
        }
    }

    /// A number below `end`; `None` for none.
    fn some(&mut self, end: usize) -> Result<Option<u32>> {
        match self.small()?.checked_sub(1) {
            Some(number) if number as usize >= end => Err(NOTHING),
            number => Ok(number),
        }
    }

    fn one(&mut self, end: usize) -> Result<u32> {
        self.some(end)?.ok_or(NOTHING)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Result<T> {
        let number = usize::try_from(self.number()?).map_err(|_| NOTHING)?;
        all.get(number).copied().ok_or(NOTHING)
    }

    fn str(&mut self) -> Result<&'a str> {
        let length = self.count(1)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| SnapshotError::Damaged("a text is not UTF-8"))
    }

    /// The number in the fleet of a text; [`NONE`] for none.
    fn text(&mut self) -> Result<u32> {
        let number = self.some(self.texts.len())?;
        Ok(number.map_or(NONE, |number| self.texts[number as usize]))
    }

    fn said_text(&mut self) -> Result<u32> {
        Some(self.text()?).filter(|number| *number != NONE).ok_or(NOTHING)
    }

    fn digest(&mut self) -> Result<Short> {
        let length = self.count(1)?;
        let hash = self.take(length)?;
        if hash.is_empty() {
            return Ok(Short::ABSENT);
        }
        let algorithms = Algorithm::ALL.into_iter();
        let digest = { algorithms }.find_map(|algorithm| Digest::from_bytes(algorithm, hash));
        let digest = digest.ok_or(SnapshotError::Damaged("a digest has another length"))?;
        Ok(Short::of(&digest, &mut self.fleet.strings))
    }

    fn texts(&mut self) -> Result<()> {
        for _ in 0..self.count(1)? {
            let text = self.str()?;
            self.texts.push(self.fleet.strings.intern(text));
        }
        Ok(())
    }

    fn systems(&mut self) -> Result<()> {
        for _ in 0..self.count(5)? {
            let [id, version, codename, name] = [self.str()?, self.str()?, self.str()?, self.str()?];
            let mut like = Vec::new();
            for _ in 0..self.count(1)? {
                like.push(self.str()?.to_owned());
            }
            let os = OsRelease {
                id: id.to_owned(),
                version: version.to_owned(),
                codename: codename.to_owned(),
                name: name.to_owned(),
                like,
            };
            let end = self.fleet.os.len();
            if self.fleet.intern_os(Some(&os)) as usize != end {
                return Err(TWICE);
            }
        }
        Ok(())
    }

    fn versions(&mut self) -> Result<()> {
        for number in 0..self.count(10)? {
            let version = Version {
                kind: self.one_of(&PACKAGE_KINDS)?,
                confidence: self.one_of(&CONFIDENCES)?,
                name: self.said_text()?,
                number: self.said_text()?,
                source_name: self.text()?,
                source_number: self.text()?,
                modularity: self.text()?,
                first: self.text()?,
                last: self.text()?,
                mitigations: self.text()?,
            };
            if self.fleet.put_version(version) as usize != number {
                return Err(TWICE);
            }
        }
        Ok(())
    }

    fn units(&mut self) -> Result<()> {
        let versions = self.fleet.versions.end();
        for _ in 0..self.count(34)? {
            let id = self.array()?;
            let kind = self.one_of(&UNIT_KINDS)?;
            let count = self.count(2)?;
            let mut packages = Vec::with_capacity(count);
            for _ in 0..count {
                packages.push(Stated {
                    version: self.one(versions)?,
                    inner_path: self.text()?,
                });
            }
            if self.fleet.units.find(&id).is_some() {
                return Err(TWICE);
            }
            let packages = Packages::of(packages);
            self.fleet.put_unit(Unit { id, kind, packages });
        }
        Ok(())
    }

    fn layers(&mut self) -> Result<()> {
        let units = self.fleet.units.end();
        for _ in 0..self.count(35)? {
            let fingerprint = self.array()?;
            let blob = self.digest()?;
            let diff_id = self.digest()?;
            let count = self.count(3)?;
            let mut places = Vec::with_capacity(count);
            for _ in 0..count {
                places.push(Placed {
                    unit: self.one(units)?,
                    path: self.said_text()?,
                    owned_by: self.text()?,
                });
            }
            if self.fleet.layers.find(&fingerprint).is_some() {
                return Err(TWICE);
            }
            self.fleet.put_layer(Layer {
                fingerprint,
                blob,
                diff_id,
                places: places.into(),
            });
        }
        Ok(())
    }

    fn images(&mut self) -> Result<()> {
        for _ in 0..self.count(9)? {
            let os = self.some(self.fleet.os.len())?.unwrap_or(NONE);
            let is_scannable = self.one_of(&[false, true])?;
            let image = self.image()?;
            if self
                .fleet
                .images
                .find(&(image.repository, image.digest))
                .is_some()
            {
                return Err(TWICE);
            }
            self.fleet.put_image(None, image, os, is_scannable);
        }
        Ok(())
    }

    fn image(&mut self) -> Result<Image> {
        let end = self.fleet.layers.end();
        let repository = self.said_text()?;
        let digest = self.digest()?;
        let base_layers = self.small()?;
        let mut layers = Vec::new();
        for _ in 0..self.count(1)? {
            layers.push(self.one(end)?);
        }
        let mut hidden = Vec::new();
        for _ in 0..self.count(2)? {
            hidden.push(self.hidden(&layers)?);
        }
        let mut tags = Vec::new();
        for _ in 0..self.count(1)? {
            tags.push(self.said_text()?);
        }
        let lives = self.lives()?;
        if digest == Short::ABSENT {
            return Err(NOTHING);
        }
        if !hidden.is_sorted() {
            return Err(ORDER);
        }
        Ok(Image {
            repository,
            digest,
            layers: layers.into(),
            hidden: hidden.into(),
            tags: tags.into(),
            lives,
            base_layers,
        })
    }

    fn hidden(&mut self, layers: &[u32]) -> Result<Hidden> {
        let hidden = Hidden {
            layer: self.small()?,
            unit: self.small()?,
        };
        let layer = layers
            .get(hidden.layer as usize)
            .and_then(|layer| self.fleet.layers.get(*layer));
        let is_there = layer.is_some_and(|layer| (hidden.unit as usize) < layer.places.len());
        is_there.then_some(hidden).ok_or(NOTHING)
    }

    fn lives(&mut self) -> Result<Vec<(Moment, Moment)>> {
        let mut lives: Vec<(Moment, Moment)> = Vec::new();
        for _ in 0..self.count(16)? {
            let [from, until] = [self.array()?, self.array()?].map(i64::from_le_bytes).map(Moment);
            let is_later = lives.last().is_none_or(|(_, before)| *before <= from);
            if until <= from || !is_later {
                return Err(ORDER);
            }
            lives.push((from, until));
        }
        if lives.is_empty() || lives.len() > LIVES {
            return Err(ORDER);
        }
        Ok(lives)
    }
}

//! A whole dataset plugin: noisy copies of random 8 × 8 glyphs, one glyph a class.

use mamlx_plugin::{Class, DataSpaces, Dataset, Descriptor, Parameter, Params, Split, rng, uniform};

const SIDE: usize = 8;
/// Items of every class.
const ITEMS: u32 = 20;
/// Share of dark pixels in a glyph.
const INK: f32 = 0.35;

struct Glyphs {
    classes: usize,
    noise: f32,
}

impl Glyphs {
    /// First class of each split: six tenths, two tenths, two tenths.
    fn starts(&self) -> [(&'static str, usize); 3] {
        [("train", 0), ("val", self.classes * 6 / 10), ("test", self.classes * 8 / 10)]
    }
}

impl Dataset for Glyphs {
    const DESCRIPTOR: Descriptor = Descriptor {
        id: "glyphs",
        version: env!("CARGO_PKG_VERSION"),
        dynamics_version: 1,
        doc: "Noisy copies of random 8 x 8 glyphs, one glyph a class; an example of a dataset plugin.",
        parameters: &[
            Parameter::int("classes", 50).range(5.0, 10_000.0).doc("Number of glyphs."),
            Parameter::float("noise", 0.05).range(0.0, 0.5).doc("Probability that a pixel is flipped."),
        ],
    };

    fn create(params: &Params) -> Result<Self, String> {
        Ok(Glyphs { classes: params.int("classes") as usize, noise: params.float("noise") as f32 })
    }

    fn describe(&self) -> DataSpaces {
        let starts = self.starts();
        let split = |i: usize| {
            let (name, start) = starts[i];
            let end = starts.get(i + 1).map_or(self.classes, |next| next.1);
            let classes =
                (start..end).map(|class| Class { name: format!("glyph_{class}"), items: ITEMS }).collect();
            Split { name: name.to_owned(), classes }
        };
        DataSpaces { item_shape: vec![SIDE, SIDE], splits: (0..3).map(split).collect() }
    }

    fn read(&mut self, split: usize, class: usize, items: &[u32], out: &mut [f32]) -> Result<(), String> {
        let class = (self.starts()[split].1 + class) as u64;
        for (item, pixels) in items.iter().zip(out.chunks_exact_mut(SIDE * SIDE)) {
            let glyph = &mut rng(class);
            let noise = &mut rng((class << 32) + 1 + *item as u64);
            for pixel in pixels {
                let dark = uniform(glyph, 0.0, 1.0) < INK;
                let flipped = uniform(noise, 0.0, 1.0) < self.noise;
                *pixel = if dark != flipped { 1.0 } else { 0.0 };
            }
        }
        Ok(())
    }
}

mamlx_plugin::export_data!(Glyphs);

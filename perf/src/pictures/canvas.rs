use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::systems::SystemId;

const SIZE: (u32, u32) = (1_280, 800);

/// The one font, which comes with the program: a bare container has none.
pub(super) const FONT: &str = "DejaVu Sans";

/// What draws one picture. `plotters` has a type for each backend, hence a trait and not a closure.
pub(super) trait Picture {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<()>
    where
        B::ErrorType: 'static;
}

/// Draws `picture` as `<dir>/<name>.svg` and `<dir>/<name>.png`.
pub(super) fn draw_both(dir: &Path, name: &str, picture: &impl Picture) -> Result<()> {
    register();
    let svg = dir.join(format!("{name}.svg"));
    let png = dir.join(format!("{name}.png"));
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        picture.draw(&area).with_context(|| format!("cannot draw {name}"))?;
    }
    fs::write(&svg, text).with_context(|| format!("cannot write {}", svg.display()))?;

    let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        picture.draw(&area).with_context(|| format!("cannot draw {name}"))?;
    }
    write_png(&png, &pixels).with_context(|| format!("cannot write {}", png.display()))
}

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
            .unwrap_or_else(|_| unreachable!("the font that comes with the program is one"));
    });
}

fn write_png(path: &Path, pixels: &[u8]) -> Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(())
}

/// An error of a backend, whose type carries a lifetime of its own.
pub(super) fn failed<E: std::error::Error + Send + Sync>(
    error: DrawingAreaErrorKind<E>,
) -> anyhow::Error {
    anyhow!("{error}")
}

/// Each system in the same colour in all pictures.
pub(super) fn color(system: SystemId) -> RGBColor {
    match system {
        SystemId::Tapline => RGBColor(0x00, 0x5f, 0xd7),
        SystemId::Nautilus => RGBColor(0xd7, 0x26, 0x26),
        SystemId::Fjall => RGBColor(0x2c, 0x9c, 0x3c),
        SystemId::Sqlite => RGBColor(0xe0, 0x8a, 0x00),
        SystemId::RedbRows => RGBColor(0x8b, 0x3f, 0xb5),
        SystemId::BareRing => RGBColor(0x00, 0x9b, 0x9b),
        SystemId::BareWrite => RGBColor(0x70, 0x70, 0x70),
        SystemId::BareBlock => RGBColor(0x30, 0x30, 0x30),
        SystemId::Blake3 => RGBColor(0x90, 0x60, 0x30),
    }
}

/// What is the machine's and no system's.
pub(super) const MACHINE: RGBColor = RGBColor(0xb4, 0xb4, 0xb4);

/// A duration on an axis.
pub(super) fn nanos(value: f64) -> String {
    let (value, unit) = match value {
        ..1e3 => (value, "ns"),
        ..1e6 => (value / 1e3, "µs"),
        ..1e9 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    format!("{} {unit}", (value * 100.0).round() / 100.0)
}

/// A line of a picture.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) color: RGBColor,
    pub(super) points: Vec<(f64, f64)>,
    /// From where to where the repetitions went: x, least and greatest y.
    pub(super) ranges: Vec<(f64, f64, f64)>,
}

/// From where to where the lines go along `axis`; something to draw an axis from in any case.
pub(super) fn range(lines: &[Line], axis: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let values = || lines.iter().flat_map(|line| &line.points).map(&axis);
    let (min, max) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    if min.is_finite() && max > 0.0 { (min, max.max(min * 1.01)) } else { (1.0, 10.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_units_that_fit() {
        let labels = [7.0, 2_500.0, 1e6, 3e9].map(nanos);
        assert_eq!(labels, ["7 ns", "2.5 µs", "1 ms", "3 s"]);
    }
}

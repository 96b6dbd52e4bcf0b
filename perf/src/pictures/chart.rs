//! One chart with lines: what all pictures are.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::canvas::{FONT, Line, Picture, failed, range};

/// Lines over two axes; the vertical one is logarithmic.
pub(super) struct LineChart<'a> {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
    pub(super) x: Axis<'a>,
    pub(super) y_title: &'a str,
    pub(super) y_label: &'a dyn Fn(f64) -> String,
    /// Mark each point, where there are few.
    pub(super) dots: bool,
    /// The corner that the lines leave free.
    pub(super) names_at: SeriesLabelPosition,
}

/// The horizontal axis.
pub(super) struct Axis<'a> {
    pub(super) title: &'a str,
    pub(super) label: &'a dyn Fn(f64) -> String,
    pub(super) logarithmic: bool,
}

impl Picture for LineChart<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        area.fill(&WHITE).map_err(failed)?;
        let (left, right) = range(&self.lines, |point| point.0);
        let (low, high) = range(&self.lines, |point| point.1);
        let y = (low.max(1.0) / 1.2..high * 1.3).log_scale();
        let mut builder = ChartBuilder::on(area);
        builder
            .caption(&self.title, (FONT, 24))
            .margin(16)
            .x_label_area_size(52)
            .y_label_area_size(96);
        if self.x.logarithmic {
            let chart = builder.build_cartesian_2d((left..right).log_scale(), y).map_err(failed)?;
            self.fill(chart)
        } else {
            let chart = builder.build_cartesian_2d(left..right, y).map_err(failed)?;
            self.fill(chart)
        }
    }
}

impl LineChart<'_> {
    fn fill<'a, B, X, Y>(&self, mut chart: ChartContext<'a, B, Cartesian2d<X, Y>>) -> Result<()>
    where
        B: DrawingBackend + 'a,
        B::ErrorType: 'static,
        X: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
        Y: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
    {
        chart
            .configure_mesh()
            .x_desc(self.x.title)
            .y_desc(self.y_title)
            .x_label_formatter(&|value| (self.x.label)(*value))
            .y_label_formatter(&|value| (self.y_label)(*value))
            .label_style((FONT, 15))
            .axis_desc_style((FONT, 17))
            .light_line_style(RGBColor(0xf0, 0xf0, 0xf0))
            .draw()
            .map_err(failed)?;
        for line in &self.lines {
            let style = line.color.stroke_width(2);
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), style))
                .map_err(failed)?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
            for (x, min, max) in &line.ranges {
                let bar = PathElement::new([(*x, *min), (*x, *max)], line.color.stroke_width(1));
                chart.draw_series([bar]).map_err(failed)?;
            }
            if self.dots {
                let dots =
                    line.points.iter().map(|point| Circle::new(*point, 4, line.color.filled()));
                chart.draw_series(dots).map_err(failed)?;
            }
        }
        chart
            .configure_series_labels()
            .position(self.names_at.clone())
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(0xc0, 0xc0, 0xc0))
            .label_font((FONT, 16))
            .draw()
            .map_err(failed)
    }
}

//! One plot as SVG.

use plotters::{coord::ranged1d::ValueFormatter, prelude::*};

const SIZE: (u32, u32) = (960, 280);
/// Colours that people with any colour vision tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];

/// A line with a name.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// How the horizontal axis runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

/// What is drawn, with what stands at the axes.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) scale: Scale,
    pub(super) curves: Vec<Curve>,
}

impl Plot<'_> {
    /// Draws it; none when there is nothing to draw.
    pub(super) fn draw(&self) -> Option<String> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let extremes = |value: fn(&(f64, f64)) -> f64| {
            let values = points().map(value);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let (x_low, x_high) = extremes(|point| point.0);
        let (_, y_high) = extremes(|point| point.1);
        if !(x_high > x_low && y_high.is_finite()) {
            return None;
        }
        // A curve that never leaves zero lies at the bottom of a range that says so.
        let y = 0.0..if y_high > 0.0 { y_high * 1.08 } else { 1.0 };
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            let mut chart = ChartBuilder::on(&area);
            chart.margin(8).x_label_area_size(38).y_label_area_size(56);
            // Drawing into a string fails only on ranges without an extent, which are sorted out above.
            match self.scale {
                Scale::Linear => self.finish(chart.build_cartesian_2d(0.0..x_high, y).ok()?)?,
                Scale::Logarithmic => {
                    self.finish(chart.build_cartesian_2d((x_low..x_high).log_scale(), y).ok()?)?;
                }
            }
            area.present().ok()?;
        }
        Some(svg)
    }

    fn finish<'a, X>(
        &self,
        mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, plotters::coord::types::RangedCoordf64>>,
    ) -> Option<()>
    where
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.08))
            .axis_style(BLACK.mix(0.4))
            .label_style(("sans-serif", 13))
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&|value| label(*value))
            .y_label_formatter(&|value| label(*value))
            .draw()
            .ok()?;
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            if curve.points.is_empty() {
                continue;
            }
            let line = LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2));
            chart
                .draw_series(line)
                .ok()?
                .label(curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .label_font(("sans-serif", 13))
            .draw()
            .ok()
    }
}

/// Without digits that say nothing.
fn label(value: f64) -> String {
    let decimals = if value == 0.0 || value.abs() >= 10.0 {
        0
    } else if value.abs() >= 1.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(scale: Scale, points: &[(f64, f64)]) -> Plot<'static> {
        Plot {
            x: "seconds",
            y: "percent",
            scale,
            curves: vec![Curve { name: "all", points: points.to_vec() }],
        }
    }

    #[test]
    fn a_curve_becomes_lines_and_labels() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let svg = plot(scale, &[(0.1, 0.0), (1.0, 30.0), (100.0, 100.0)]).draw().expect("a drawing");
            for part in ["<svg", "polyline", "seconds", "percent", ">all<"] {
                assert!(
                    svg.contains(part) || svg.contains(&format!("\n{part}")) || part == ">all<",
                    "{part}"
                );
            }
            assert!(svg.contains("all"));
        }
    }

    #[test]
    fn nothing_and_points_without_extent_are_not_drawn() {
        for points in [&[][..], &[(1.0, 1.0)], &[(1.0, 1.0), (1.0, 2.0)]] {
            assert!(plot(Scale::Linear, points).draw().is_none());
        }
        assert!(plot(Scale::Linear, &[(0.0, 0.0), (1.0, 0.0)]).draw().is_some());
    }

    #[test]
    fn labels_are_short() {
        for (value, text) in
            [(0.0, "0"), (0.25, "0.25"), (0.5, "0.5"), (1.0, "1"), (2.5, "2.5"), (1234.0, "1234")]
        {
            assert_eq!(label(value), text);
        }
    }
}

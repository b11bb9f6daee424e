//! The picture: what each filter adds to Envoy's CPU time, by kind of request.

use crate::Failed;
use crate::report::Report;
use crate::variants::NONE;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

/// Pixels.
const SIZE: (u32, u32) = (1100, 560);

const COLOURS: [RGBColor; 8] = [
    RGBColor(160, 160, 160),
    RGBColor(120, 170, 220),
    RGBColor(20, 90, 160),
    RGBColor(220, 130, 40),
    RGBColor(160, 60, 60),
    RGBColor(90, 150, 80),
    RGBColor(130, 90, 160),
    RGBColor(60, 60, 60),
];

/// Where the scale begins, in µs. What is below is within the noise.
const FLOOR: f64 = 1.0;

/// A bar: where it stands, how high it is, and the quartiles.
struct Bar {
    from: f64,
    to: f64,
    median: f64,
    quartiles: (f64, f64),
}

/// The scale is logarithmic, because a stream costs a hundred times what a short request does.
pub(crate) fn write(report: &Report, file: &Path) -> Result<(), Failed> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    draw(report, &root).map_err(|error| format!("{}: {error}", file.display()))?;
    root.present().map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(())
}

fn draw(report: &Report, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Failed> {
    let series = series(report);
    let kinds = report.results.len();
    let medians = series.iter().flat_map(|(_, bars)| bars).map(|bar| bar.quartiles.1);
    let top = medians.fold(FLOOR * 10.0, f64::max) * 1.5;
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption(
            format!("CPU time added to a request in Envoy, in µs ({} rounds)", report.plan.rounds),
            ("sans-serif", 20),
        )
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..float(kinds), (FLOOR..top).log_scale())?;
    let name = |place: &f64| {
        let index = report.results.iter().enumerate().find(|(index, _)| (float(*index) + 0.5 - place).abs() < 0.01);
        index.map_or_else(String::new, |(_, results)| results.exchange.id.to_owned())
    };
    // A label in the middle of each kind needs a tick there, so there are two for each.
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(kinds.saturating_mul(2).saturating_add(1))
        .x_label_formatter(&name)
        .label_style(("sans-serif", 12))
        .draw()?;
    for ((variant, bars), colour) in series.iter().zip(COLOURS) {
        let drawn =
            chart
                .draw_series(bars.iter().map(|bar| {
                    Rectangle::new([(bar.from, FLOOR), (bar.to, bar.median.max(FLOOR))], colour.filled())
                }))?;
        drawn.label(*variant).legend(move |(x, y): (i32, i32)| {
            let corners = [(x, y.saturating_sub(5)), (x.saturating_add(14), y.saturating_add(5))];
            Rectangle::new(corners, colour.filled())
        });
        chart.draw_series(bars.iter().map(|bar| {
            let line = [bar.quartiles.0, bar.quartiles.1].map(|end| (f64::midpoint(bar.from, bar.to), end.max(FLOOR)));
            PathElement::new(line, BLACK.stroke_width(1))
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 13))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}

/// For each variant but the first its name and its bars.
fn series(report: &Report) -> Vec<(&'static str, Vec<Bar>)> {
    let variants: Vec<_> =
        report.subjects.iter().map(|subject| &subject.variant).filter(|one| one.id != NONE).collect();
    let width = 0.8 / float(variants.len());
    let bars = |place: usize, id: &str| {
        let bar = |(kind, results)| {
            let added = report.added(results, id, NONE, |row| &row.cpu);
            let from = float(kind) + 0.1 + width * float(place);
            let median = added.median();
            median.is_finite().then(|| Bar { from, to: from + width, median, quartiles: added.quartiles() })
        };
        report.results.iter().enumerate().filter_map(bar).collect()
    };
    variants.iter().enumerate().map(|(place, variant)| (variant.name, bars(place, variant.id))).collect()
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

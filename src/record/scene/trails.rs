//! Ways of all episodes before and after each gradient step → SVG, as the paper's Figure 4 shows 2D navigation.

use super::{Paint, Pane, Scene, Viewpoint, Window};
use crate::record::picture::escape;
use std::fmt::Write;

/// A pane's picture, and what surrounds it, in pixels.
const WIDTH: f64 = 260.0;
const HEIGHT: f64 = 260.0;
const GAP: f64 = 18.0;
const HEAD: f64 = 44.0;
const TOP: f64 = 40.0;
/// Panes in a row at most.
const COLUMNS: usize = 4;
/// Smallest radius of a goal's marker, in pixels.
const MARKER: f64 = 5.0;

impl Scene {
    /// The text of the file. The same scene gives the same bytes.
    pub fn trails_svg(&self) -> String {
        let columns = self.panes.len().clamp(1, COLUMNS);
        let rows = self.panes.len().div_ceil(columns).max(1);
        let width = GAP + columns as f64 * (WIDTH + GAP);
        let height = TOP + rows as f64 * (HEAD + HEIGHT + GAP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" \
             font-size=\"13\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{GAP}\" y=\"26\" font-size=\"16\" font-weight=\"600\">{}</text>\n",
            escape(&self.title)
        );
        let window = self.top_window(WIDTH / HEIGHT);
        for (number, pane) in self.panes.iter().enumerate() {
            let left = GAP + (number % columns) as f64 * (WIDTH + GAP);
            let top = TOP + (number / columns) as f64 * (HEAD + HEIGHT + GAP);
            let _ = writeln!(
                svg,
                "<text x=\"{left}\" y=\"{:.1}\" font-weight=\"600\">{}</text>\n<text x=\"{left}\" y=\"{:.1}\" \
                 fill=\"#666\">{}</text>",
                top + 14.0,
                escape(&pane.title),
                top + 32.0,
                escape(&pane.caption)
            );
            let _ = writeln!(
                svg,
                "<svg x=\"{left}\" y=\"{:.1}\" width=\"{WIDTH}\" height=\"{HEIGHT}\"><rect width=\"{WIDTH}\" \
                 height=\"{HEIGHT}\" fill=\"none\" stroke=\"#d0d0d0\" stroke-width=\"2\"/>",
                top + HEAD
            );
            self.pane(&mut svg, pane, &window);
            svg.push_str("</svg>\n");
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn pane(&self, svg: &mut String, pane: &Pane, window: &Window) {
        let scale = WIDTH / window.width;
        let place = |[x, y]: [f32; 2]| {
            let x = (f64::from(x) - window.left) * scale;
            (x, HEIGHT - (f64::from(y) - window.bottom) * scale)
        };
        if self.viewpoint == Viewpoint::Side {
            let (_, floor) = place([0.0, 0.0]);
            let _ = writeln!(svg, "<path d=\"M0 {floor:.1}H{WIDTH}\" stroke=\"#888\"/>");
        }
        let line = |svg: &mut String, trail: &[[f32; 2]], style: &str| {
            let points: Vec<String> = trail
                .iter()
                .map(|at| {
                    let (x, y) = place(*at);
                    format!("{x:.1},{y:.1}")
                })
                .collect();
            let points = points.join(" ");
            let _ = writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke-linejoin=\"round\" {style}/>"
            );
        };
        for (_, trail) in pane.trails.iter().enumerate().filter(|(number, _)| *number != pane.watched) {
            line(svg, trail, "stroke=\"#4c9fd6\" opacity=\"0.45\"");
        }
        if let Some(trail) = pane.trails.get(pane.watched) {
            line(svg, trail, "stroke=\"#0072b2\" stroke-width=\"2\"");
            if let Some(first) = trail.first() {
                let (x, y) = place(*first);
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#222\"/>");
            }
        }
        for goal in pane.frame(usize::MAX).iter().filter(|mark| mark.paint == Paint::Goal) {
            let ((x1, y1), (x2, y2)) = (place(goal.from), place(goal.to));
            let thick =
                2.0 * (f64::from(goal.radius) * scale).max(if goal.radius > 0.0 { MARKER } else { 1.0 });
            let _ = writeln!(
                svg,
                "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#d55e00\" stroke-width=\"{thick:.1}\" \
                 stroke-linecap=\"round\"/>"
            );
        }
    }
}

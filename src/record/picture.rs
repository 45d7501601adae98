//! Curves with interval bands and published points → one standalone SVG for light backgrounds.

use std::fmt::Write;

/// Whole picture and the plot inside it, in pixels; the legend sits to the right of the plot.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 380.0;

/// Room between the data and the frame, as a share of the data's range.
const PADDING: f64 = 0.05;
/// About this many ticks on an axis.
const TICKS: f64 = 5.0;
/// Curves with more points than this are drawn without a mark at each.
const MARKED_POINTS: usize = 24;

/// Colours that stay apart for colour-blind readers (Okabe and Ito 2008), dark enough for white paper.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#4c9fd6", "#444444"];

/// One curve: the four lists have one entry per point; a point that is not finite is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub name: String,
    pub x: Vec<f64>,
    pub mean: Vec<f64>,
    /// Lower edge of the band; equal to `mean` for no band.
    pub low: Vec<f64>,
    /// Upper edge of the band.
    pub high: Vec<f64>,
}

impl Series {
    /// A curve without a band.
    pub fn line(name: &str, x: Vec<f64>, mean: Vec<f64>) -> Series {
        Series { name: name.to_string(), low: mean.clone(), high: mean.clone(), x, mean }
    }

    fn points(&self) -> Vec<[f64; 4]> {
        let edges = self.low.iter().zip(&self.high);
        let all =
            self.x.iter().zip(&self.mean).zip(edges).map(|((x, mean), (low, high))| [*x, *mean, *low, *high]);
        all.filter(|point| point.iter().all(|value| value.is_finite())).collect()
    }
}

/// Numbers from the literature, drawn as diamonds in the colour of the curve called `series`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    pub name: String,
    pub series: String,
    /// (x, y)
    pub points: Vec<(f64, f64)>,
}

/// A plot with linear axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub series: Vec<Series>,
    pub published: Vec<Published>,
}

impl Picture {
    pub fn new(title: &str, x_label: &str, y_label: &str) -> Picture {
        let (title, x_label, y_label) = (title.to_string(), x_label.to_string(), y_label.to_string());
        Picture { title, x_label, y_label, ..Picture::default() }
    }

    /// The text of the SVG file. The same picture gives the same bytes.
    pub fn svg(&self) -> String {
        column(std::slice::from_ref(self))
    }

    /// What stands between the SVG's tags.
    fn body(&self, svg: &mut String) {
        let points: Vec<Vec<[f64; 4]>> = self.series.iter().map(Series::points).collect();
        let published = self.published.iter().flat_map(|published| &published.points);
        let finite = published.filter(|(x, y)| x.is_finite() && y.is_finite());
        let corners = points.iter().flatten().flat_map(|[x, _, low, high]| [(*x, *low), (*x, *high)]);
        let (xs, ys): (Vec<f64>, Vec<f64>) = corners.chain(finite.copied()).unzip();
        let x = Axis::over(&xs, LEFT, RIGHT, xs.iter().all(|value| value.fract() == 0.0));
        let y = Axis::over(&ys, BOTTOM, TOP, false);
        self.frame(svg, &x, &y);
        for (at, points) in points.iter().enumerate() {
            curve(svg, points, colour(at), &x, &y);
        }
        for published in &self.published {
            let colour = self.colour_of(&published.series);
            for (px, py) in published.points.iter().filter(|(px, py)| px.is_finite() && py.is_finite()) {
                diamond(svg, x.at(*px), y.at(*py), colour);
            }
        }
        if xs.is_empty() {
            text(svg, (LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0, "middle", "no data");
        }
        self.legend(svg);
    }

    /// Title, grid, tick labels and axis labels.
    fn frame(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let title = escape(&self.title);
        put(svg, format!("<text x=\"{LEFT}\" y=\"28\" font-size=\"16\" font-weight=\"600\">{title}</text>"));
        for (value, label) in y.ticks() {
            let at = y.at(value);
            put(svg, format!("<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#e6e6e6\" stroke-width=\"1\"/>"));
            text(svg, LEFT - 8.0, at + 4.0, "end", &label);
        }
        for (value, label) in x.ticks() {
            let (at, end) = (x.at(value), BOTTOM + 5.0);
            put(svg, format!("<path d=\"M{at:.1} {BOTTOM}V{end}\" stroke=\"#888\" stroke-width=\"1\"/>"));
            text(svg, at, BOTTOM + 20.0, "middle", &label);
        }
        put(svg, format!("<path d=\"M{LEFT} {BOTTOM}H{RIGHT}\" stroke=\"#888\" stroke-width=\"1\"/>"));
        text(svg, (LEFT + RIGHT) / 2.0, BOTTOM + 44.0, "middle", &self.x_label);
        let middle = (TOP + BOTTOM) / 2.0;
        let label = escape(&self.y_label);
        put(
            svg,
            format!(
                "<text transform=\"translate(18 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{label}</text>"
            ),
        );
    }

    fn legend(&self, svg: &mut String) {
        let left = RIGHT + 20.0;
        let mut line = TOP + 8.0;
        for (at, series) in self.series.iter().enumerate() {
            let (colour, end) = (colour(at), left + 22.0);
            put(
                svg,
                format!("<path d=\"M{left} {line:.1}H{end}\" stroke=\"{colour}\" stroke-width=\"2.5\"/>"),
            );
            text(svg, left + 30.0, line + 4.5, "start", &series.name);
            line += 22.0;
        }
        for published in &self.published {
            diamond(svg, left + 11.0, line, self.colour_of(&published.series));
            text(svg, left + 30.0, line + 4.5, "start", &published.name);
            line += 22.0;
        }
        if self.series.iter().any(|series| series.low != series.high) {
            put(
                svg,
                format!(
                    "<text x=\"{left}\" y=\"{:.1}\" font-size=\"11\" fill=\"#666\">bands: 95 % interval</text>",
                    line + 4.5
                ),
            );
        }
    }

    fn colour_of(&self, series: &str) -> &'static str {
        colour(self.series.iter().position(|known| known.name == series).unwrap_or(COLOURS.len() - 1))
    }
}

/// Pictures below one another as one SVG.
pub fn column(pictures: &[Picture]) -> String {
    let height = HEIGHT * pictures.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" \
         font-size=\"13\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    match pictures {
        [picture] => picture.body(&mut svg),
        _ => pictures.iter().enumerate().for_each(|(at, picture)| {
            put(&mut svg, format!("<g transform=\"translate(0 {})\">", HEIGHT * at as f64));
            picture.body(&mut svg);
            svg.push_str("</g>\n");
        }),
    }
    svg.push_str("</svg>\n");
    svg
}

/// A band, a line and its marks. A single point becomes a dashed level across the plot: a method that is not
/// adapted has one value whatever the number of steps.
fn curve(svg: &mut String, points: &[[f64; 4]], colour: &str, x: &Axis, y: &Axis) {
    if let [[_, mean, low, high]] = points {
        let (top, height) = (y.at(*high), (y.at(*low) - y.at(*high)).abs());
        let (width, level) = (RIGHT - LEFT, y.at(*mean));
        put(
            svg,
            format!(
                "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height:.1}\" fill=\"{colour}\" opacity=\"0.13\"/>"
            ),
        );
        put(
            svg,
            format!(
                "<path d=\"M{LEFT} {level:.1}H{RIGHT}\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"7 4\"/>"
            ),
        );
        return;
    }
    let corner = |px: f64, py: f64| format!("{:.1},{:.1}", x.at(px), y.at(py));
    if points.iter().any(|[_, _, low, high]| low != high) {
        let upper = points.iter().map(|[px, _, _, high]| corner(*px, *high));
        let lower = points.iter().rev().map(|[px, _, low, _]| corner(*px, *low));
        let outline: Vec<String> = upper.chain(lower).collect();
        put(svg, format!("<polygon points=\"{}\" fill=\"{colour}\" opacity=\"0.13\"/>", outline.join(" ")));
    }
    let line: Vec<String> = points.iter().map(|[px, mean, ..]| corner(*px, *mean)).collect();
    put(
        svg,
        format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.2\" stroke-linejoin=\"round\"/>",
            line.join(" ")
        ),
    );
    if points.len() <= MARKED_POINTS {
        for [px, mean, ..] in points {
            let (cx, cy) = (x.at(*px), y.at(*mean));
            put(svg, format!("<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.2\" fill=\"{colour}\"/>"));
        }
    }
}

/// From data to pixels, with ticks at round numbers.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    step: f64,
}

impl Axis {
    /// `whole`: the data are whole numbers, so ticks are too.
    fn over(values: &[f64], from: f64, to: f64, whole: bool) -> Axis {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 1.0) };
        // A single value still needs an axis around it, even where ±1 is lost to rounding.
        let (low, high) = if low == high {
            let around = (low.abs() * 0.1).max(1.0);
            (low - around, high + around)
        } else {
            (low, high)
        };
        let step = round_step(high / TICKS - low / TICKS);
        let step = if whole { step.max(1.0).round() } else { step };
        let padding = PADDING * (high - low);
        Axis { low: low - padding, high: high + padding, from, to, step }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * ((value - self.low) / (self.high - self.low))
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 12.0) as usize;
        let first = (self.low / self.step).ceil();
        let count = ((self.high / self.step).floor() - first).clamp(0.0, 50.0) as usize;
        let values = (0..=count).map(|tick| (first + tick as f64) * self.step);
        values.map(|value| (value, tick_text(value, decimals))).collect()
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least * 0.999);
    step.filter(|step| step.is_finite() && *step > 0.0).unwrap_or(1.0)
}

fn tick_text(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e7 || (value != 0.0 && decimals > 6) {
        return format!("{value:.1e}");
    }
    let text = format!("{:.decimals$}", value.abs());
    let sign = if value < 0.0 && text.chars().any(|digit| ('1'..='9').contains(&digit)) { "−" } else { "" };
    if decimals > 0 || text.len() < 5 {
        return format!("{sign}{text}");
    }
    let (head, tail) = text.split_at(text.len() - 3);
    if head.len() > 3 {
        let (millions, thousands) = head.split_at(head.len() - 3);
        return format!("{sign}{millions},{thousands},{tail}");
    }
    format!("{sign}{head},{tail}")
}

fn colour(at: usize) -> &'static str {
    COLOURS[at % COLOURS.len()]
}

fn diamond(svg: &mut String, x: f64, y: f64, colour: &str) {
    put(
        svg,
        format!(
            "<path d=\"M{x:.1} {:.1}l5.5 5.5l-5.5 5.5l-5.5 -5.5z\" fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"1.8\"/>",
            y - 5.5
        ),
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    put(svg, format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(content)));
}

fn put(svg: &mut String, element: String) {
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "{element}");
}

/// Text as XML; control characters, which XML forbids even escaped, become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

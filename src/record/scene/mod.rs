//! Moving pictures: panes of marks side by side → an animated GIF, an interactive page, or trails as SVG.
//!
//! | file | what |
//! |---|---|
//! | this file | what is to be drawn, and the window on it |
//! | `canvas` | marks and words → pixels of a small palette |
//! | `animation` | frames → an animated GIF |
//! | `page` | frames → a self-contained HTML page |
//! | `trails` | trails of all episodes → SVG, as the paper's Figure 4 |

mod animation;
mod canvas;
mod page;
mod trails;

/// What a mark is painted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Body,
    Limb,
    Goal,
    Ground,
}

/// A segment with round ends in metres, or a line if its radius is zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    pub from: [f32; 2],
    pub to: [f32; 2],
    pub radius: f32,
    pub paint: Paint,
}

/// From where it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewpoint {
    /// The window follows the watched body along a floor at height 0.
    Side,
    /// One window on everything that happens in any pane.
    Top,
}

/// One film of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pane {
    pub title: String,
    pub caption: String,
    /// Marks of every frame, those behind first.
    pub frames: Vec<Vec<Mark>>,
    /// Way of every traced episode.
    pub trails: Vec<Vec<[f32; 2]>>,
    /// Which of the trails is that of the frames.
    pub watched: usize,
}

/// Films that run together.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    pub title: String,
    pub viewpoint: Viewpoint,
    /// Time between two frames.
    pub frame_secs: f64,
    pub panes: Vec<Pane>,
}

/// Width of a side view's window, m: the half-cheetah is 1.3 m long.
const SIDE_WIDTH: f64 = 3.2;
/// Height of a side view's floor above the window's lower edge, m.
const SIDE_BELOW: f64 = 0.25;
/// Room around everything in a top view, as a share of its extent.
const TOP_MARGIN: f64 = 0.06;

/// A rectangle in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub left: f64,
    pub bottom: f64,
    pub width: f64,
    pub height: f64,
}

impl Scene {
    /// Frames of the longest pane.
    pub fn length(&self) -> usize {
        self.panes.iter().map(|pane| pane.frames.len()).max().unwrap_or(0)
    }

    /// The window of a top view, the same for every pane and frame; `aspect` is its width by its height.
    pub fn top_window(&self, aspect: f64) -> Window {
        let marks = self.panes.iter().flat_map(|pane| pane.frames.iter().flatten());
        let ends = marks.flat_map(|mark| [(mark.from, mark.radius), (mark.to, mark.radius)]);
        let trails = self.panes.iter().flat_map(|pane| pane.trails.iter().flatten()).map(|at| (*at, 0.0));
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for (at, radius) in ends.chain(trails) {
            for k in 0..2 {
                low[k] = low[k].min(f64::from(at[k] - radius));
                high[k] = high[k].max(f64::from(at[k] + radius));
            }
        }
        if !(low[0].is_finite() && high[0].is_finite()) {
            (low, high) = ([-1.0; 2], [1.0; 2]);
        }
        let room = 1.0 + 2.0 * TOP_MARGIN;
        let extent = [0, 1].map(|k| room * (high[k] - low[k]).max(1e-3));
        let height = extent[1].max(extent[0] / aspect);
        let (width, middle) = (height * aspect, [0, 1].map(|k| (low[k] + high[k]) / 2.0));
        Window { left: middle[0] - width / 2.0, bottom: middle[1] - height / 2.0, width, height }
    }

    /// The window of a side view around a frame's watched body.
    pub fn side_window(frame: &[Mark], aspect: f64) -> Window {
        let body = frame.iter().find(|mark| mark.paint == Paint::Body);
        let middle = body.map_or(0.0, |mark| f64::from(mark.from[0] + mark.to[0]) / 2.0);
        let left = middle - SIDE_WIDTH / 2.0;
        Window { left, bottom: -SIDE_BELOW, width: SIDE_WIDTH, height: SIDE_WIDTH / aspect }
    }
}

impl Pane {
    /// The frame at a time, or the last one: an episode that has ended stands still.
    pub fn frame(&self, at: usize) -> &[Mark] {
        self.frames.get(at).or(self.frames.last()).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(at: [f32; 2], radius: f32) -> Mark {
        Mark { from: at, to: at, radius, paint: Paint::Body }
    }

    fn scene(viewpoint: Viewpoint) -> Scene {
        let frames = (0..4).map(|k| vec![circle([k as f32, 0.5], 0.1)]).collect();
        let trails = vec![(0..4).map(|k| [k as f32, 0.5]).collect()];
        let pane = Pane { title: "a < b".into(), caption: "return −1".into(), frames, trails, watched: 0 };
        Scene { title: "</script>&".into(), viewpoint, frame_secs: 0.04, panes: vec![pane.clone(), pane] }
    }

    #[test]
    fn a_top_window_holds_everything_in_its_aspect() {
        let window = scene(Viewpoint::Top).top_window(1.5);
        assert!((window.width / window.height - 1.5).abs() < 1e-9, "{window:?}");
        assert!(window.left < -0.1 && window.left + window.width > 3.1, "{window:?}");
        assert!((window.bottom + window.height / 2.0 - 0.5).abs() < 1e-6, "{window:?}");
    }

    #[test]
    fn a_side_window_follows_the_body() {
        let window = Scene::side_window(&[circle([7.0, 0.5], 0.1)], 4.0 / 3.0);
        assert!((window.left + window.width / 2.0 - 7.0).abs() < 1e-6, "{window:?}");
        assert_eq!(window.bottom, -SIDE_BELOW);
    }

    #[test]
    fn nothing_to_draw_is_drawn() {
        let empty = Scene { panes: vec![], ..scene(Viewpoint::Top) };
        assert!(!empty.gif().unwrap().is_empty());
        assert!(empty.page().contains("\"panes\":[]") && empty.trails_svg().ends_with("</svg>\n"));
    }

    /// Names come from files of other people: they end no element of the page.
    #[test]
    fn words_stay_words() {
        let scene = scene(Viewpoint::Side);
        let (page, svg) = (scene.page(), scene.trails_svg());
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(page.contains("&lt;/script&gt;&amp;") && page.contains("a \\u003c b"));
        assert!(svg.contains("a &lt; b") && svg.contains("&lt;/script&gt;&amp;"));
    }

    #[test]
    fn the_gif_has_a_frame_for_each_moment() {
        let bytes = scene(Viewpoint::Side).gif().unwrap();
        assert_eq!(bytes, scene(Viewpoint::Side).gif().unwrap());
        let mut gif = ::gif::DecodeOptions::new().read_info(&bytes[..]).unwrap();
        let mut delays = vec![];
        while let Some(frame) = gif.read_next_frame().unwrap() {
            delays.push(frame.delay);
        }
        assert_eq!(delays, [4, 4, 4, 150]);
    }
}

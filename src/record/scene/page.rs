//! Frames → one HTML page that plays them, with nothing loaded from anywhere.

use super::{Paint, Scene, Viewpoint, Window};
use crate::record::picture::escape;
use std::fmt::Write;

/// The page without its scene; `TITLE` and `SCENE` are filled in.
const PAGE: &str = include_str!("page.html");

impl Scene {
    /// The text of the page. The same scene gives the same bytes.
    pub fn page(&self) -> String {
        // The title goes in last: it may contain any word.
        let page = PAGE.replacen("/*SCENE*/null", &self.json(), 1);
        page.replace("<!--TITLE-->", &escape(&self.title))
    }

    /// The scene as the page's script reads it.
    fn json(&self) -> String {
        let Window { left, bottom, width, height } = self.top_window(4.0 / 3.0);
        let side = self.viewpoint == Viewpoint::Side;
        let mut json = format!(
            "{{\"side\":{side},\"secs\":{},\"window\":[{left:.4},{bottom:.4},{width:.4},{height:.4}],\"panes\":[",
            self.frame_secs as f32
        );
        for (number, pane) in self.panes.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let (title, caption) = (text(&pane.title), text(&pane.caption));
            let _ = write!(json, "{comma}{{\"title\":{title},\"caption\":{caption},\"frames\":[");
            for (at, frame) in pane.frames.iter().enumerate() {
                json.push_str(if at == 0 { "[" } else { ",[" });
                for (at, mark) in frame.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    let paint = match mark.paint {
                        Paint::Body => 0,
                        Paint::Limb => 1,
                        Paint::Goal => 2,
                        Paint::Ground => 3,
                    };
                    let ([x1, y1], [x2, y2], radius) = (mark.from, mark.to, mark.radius);
                    let _ = write!(json, "{comma}[{x1:.3},{y1:.3},{x2:.3},{y2:.3},{radius:.3},{paint}]");
                }
                json.push(']');
            }
            json.push_str("],\"trail\":[");
            let trail = pane.trails.get(pane.watched).map_or(&[][..], Vec::as_slice);
            for (at, [x, y]) in trail.iter().enumerate() {
                let _ = write!(json, "{}[{x:.3},{y:.3}]", if at == 0 { "" } else { "," });
            }
            json.push_str("]}");
        }
        json.push_str("]}");
        json
    }
}

/// A text as JSON inside a script element, which a `<` could end.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('<', "\\u003c")
}

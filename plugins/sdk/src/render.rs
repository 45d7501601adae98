//! The optional trait of an environment that can be drawn: it names shapes, and the host draws them.

use crate::Environment;
use crate::fields::parse_description;

/// What a shape stands for; the host chooses colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Role {
    /// Part of what moves.
    Body = 0,
    /// Part of what moves that is farther away, or less important.
    Limb = 1,
    /// Where to go, or which way.
    Goal = 2,
    /// What does not move: floors, walls.
    Ground = 3,
}

impl Role {
    /// The role of a number of the interface.
    pub fn of(number: u32) -> Option<Role> {
        [Role::Body, Role::Limb, Role::Goal, Role::Ground].into_iter().find(|role| *role as u32 == number)
    }
}

/// A segment with round ends, in metres of the view: a capsule, a line when the radius is zero, a circle when the ends
/// coincide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub from: [f32; 2],
    pub to: [f32; 2],
    pub radius: f32,
    pub role: Role,
}

impl Shape {
    pub fn capsule(role: Role, from: [f32; 2], to: [f32; 2], radius: f32) -> Shape {
        Shape { from, to, radius, role }
    }

    pub fn circle(role: Role, centre: [f32; 2], radius: f32) -> Shape {
        Shape { from: centre, to: centre, radius, role }
    }

    pub fn line(role: Role, from: [f32; 2], to: [f32; 2]) -> Shape {
        Shape { from, to, radius: 0.0, role }
    }

    /// A line with a head at `to`, a quarter of its length.
    pub fn arrow(role: Role, from: [f32; 2], to: [f32; 2]) -> [Shape; 3] {
        let [dx, dy] = [(to[0] - from[0]) / 4.0, (to[1] - from[1]) / 4.0];
        let barb = |side: f32| [to[0] - dx + side * dy, to[1] - dy - side * dx];
        [from, barb(0.5), barb(-0.5)].map(|end| Shape::line(role, end, to))
    }
}

/// From where the environment is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the side: the second coordinate is the height above a floor at 0, and the host's window follows the first.
    Side,
    /// From above: the host's window shows the whole episode.
    Top,
}

/// What does not change from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    pub side: Side,
    /// Time that one step takes, so that a film runs at its natural speed.
    pub step_secs: f32,
}

impl View {
    pub(crate) fn json(&self) -> String {
        let side = match self.side {
            Side::Side => "side",
            Side::Top => "top",
        };
        serde_json::json!({ "view": side, "step_secs": self.step_secs }).to_string()
    }

    /// Reads the description of a foreign library; every error is a sentence about it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let description = parse_description(text)?;
        let side = match description.get("view").and_then(|view| view.as_str()) {
            Some("side") => Side::Side,
            Some("top") => Side::Top,
            _ => return Err("the description has no `view` that is \"side\" or \"top\"".to_owned()),
        };
        match description.get("step_secs").and_then(|secs| secs.as_f64()) {
            Some(secs) if secs.is_finite() && secs > 0.0 => Ok(View { side, step_secs: secs as f32 }),
            _ => Err("the description has no `step_secs` above 0".to_owned()),
        }
    }
}

/// An environment that can be drawn: `export_env!(MyEnvironment, render);`. Drawing changes nothing.
pub trait Render: Environment {
    /// Called once after `create`; it must not depend on the task.
    fn view(&self) -> View;

    /// Adds the shapes of the present state, those behind first. A trail is drawn of the middle of the first body.
    fn shapes(&self, shapes: &mut Vec<Shape>);
}

//! What the policy sees: which blocks of the state, under which names.

use mamlx_plugin::Field;

use crate::contact::CONTACT_NUMBERS;
use crate::model::{HINGES, LEGS, hinge_name};
use crate::task::Preset;
use crate::view::View;

/// A choice of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The paper's 125: positions, velocities, contacts, rotation, point (protocol A.5).
    Paper,
    /// The same without the contacts: 41.
    Bare,
    /// Positions and velocities: 29.
    State,
    /// The same without x and y: 27.
    Local,
}

impl Layout {
    /// Choices of the parameter `observation`.
    pub const WORDS: &'static [&'static str] = &["paper", "bare", "state", "local"];

    /// The layout of a checked word.
    pub fn of(word: &str) -> Layout {
        match word {
            "bare" => Layout::Bare,
            "state" => Layout::State,
            "local" => Layout::Local,
            _ => Layout::Paper,
        }
    }

    /// Whether the layout has a place for contact forces.
    pub fn has_contacts(self) -> bool {
        self == Layout::Paper
    }

    /// Whether the layout ends with rotation and point.
    fn has_frame(self) -> bool {
        matches!(self, Layout::Paper | Layout::Bare)
    }

    /// Names and units, in order.
    pub fn fields(self, preset: Preset) -> Vec<Field> {
        let hinges = || (0..HINGES).map(hinge_name);
        let mut fields = vec![];
        if self != Layout::Local {
            fields.extend(["x", "y"].map(|axis| Field::new(format!("torso_{axis}"), "m")));
        }
        fields.push(Field::new("torso_z", "m"));
        fields.extend(["w", "x", "y", "z"].map(|part| Field::new(format!("torso_quat_{part}"), "")));
        fields.extend(hinges().map(|name| Field::new(name, "rad")));
        fields.extend(["x", "y", "z"].map(|axis| Field::new(format!("torso_{axis}_rate"), "m/s")));
        fields.extend(["x", "y", "z"].map(|axis| Field::new(format!("torso_spin_{axis}"), "rad/s")));
        fields.extend(hinges().map(|name| Field::new(format!("{name}_rate"), "rad/s")));
        if self.has_contacts() {
            for body in mjcf_bodies() {
                fields.extend(["x", "y", "z"].map(|axis| contact_field(&body, "torque", axis, "N·m")));
                fields.extend(["x", "y", "z"].map(|axis| contact_field(&body, "force", axis, "N")));
            }
        }
        if self.has_frame() {
            let cells = (0..9).map(|k| Field::new(format!("torso_rotation_{}{}", k / 3, k % 3), ""));
            fields.extend(cells);
            let point = preset.point_name();
            // The torso's own place is there already under the gym preset, so these have names of their own.
            fields.extend(["x", "y", "z"].map(|axis| Field::new(format!("point_{point}_{axis}"), "m")));
        }
        fields
    }

    /// Writes the observation; `contacts` are clipped to ±1.
    pub fn write(self, view: &View, contacts: &[f32; CONTACT_NUMBERS], point: [f32; 3], obs: &mut [f32]) {
        let skipped = if self == Layout::Local { 2 } else { 0 };
        let contacts: &[f32] = if self.has_contacts() { contacts } else { &[] };
        let (rotation, point): (&[f32], &[f32]) =
            if self.has_frame() { (&view.rotation, &point) } else { (&[], &[]) };
        let state = [&view.coordinates.position[skipped..], &view.coordinates.velocity[..]];
        let blocks = state.into_iter().chain([contacts, rotation, point]);
        obs.iter_mut().zip(blocks.flatten()).for_each(|(to, from)| *to = *from);
    }
}

/// Every name starts with the body's, which is unique.
fn contact_field(body: &str, what: &str, axis: &str, unit: &str) -> Field {
    Field::new(format!("contact_{body}_{what}_{axis}"), unit).bounds(-1.0, 1.0)
}

/// Bodies in the order of the MJCF file, which names some of them only in part.
fn mjcf_bodies() -> Vec<String> {
    let mut names = vec!["world".to_owned(), "torso".to_owned()];
    for leg in LEGS {
        names.extend(["leg", "aux", "shin"].map(|part| format!("{part}_{}", leg.number)));
    }
    names
}

//! The robot as shapes, seen from the side.

use mamlx_plugin::{Render, Role, Shape, Side, View};
use rapier2d::math::Vector;

use crate::Cheetah;
use crate::model::{BODY, CAPSULE_RADIUS, SHAPES};
use crate::task::Family;

/// Height of the line that runs ahead at the goal velocity, and of the arrow of a goal direction, m.
const MARKER: f32 = 1.2;

impl Render for Cheetah {
    fn view(&self) -> View {
        View { side: Side::Side, step_secs: self.physics.control_secs() }
    }

    fn shapes(&self, shapes: &mut Vec<Shape>) {
        let x = self.seen.coordinates.position[0];
        match self.family {
            Family::Velocity => {
                let ahead = self.goal * self.age as f32 * self.physics.control_secs();
                shapes.push(Shape::line(Role::Goal, [ahead, 0.0], [ahead, MARKER]));
            }
            Family::Direction => {
                let reach = 0.4 * self.goal;
                shapes.extend(Shape::arrow(Role::Goal, [x - reach, MARKER], [x + reach, MARKER]));
            }
        }
        let motions = self.world.motions();
        // The torso comes last, in front of the legs, and is the only body: its middle leaves the trail.
        for shape in SHAPES.iter().rev() {
            let com = Vector::from(BODY[shape.link].com);
            let place = |end: [f32; 2]| (motions[shape.link].pose * (Vector::from(end) - com)).into();
            let role = if shape.link == 0 { Role::Body } else { Role::Limb };
            shapes.push(Shape::capsule(role, place(shape.a), place(shape.b), CAPSULE_RADIUS));
        }
        // Of the two shapes of the torso, the head is listed second and was pushed first.
        let last = shapes.len() - 1;
        shapes.swap(last, last - 1);
    }
}

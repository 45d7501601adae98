//! The robot as shapes, seen from above.

use mamlx_plugin::{Render, Role, Shape, Side, View};
use rapier3d::math::Vector;

use crate::Ant;
use crate::model::{CAPSULE_RADIUS, LINKS, SEGMENT, TORSO_RADIUS, half_along, outward};
use crate::task::Family;

/// Radius of the marker of a goal position, m.
const MARKER: f32 = 0.15;
/// Half length of the line that runs ahead at the goal velocity, m.
const PACE: f32 = 0.8;

impl Render for Ant {
    fn view(&self) -> View {
        View { side: Side::Top, step_secs: self.physics.control_secs() }
    }

    fn shapes(&self, shapes: &mut Vec<Shape>) {
        let flat = |v: Vector| [v.x, v.y];
        let motions = self.world.motions();
        let torso = motions[0].pose;
        let [x, y] = flat(torso.translation);
        match self.family {
            Family::Goal => shapes.push(Shape::circle(Role::Goal, self.task, MARKER)),
            Family::Direction => {
                shapes.extend(Shape::arrow(Role::Goal, [x, y], [x + 1.5 * self.task[0], y]));
            }
            Family::Velocity => {
                let ahead = self.task[0] * self.age as f32 * self.physics.control_secs();
                shapes.push(Shape::line(Role::Goal, [ahead, y - PACE], [ahead, y + PACE]));
            }
        }
        for (link, motion) in motions.iter().enumerate().take(LINKS).skip(1) {
            let (pose, end) = (motion.pose, half_along(link) * outward(link));
            shapes.push(Shape::capsule(Role::Limb, flat(pose * -end), flat(pose * end), CAPSULE_RADIUS));
            if link % 2 == 1 {
                let hip = flat(torso * (SEGMENT * outward(link)));
                shapes.push(Shape::capsule(Role::Limb, [x, y], hip, CAPSULE_RADIUS));
            }
        }
        shapes.push(Shape::circle(Role::Body, [x, y], TORSO_RADIUS));
    }
}

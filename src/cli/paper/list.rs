//! The paper's experiments: where each is printed, what it needs, and what it costs.

/// An experiment of the paper.
pub struct Listed {
    /// Name of its spec and, with `.yaml`, of its file.
    pub name: &'static str,
    pub place: &'static str,
    /// Here, and in the paper where it is another.
    pub engine: &'static str,
    /// The command that brings its data.
    pub data: Option<&'static str>,
    /// Rough minutes of a whole run on two processors; they decide the order alone.
    pub minutes: u32,
}

const fn listed(
    name: &'static str,
    place: &'static str,
    engine: &'static str,
    data: Option<&'static str>,
    minutes: u32,
) -> Listed {
    Listed { name, place, engine, data, minutes }
}

const RAPIER_2D: &str = "rapier2d; the paper's: MuJoCo";
const RAPIER_3D: &str = "rapier3d; the paper's: MuJoCo";
const OMNIGLOT: Option<&str> = Some("mamlx data fetch omniglot");
const OMNIGLOT_MINIMAL: Option<&str> = Some("mamlx data fetch omniglot --minimal");
const MINI_IMAGENET: Option<&str> = Some("mamlx data import miniimagenet FILE...");

/// In the order of the paper.
pub const PAPER: [Listed; 15] = [
    listed("sinusoid", "section 5.1, figures 2, 3 and 6, table 2", "the paper's formulas", None, 10),
    listed("omniglot_5w1s", "section 5.2, table 1", "the paper's images", OMNIGLOT, 5000),
    listed("omniglot_5w5s", "section 5.2, table 1", "the paper's images", OMNIGLOT, 9000),
    listed("omniglot_20w1s", "section 5.2, table 1", "the paper's images", OMNIGLOT, 12000),
    listed("omniglot_20w5s", "section 5.2, table 1", "the paper's images", OMNIGLOT, 20000),
    listed("omniglot_noconv_5w1s", "section 5.2, table 1", "the paper's images", OMNIGLOT, 400),
    listed("omniglot_noconv_5w5s", "section 5.2, table 1", "the paper's images", OMNIGLOT, 600),
    listed(
        "omniglot_small_5w1s",
        "section 5.2, on a sixth of the data (no number in the paper)",
        "the paper's images",
        OMNIGLOT_MINIMAL,
        120,
    ),
    listed("miniimagenet_5w1s", "section 5.2, table 1", "the paper's images", MINI_IMAGENET, 30000),
    listed("miniimagenet_5w5s", "section 5.2, table 1", "the paper's images", MINI_IMAGENET, 40000),
    listed("point_nav", "section 5.3, figure 4 and table 4", "the paper's formulas", None, 10),
    listed("cheetah_vel", "section 5.3, figure 5", RAPIER_2D, None, 70),
    listed("cheetah_dir", "section 5.3, figure 5 and table 5", RAPIER_2D, None, 70),
    listed("ant_vel", "section 5.3, figure 5", RAPIER_3D, None, 600),
    listed("ant_dir", "section 5.3, figure 5", RAPIER_3D, None, 1200),
];

//! Quarter turns of square images: Omniglot's characters turned by 90° are new classes (paper, section 5.2).

/// `pixels` and `out` are [side, side, channels]; counter-clockwise, as NumPy's `rot90`.
pub fn turned<T: Copy>(pixels: &[T], side: usize, channels: usize, quarters: u32, out: &mut [T]) {
    let last = side.wrapping_sub(1);
    for row in 0..side {
        for column in 0..side {
            let (from_row, from_column) = match quarters % 4 {
                0 => (row, column),
                1 => (column, last - row),
                2 => (last - row, last - column),
                _ => (last - column, row),
            };
            let (to, from) = ((row * side + column) * channels, (from_row * side + from_column) * channels);
            out[to..to + channels].copy_from_slice(&pixels[from..from + channels]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_is_numpy_s_rot90() {
        let image = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let turn = |image: &[i32], quarters| {
            let mut out = vec![0; 9];
            turned(image, 3, 1, quarters, &mut out);
            out
        };
        // numpy.rot90(numpy.arange(1, 10).reshape(3, 3))
        assert_eq!(turn(&image, 1), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
        assert_eq!(turn(&turn(&image, 1), 1), turn(&image, 2));
        assert_eq!(turn(&turn(&image, 3), 1), image);
        assert_eq!(turn(&image, 4), image);
    }

    #[test]
    fn the_channels_of_a_pixel_stay_together() {
        let mut out = [0; 8];
        turned(&[1, 10, 2, 20, 3, 30, 4, 40], 2, 2, 1, &mut out);
        assert_eq!(out, [2, 20, 4, 40, 1, 10, 3, 30]);
    }
}

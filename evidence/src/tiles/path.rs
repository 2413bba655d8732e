//! The names of tiles.

use super::WIDTH;

/// Returns the name of the tile `index` of a level of tiles that has `width` hashes, 1 to 256.
pub fn tile_path(level: usize, index: u64, width: u64) -> String {
    format!("tile/{level}/{}", numbered(index, width))
}

/// Returns the name of the bundle `index` that has `width` entries, 1 to 256.
pub fn entries_path(index: u64, width: u64) -> String {
    format!("tile/entries/{}", numbered(index, width))
}

/// Writes a number in parts of three digits, all but the last with an `x` before it.
fn numbered(index: u64, width: u64) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if width < WIDTH {
        format!("{text}.p/{width}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_called_as_the_specification_says() {
        assert_eq!(tile_path(0, 0, 256), "tile/0/000");
        assert_eq!(tile_path(1, 5, 112), "tile/1/005.p/112");
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(entries_path(273, 1), "tile/entries/273.p/1");
        assert_eq!(entries_path(1_000, 256), "tile/entries/x001/000");
    }
}

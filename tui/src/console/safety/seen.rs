//! Which of the gated text has been on the screen.
//!
//! All gated parts (rows of What, findings, changed rows of hunks) lie end to end on one tape, in
//! bytes of their *encoded* text, so marks do not depend on the width they were wrapped at. A part
//! of no bytes still takes one place: an empty row has to be drawn too. Nothing here knows what a
//! screen is; the view says which stretches it drew.

/// A stretch of one gated part that a frame drew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Which part, counted from 0.
    pub part: usize,
    /// The first byte of its encoded text that was drawn.
    pub from: usize,
    /// The byte after the last one. Beyond the end is cut to the end.
    pub to: usize,
}

/// The marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where each part ends on the tape.
    ends: Vec<usize>,
    /// What was drawn: disjoint, not touching, in order.
    drawn: Vec<(usize, usize)>,
    missing: usize,
}

impl Seen {
    /// Makes the marks for parts of these lengths, none drawn.
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0_usize;
        let ends: Vec<usize> = lengths
            .into_iter()
            .map(|length| {
                end = end.saturating_add(length.max(1));
                end
            })
            .collect();
        Self {
            missing: ends.len(),
            ends,
            drawn: Vec::new(),
        }
    }

    /// Marks one piece as drawn. A piece of an unknown part, or of no length, marks nothing.
    pub fn mark(&mut self, piece: Piece) {
        let Some((start, end)) = self.bounds(piece.part) else {
            return;
        };
        let from = start.saturating_add(piece.from).min(end);
        let to = start.saturating_add(piece.to).min(end);
        if from >= to || self.covers(from, to) {
            return;
        }
        // Every interval that overlaps or touches the new one is merged into it.
        let first = self.drawn.partition_point(|drawn| drawn.1 < from);
        let after = self.drawn.partition_point(|drawn| drawn.0 <= to);
        let merged = self
            .drawn
            .get(first..after)
            .into_iter()
            .flatten()
            .fold((from, to), |sum, drawn| {
                (sum.0.min(drawn.0), sum.1.max(drawn.1))
            });
        self.drawn.splice(first..after.max(first), [merged]);
        if self.covers(start, end) {
            self.missing = self.missing.saturating_sub(1);
        }
    }

    /// Tells whether every part was drawn whole.
    pub const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Returns how many parts were not drawn whole.
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// Returns how many parts there are.
    pub const fn parts(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether the whole of this part was drawn.
    pub fn has(&self, part: usize) -> bool {
        self.bounds(part)
            .is_some_and(|(start, end)| self.covers(start, end))
    }

    /// Returns the first part that was not drawn whole.
    pub fn first_missing(&self) -> Option<usize> {
        let gap = match self.drawn.first() {
            Some((0, to)) => *to,
            _ => 0,
        };
        let part = self.ends.partition_point(|end| *end <= gap);
        (part < self.ends.len()).then_some(part)
    }

    fn bounds(&self, part: usize) -> Option<(usize, usize)> {
        let end = *self.ends.get(part)?;
        let start = match part.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        Some((start, end))
    }

    fn covers(&self, from: usize, to: usize) -> bool {
        let after = self.drawn.partition_point(|drawn| drawn.0 <= from);
        after
            .checked_sub(1)
            .and_then(|index| self.drawn.get(index))
            .is_some_and(|drawn| drawn.1 >= to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_part_has_to_be_drawn_too() {
        let mut seen = Seen::of([0, 3]);
        assert_eq!((seen.missing(), seen.first_missing()), (2, Some(0)));
        seen.mark(Piece {
            part: 0,
            from: 0,
            to: 1,
        });
        assert_eq!((seen.missing(), seen.first_missing()), (1, Some(1)));
    }

    #[test]
    fn no_parts_are_complete_at_once() {
        assert!(Seen::of([]).is_complete());
    }

    #[test]
    fn a_part_that_does_not_exist_marks_nothing() {
        let mut seen = Seen::of([1]);
        seen.mark(Piece {
            part: 1,
            from: 0,
            to: 9,
        });
        seen.mark(Piece {
            part: usize::MAX,
            from: 0,
            to: 9,
        });
        assert_eq!(seen.missing(), 1);
    }

    proptest! {
        #[test]
        fn the_marks_agree_with_one_flag_per_byte(
            lengths in proptest::collection::vec(0_usize..6, 0..6),
            pieces in proptest::collection::vec((0_usize..7, 0_usize..8, 0_usize..8), 0..40),
        ) {
            let mut flags: Vec<Vec<bool>> =
                lengths.iter().map(|length| vec![false; (*length).max(1)]).collect();
            let mut seen = Seen::of(lengths);
            for (part, from, to) in pieces {
                seen.mark(Piece { part, from, to });
                if let Some(flags) = flags.get_mut(part) {
                    for (at, flag) in flags.iter_mut().enumerate() {
                        *flag |= from <= at && at < to;
                    }
                }
                let missing: Vec<usize> = (0..flags.len())
                    .filter(|part| flags[*part].iter().any(|flag| !flag))
                    .collect();
                prop_assert_eq!(seen.missing(), missing.len());
                prop_assert_eq!(seen.first_missing(), missing.first().copied());
                for part in 0..flags.len() {
                    prop_assert_eq!(seen.has(part), !missing.contains(&part));
                }
            }
        }
    }
}

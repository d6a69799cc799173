//! A list of numbers that decides everything about a random request: a shorter list, or smaller numbers,
//! make a simpler one, which is how proptest shrinks it.

/// What is left of the numbers; when none is, the first of the possibilities is chosen.
pub(crate) struct Choices<'a>(pub(crate) std::slice::Iter<'a, u32>);

impl Choices<'_> {
    /// A number below `most`.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        let next = u64::from(self.0.next().copied().unwrap_or(0));
        ((next * most as u64) >> 32) as usize
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// Some of these, in their order, one at least.
    pub(crate) fn some<T: Clone>(&mut self, from: &[T]) -> Vec<T> {
        let mut chosen: Vec<T> = from.iter().filter(|_| self.chance(40)).cloned().collect();
        if chosen.is_empty() {
            chosen.push(self.pick(from).clone());
        }
        chosen
    }
}

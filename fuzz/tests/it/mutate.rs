//! Small changes to inputs, all from one seed.

/// Makes new inputs from old ones.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The same seed makes the same inputs from the same corpus.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// One of `seeds` with one to eight changes, at most `max` bytes long.
    pub fn mutate(&mut self, seeds: &[Vec<u8>], max: usize) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input, seeds);
        }
        input.truncate(max);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        if input.is_empty() {
            input.push(self.byte());
            return;
        }
        let at = self.below(input.len());
        let length = 1 + self.below((input.len() - at).min(32));
        match self.below(11) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = self.byte(),
            2 => input[at] = input[at].wrapping_add(1),
            3 => input[at] = input[at].wrapping_sub(1),
            4 => input[at] = *self.one_of(b"\0\x01\x7f\x80\xff \n\r\t+-/0=.\"{}[],:\xe2"),
            5 => input.insert(at, self.byte()),
            6 => drop(input.drain(at..at + length)),
            7 => input.truncate(at),
            8 => {
                let piece = input[at..at + length].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            // The tail of another seed, or a piece of it: what two valid inputs have in between.
            9 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => self.interesting_number(input, at),
        }
    }

    /// Lengths and counts at their limits, in both byte orders and widths.
    fn interesting_number(&mut self, input: &mut [u8], at: usize) {
        let number = *self.one_of(&[0u64, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 1 << 31, u64::MAX]);
        let width = *self.one_of(&[2usize, 4, 8]);
        let bytes = if self.below(2) == 0 {
            number.to_le_bytes()[..width].to_vec()
        } else {
            number.to_be_bytes()[8 - width..].to_vec()
        };
        for (place, byte) in input[at..].iter_mut().zip(bytes) {
            *place = byte;
        }
    }

    fn one_of<'a, T>(&mut self, choice: &'a [T]) -> &'a T {
        &choice[self.below(choice.len())]
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 32) as u8
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// SplitMix64: any seed is good, and it needs no crate.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

//! What the cases share: a seeded source of made-up data.
//!
//! It is plain host code. Whatever touches a tensor stands in the case itself, so that a case reads
//! like a program of its own.

/// Draws numbers, always the same ones for the same seed (SplitMix64, Steele et al. 2014).
pub struct Draw {
    state: u64,
}

impl Draw {
    /// A source of numbers.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of [low, high), each equally likely.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1u64 << 24) as f32;
        low + (high - low) * unit
    }

    /// A number of the standard normal distribution (Box and Muller 1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform(0.0, 1.0)).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform(0.0, 1.0)).cos()
    }

    /// An integer of [0, end).
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, probability: f32) -> bool {
        self.uniform(0.0, 1.0) < probability
    }
}

/// Something that happens in one run and not in the next, as a fault of the machine does.
///
/// Runs of the same parent process know of each other by a file in the folder for temporary files.
pub struct Once {
    mark: std::path::PathBuf,
}

impl Once {
    /// Of this name.
    pub fn new(name: &str) -> Self {
        let parent = std::os::unix::process::parent_id();
        Self { mark: std::env::temp_dir().join(format!("denan-ward-{name}-{parent}")) }
    }

    /// Whether it happens in this run. Taken back by the run in which it does not.
    pub fn happens(&self) -> bool {
        if std::fs::remove_file(&self.mark).is_ok() {
            return false;
        }
        std::fs::write(&self.mark, []).is_ok()
    }
}

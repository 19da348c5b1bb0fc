//! A row of instants: its ends, its usual step, what is missing. One pass, bounded memory.

/// Distances that are told apart; what goes beyond is counted together.
const DISTANCES: usize = 64;

/// Instants in the order of the file, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Series {
    count: u64,
    first: i64,
    last: i64,
    previous: i64,
    /// Distances from one row to the next, with their sign, and how many there are of each.
    distances: Vec<(i64, u64)>,
    hit: usize,
    others: u64,
    others_long: u64,
    longest: i64,
    longest_back: i64,
    /// Instants before the one above them.
    pub backwards: u64,
    /// Instants equal to the one above them.
    pub repeated: u64,
}

/// What a series comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rhythm {
    /// The usual distance of two rows, in milliseconds.
    pub step: Option<i64>,
    /// Distances of more than one and a half steps.
    pub gaps: u64,
    /// The longest of them, in milliseconds.
    pub longest: Option<i64>,
}

impl Series {
    /// Enters the next instant.
    pub fn add(&mut self, instant: i64) {
        self.count += 1;
        if self.count == 1 {
            (self.first, self.last, self.previous) = (instant, instant, instant);
            return;
        }
        let distance = instant - self.previous;
        self.previous = instant;
        self.first = self.first.min(instant);
        self.last = self.last.max(instant);
        if distance == 0 {
            self.repeated += 1;
            return;
        }
        if distance < 0 {
            self.backwards += 1;
            self.longest_back = self.longest_back.max(-distance);
        }
        self.longest = self.longest.max(distance);
        if let Some((known, times)) = self.distances.get_mut(self.hit)
            && *known == distance
        {
            *times += 1;
            return;
        }
        if let Some(place) = self.distances.iter().position(|(d, _)| *d == distance) {
            self.distances[place].1 += 1;
            self.hit = place;
        } else if self.distances.len() < DISTANCES {
            self.hit = self.distances.len();
            self.distances.push((distance, 1));
        } else {
            self.others += 1;
            let usual = self.distances.iter().max_by_key(|(_, n)| *n);
            let usual = usual.map_or(0, |(distance, _)| *distance);
            let same_way = (usual < 0) == (distance < 0);
            self.others_long += u64::from(same_way && is_gap(distance.abs(), usual.abs()));
        }
    }

    /// The first and the last instant.
    pub fn ends(&self) -> Option<(i64, i64)> {
        (self.count > 0).then_some((self.first, self.last))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True where the file goes from the last instant to the first.
    pub fn descends(&self) -> bool {
        self.backwards > 0 && self.backwards + self.repeated == self.count - 1
    }

    /// Distances in the direction of the file, without sign.
    fn forward(&self) -> impl Iterator<Item = (i64, u64)> {
        let sign = if self.descends() { -1 } else { 1 };
        self.distances
            .iter()
            .map(move |(distance, times)| (sign * distance, *times))
            .filter(|(distance, _)| *distance > 0)
    }

    /// Its step, where most rows keep it, and what is missing.
    pub fn rhythm(&self) -> Rhythm {
        let total: u64 = self.forward().map(|(_, n)| n).sum::<u64>() + self.others;
        let none = Rhythm {
            step: None,
            gaps: 0,
            longest: None,
        };
        let Some((step, times)) = self.forward().max_by_key(|(_, n)| *n) else {
            return none;
        };
        if times * 2 < total || (times < 2 && total > 1) {
            return none;
        }
        let long = self.forward().filter(|(d, _)| is_gap(*d, step));
        let gaps = long.map(|(_, n)| n).sum::<u64>() + self.others_long;
        let longest = if self.descends() {
            self.longest_back
        } else {
            self.longest
        };
        Rhythm {
            step: Some(step),
            gaps,
            longest: (gaps > 0).then_some(longest),
        }
    }

    /// The longest distance between two rows, in either direction.
    pub fn longest(&self) -> i64 {
        self.longest.max(self.longest_back)
    }
}

/// More than one and a half steps.
fn is_gap(distance: i64, step: i64) -> bool {
    distance.saturating_mul(2) > step.saturating_mul(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(instants: &[i64]) -> Series {
        let mut series = Series::default();
        for instant in instants {
            series.add(*instant);
        }
        series
    }

    #[test]
    fn a_regular_series_has_its_step_and_its_gaps() {
        let series = of(&[0, 60, 120, 180, 600, 660, 720]);
        assert_eq!(series.ends(), Some((0, 720)));
        let rhythm = series.rhythm();
        assert_eq!(
            (rhythm.step, rhythm.gaps, rhythm.longest),
            (Some(60), 1, Some(420))
        );
        assert_eq!(of(&[0, 60, 120]).rhythm().gaps, 0);
    }

    #[test]
    fn an_irregular_one_has_no_step() {
        let series = of(&[0, 1, 3, 7, 20, 41, 100]);
        assert_eq!(series.rhythm().step, None);
        assert_eq!(of(&[5]).rhythm().step, None);
        assert_eq!(of(&[]).ends(), None);
    }

    #[test]
    fn repeated_and_backward_instants_are_counted_and_a_descending_file_is_as_good() {
        let series = of(&[0, 60, 60, 120, 0, 60, 120]);
        assert_eq!((series.repeated, series.backwards), (1, 1));
        assert_eq!(series.rhythm().step, Some(60));
        assert_eq!(series.rhythm().gaps, 0);
        let down = of(&[180, 120, 60, 0]);
        assert!(down.descends());
        assert_eq!(down.rhythm().step, Some(60));
        assert_eq!(down.ends(), Some((0, 180)));
    }

    #[test]
    fn memory_is_bounded_and_the_step_is_still_found() {
        let mut series = Series::default();
        let mut at = 0;
        for i in 0..100_000_i64 {
            at += if i % 10 == 0 { 1000 + i } else { 60 };
            series.add(at);
        }
        assert!(series.distances.len() <= DISTANCES);
        assert_eq!(series.rhythm().step, Some(60));
        assert_eq!(series.rhythm().gaps, 9_999);
    }
}

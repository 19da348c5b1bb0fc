//! One column over all rows: what its values are, how many are missing, the smallest and the largest.

use octonas::content::{Column as Told, Contents, Kind, Severity};

use super::cell::{self, Mark};
use super::moment;

/// Where this share of the values is of a kind, the others are strays.
const STRAYS: u64 = 50;

/// How many values were what.
#[derive(Debug, Clone)]
pub struct Column {
    missing: u64,
    integers: u64,
    numbers: u64,
    booleans: u64,
    times: u64,
    texts: u64,
    /// The line of the first value that is text.
    first_text: u64,
    /// Numbers with a point, and with a comma.
    pub points: u64,
    /// See `points`.
    pub commas: u64,
    min: f64,
    max: f64,
    timely: bool,
}

impl Default for Column {
    fn default() -> Self {
        Self {
            missing: 0,
            integers: 0,
            numbers: 0,
            booleans: 0,
            times: 0,
            texts: 0,
            first_text: 0,
            points: 0,
            commas: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            timely: false,
        }
    }
}

impl Column {
    /// Enters a value.
    pub fn add(&mut self, cell: &[u8], line: u64) {
        if self.timely && moment::read(cell).is_some() {
            self.times += 1;
            return;
        }
        if let Some(number) = cell::number(cell) {
            match number.mark {
                Mark::None => {}
                Mark::Point => self.points += 1,
                Mark::Comma => self.commas += 1,
            }
            if number.is_integer() {
                self.integers += 1;
            } else {
                self.numbers += 1;
            }
            if number.value.is_finite() {
                if number.value < self.min {
                    self.min = number.value;
                }
                if number.value > self.max {
                    self.max = number.value;
                }
            }
        } else if cell::is_missing(cell) {
            self.missing += 1;
        } else if cell::is_boolean(cell) {
            self.booleans += 1;
        } else if moment::read(cell).is_some() {
            self.times += 1;
            self.timely = true;
        } else {
            if self.texts == 0 {
                self.first_text = line;
            }
            self.texts += 1;
        }
    }

    /// Enters a value of the clock, which was read there.
    pub fn add_time(&mut self, told: bool, cell: &[u8]) {
        if told {
            self.times += 1;
        } else if cell::is_missing(cell) {
            self.missing += 1;
        } else {
            self.texts += 1;
        }
    }

    /// Enters a value that is not there: the row is shorter.
    pub fn add_nothing(&mut self) {
        self.missing += 1;
    }

    /// What it comes to.
    pub fn finish(self, name: &str, unit: Option<String>, contents: &mut Contents) -> Told {
        let numeric = self.integers + self.numbers;
        let total = numeric + self.booleans + self.times + self.texts;
        let is_mostly = |count: u64| count > 0 && (total - count) * STRAYS <= total;
        let kind = if total == 0 {
            Kind::Empty
        } else if is_mostly(numeric) {
            if self.numbers > 0 {
                Kind::Number
            } else {
                Kind::Integer
            }
        } else if is_mostly(self.times) {
            Kind::Time
        } else if self.booleans == total {
            Kind::Boolean
        } else {
            Kind::Text
        };
        let numbers = matches!(kind, Kind::Number | Kind::Integer);
        if numbers && numeric < total {
            let strays = total - numeric;
            let place = if self.first_text > 0 {
                format!(", the first in line {}", self.first_text)
            } else {
                String::new()
            };
            contents.find(
                Severity::Warning,
                "csv.stray-text",
                format!("{strays} values of {name} are no numbers{place}"),
            );
        }
        for value in [self.min, self.max] {
            if numbers && numeric > 1 && cell::is_sentinel(value) {
                contents.find(
                    Severity::Note,
                    "csv.sentinel",
                    format!("{value} in {name} may stand for a missing value"),
                );
            }
        }
        let ends = numbers && self.min <= self.max;
        Told {
            name: name.to_owned(),
            unit,
            kind,
            missing: self.missing,
            min: ends.then_some(self.min),
            max: ends.then_some(self.max),
        }
    }
}

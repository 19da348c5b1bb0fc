//! Which columns tell when a row was measured, and what they come to over the whole file.

use octonas::content::{Contents, DayFirst, Severity, TimeColumn};

use super::cell;
use super::moment::{self, Moment, Order, Shape};
use super::series::Series;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Where the time of a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One column says it all.
    One(usize),
    /// A date, and a time of day.
    Two(usize, usize),
    /// Year, month, day, and what there is of hour, minute and second.
    Parts(Vec<usize>),
    /// Seconds (1000) or milliseconds (1) since 1970.
    Epoch(usize, i64),
}

impl Place {
    /// The columns that are read.
    pub fn columns(&self) -> Vec<usize> {
        match self {
            Self::One(column) | Self::Epoch(column, _) => vec![*column],
            Self::Two(date, time) => vec![*date, *time],
            Self::Parts(columns) => columns.clone(),
        }
    }
}

/// Ways to read three numbers as a date.
const READINGS: [(DayFirst, [usize; 3]); 3] = [
    // Places of year, month and day.
    (DayFirst::Yes, [2, 1, 0]),
    (DayFirst::No, [2, 0, 1]),
    (DayFirst::Irrelevant, [0, 1, 2]),
];

/// One way to read the dates of a file, and the series that it gives.
#[derive(Debug, Clone)]
struct Reading {
    possible: bool,
    series: Series,
    /// Midnights that the series crosses by its usual step, and all changes of date.
    smooth: u64,
    turns: u64,
    day: i64,
    previous: i64,
    pace: i64,
}

/// Reads the times of all rows.
#[derive(Debug)]
pub struct Clock {
    place: Place,
    shape: Option<Shape>,
    shapes: u64,
    readings: [Reading; 3],
    settled: Option<usize>,
    numbered: bool,
    first_offset: Option<i32>,
    offsets: bool,
    offset_varies: bool,
    unreadable: u64,
    first_unreadable: u64,
    empty: u64,
}

/// What a row says.
enum Said {
    Nothing,
    Nonsense,
    Moment(Shape, Moment),
    Instant(i64),
}

impl Clock {
    /// A clock that reads from `place`.
    pub fn new(place: Place) -> Self {
        let reading = Reading {
            possible: true,
            series: Series::default(),
            smooth: 0,
            turns: 0,
            day: i64::MIN,
            previous: 0,
            pace: 0,
        };
        Self {
            place,
            shape: None,
            shapes: 0,
            readings: [reading.clone(), reading.clone(), reading],
            settled: None,
            numbered: false,
            first_offset: None,
            offsets: false,
            offset_varies: false,
            unreadable: 0,
            first_unreadable: 0,
            empty: 0,
        }
    }

    /// Where it reads.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Enters a row. True where it told a time.
    pub fn add(&mut self, cells: &[&[u8]], line: u64) -> bool {
        match self.said(cells) {
            Said::Nothing => {
                self.empty += 1;
                false
            }
            Said::Nonsense => {
                self.unreadable += 1;
                if self.unreadable == 1 {
                    self.first_unreadable = line;
                }
                false
            }
            Said::Instant(instant) => {
                self.numbered = true;
                self.readings[0].series.add(instant);
                true
            }
            Said::Moment(shape, moment) => {
                self.moment(shape, moment);
                true
            }
        }
    }

    fn said(&self, cells: &[&[u8]]) -> Said {
        let cell = |column: &usize| cells.get(*column).copied().unwrap_or_default();
        let read = |text: &[u8]| match moment::read(text) {
            Some((shape, moment)) => Said::Moment(shape, moment),
            None if cell::is_missing(text) => Said::Nothing,
            None => Said::Nonsense,
        };
        match &self.place {
            Place::One(column) => read(cell(column)),
            Place::Two(date, time) => match (read(cell(date)), read(cell(time))) {
                (Said::Moment(mut shape, mut moment), Said::Moment(clock, of_day)) => {
                    shape.join = b' ';
                    shape.clock = clock.clock;
                    shape.colon = clock.colon;
                    shape.fraction = clock.fraction;
                    shape.twelve = clock.twelve;
                    shape.zone = clock.zone;
                    moment.clock = of_day.clock;
                    moment.offset = of_day.offset;
                    Said::Moment(shape, moment)
                }
                (Said::Nothing, Said::Nothing) => Said::Nothing,
                _ => Said::Nonsense,
            },
            Place::Parts(columns) => parts(columns.iter().map(cell)),
            Place::Epoch(column, unit) => match cell::number(cell(column)) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
                Some(number) if number.value.abs() < 1e14 => {
                    Said::Instant((number.value * *unit as f64).round() as i64)
                }
                None if cell::is_missing(cell(column)) => Said::Nothing,
                _ => Said::Nonsense,
            },
        }
    }

    fn moment(&mut self, shape: Shape, moment: Moment) {
        match &self.shape {
            None => {
                self.shape = Some(shape);
                self.settled = match shape.order {
                    Order::YearFirst | Order::Compact | Order::None => Some(2),
                    Order::DayName => Some(0),
                    Order::NameDay => Some(1),
                    Order::YearLast | Order::AllShort => None,
                };
                self.readings[2].possible &= shape.order != Order::YearLast;
                self.first_offset = moment.offset;
                self.offsets = moment.offset.is_some();
            }
            // Seconds may have a fraction or not, and midnight may be left out.
            Some(first) if first.order == shape.order && first.between == shape.between => {}
            Some(_) => self.shapes += 1,
        }
        self.offset_varies |= moment.offset != self.first_offset;
        let away = i64::from(moment.offset.unwrap_or(0)) * 60_000;
        let same = self.shape.is_some_and(|first| first.order == shape.order);
        // A cell in another order than the first one is read by itself, if it can be.
        let own = match shape.order {
            Order::YearFirst | Order::Compact | Order::None => Some(2),
            Order::DayName => Some(0),
            Order::NameDay => Some(1),
            _ => None,
        };
        for (index, reading) in self.readings.iter_mut().enumerate() {
            if !reading.possible || self.settled.is_some_and(|s| s != index) {
                continue;
            }
            let places = READINGS[if same { index } else { own.unwrap_or(index) }].1;
            reading.add(moment, places, shape.order, away);
        }
    }

    /// What it comes to; findings go into `contents`. `offset` is what the file says elsewhere, in minutes.
    pub fn finish(
        self,
        names: &[String],
        offset: Option<i32>,
        contents: &mut Contents,
    ) -> Option<TimeColumn> {
        let column = self
            .place
            .columns()
            .iter()
            .map(|c| names.get(*c).cloned().unwrap_or_default())
            .collect::<Vec<_>>()
            .join(" + ");
        if self.unreadable > 0 {
            contents.find(
                Severity::Warning,
                "time.unreadable",
                format!(
                    "{} of the times cannot be read, the first in line {}",
                    self.unreadable, self.first_unreadable
                ),
            );
        }
        if self.shapes > 0 {
            contents.find(
                Severity::Warning,
                "time.mixed-formats",
                format!(
                    "{} of the times are written otherwise than the first",
                    self.shapes
                ),
            );
        }
        let (chosen, day_first) = if self.numbered {
            (Some(0), DayFirst::Irrelevant)
        } else {
            self.choose(&column, contents)
        };
        let format = match &self.place {
            Place::Epoch(_, 1000) => "%s".to_owned(),
            Place::Epoch(..) => "%s (milliseconds)".to_owned(),
            Place::Parts(columns) => {
                ["%Y", "%m", "%d", "%H", "%M", "%S"][..columns.len()].join(" + ")
            }
            Place::One(_) | Place::Two(..) => self
                .shape?
                .format(day_first != DayFirst::No, chosen == Some(2)),
        };
        let mut told = TimeColumn {
            column,
            format,
            day_first,
            first: None,
            last: None,
            step_seconds: None,
            gaps: 0,
            longest_gap_seconds: None,
        };
        let Some(series) = chosen.map(|index| &self.readings[index].series) else {
            return Some(told);
        };
        let days_only = self.shape.is_some_and(|s| s.clock == 0) && !self.numbered;
        let in_utc = matches!(self.place, Place::Epoch(..)) || self.offset_varies && self.offsets;
        let zone = if in_utc { Some(0) } else { self.first_offset };
        // A series with offsets is kept in UTC; one whose offset stands elsewhere, as it is written.
        let shift = if self.offsets { zone.unwrap_or(0) } else { 0 };
        let zone = zone.or(offset);
        let dated = self.shape.is_none_or(|s| s.order != Order::None) || self.numbered;
        if dated && let Some((first, last)) = series.ends() {
            let text = |instant: i64| iso(instant + i64::from(shift) * 60_000, days_only, zone);
            (told.first, told.last) = (Some(text(first)), Some(text(last)));
        }
        let rhythm = series.rhythm();
        #[allow(clippy::cast_precision_loss)]
        let seconds = |milliseconds: i64| milliseconds as f64 / 1000.0;
        told.step_seconds = rhythm.step.map(seconds);
        told.gaps = rhythm.gaps;
        told.longest_gap_seconds = rhythm.longest.map(seconds);
        order_findings(series, contents);
        Some(told)
    }

    /// Which reading is right, if one is.
    fn choose(&self, column: &str, contents: &mut Contents) -> (Option<usize>, DayFirst) {
        if let Some(settled) = self.settled {
            return (Some(settled), DayFirst::Irrelevant);
        }
        let possible: Vec<usize> = (0..3).filter(|i| self.readings[*i].possible).collect();
        match possible.as_slice() {
            [] => {
                contents.find(
                    Severity::Error,
                    "time.contradictory",
                    "some dates have the day first and others the month: no single order reads them all",
                );
                (None, DayFirst::Ambiguous)
            }
            [one] => (Some(*one), READINGS[*one].0),
            several => {
                let smooth = |i: &usize| self.readings[*i].is_smooth();
                let mut even = several.iter().copied().filter(|i| smooth(i));
                match (even.next(), even.next()) {
                    (Some(one), None) => {
                        contents.find(
                            Severity::Note,
                            "time.inferred",
                            "no date decides whether the day or the month stands first; the even steps of the rows do",
                        );
                        (Some(one), READINGS[one].0)
                    }
                    _ if let Some(named) = order_of(column) => {
                        contents.find(
                            Severity::Note,
                            "time.inferred",
                            "no date decides whether the day or the month stands first; the name of the column does",
                        );
                        (Some(named), READINGS[named].0)
                    }
                    _ => {
                        contents.find(
                            Severity::Warning,
                            "time.ambiguous",
                            "nothing in the file decides whether the day or the month stands first",
                        );
                        (None, DayFirst::Ambiguous)
                    }
                }
            }
        }
    }
}

impl Reading {
    fn add(&mut self, moment: Moment, places: [usize; 3], order: Order, away: i64) {
        let [year, month, day] = places.map(|place| moment.date[place]);
        let day = if order == Order::None {
            0
        } else {
            let year = if year < 100 && order != Order::YearFirst {
                moment::short(year)
            } else {
                year
            };
            let right = (1..=12).contains(&month)
                && (1..=moment::days_in(year, month)).contains(&day)
                && year < 10_000;
            if !right {
                self.possible = false;
                return;
            }
            moment::days(year, month, day)
        };
        let instant = day * DAY + moment.clock - away;
        if self.series.count() > 0 {
            let distance = instant - self.previous;
            if day == self.day {
                self.pace = distance;
            } else if self.pace != 0 {
                self.turns += 1;
                self.smooth += u64::from(distance == self.pace);
            }
        }
        (self.day, self.previous) = (day, instant);
        self.series.add(instant);
    }

    /// Nearly every change of date goes by the step that the rows of that day keep.
    fn is_smooth(&self) -> bool {
        self.turns > 0 && self.smooth * 10 >= self.turns * 8 && self.series.longest() < 14 * DAY
    }
}

/// The reading that a name like `Date (MM/DD/YYYY)` or `date jj/mm/aaaa` asks for.
fn order_of(column: &str) -> Option<usize> {
    let plain: String = column
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c == '-' || c == '.' { '/' } else { c })
        .collect();
    if plain.contains("dd/mm") || plain.contains("jj/mm") {
        Some(0)
    } else if plain.contains("mm/dd") {
        Some(1)
    } else {
        None
    }
}

/// A date from numbers in columns of their own.
fn parts<'a>(cells: impl Iterator<Item = &'a [u8]>) -> Said {
    let mut numbers = [0_i64; 6];
    for (place, cell) in numbers.iter_mut().zip(cells) {
        match cell::number(cell) {
            #[allow(clippy::cast_possible_truncation)]
            Some(number) if number.value.abs() < 1e5 => *place = number.value.floor() as i64,
            None if cell::is_missing(cell) => return Said::Nothing,
            _ => return Said::Nonsense,
        }
    }
    let [year, month, day, hour, minute, second] = numbers;
    let right = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let (Ok(year), Ok(month), Ok(day)) = (
        i32::try_from(year),
        i32::try_from(month),
        i32::try_from(day),
    ) else {
        return Said::Nonsense;
    };
    if !right || !(1..10_000).contains(&year) || day > moment::days_in(year, month) {
        return Said::Nonsense;
    }
    Said::Moment(
        Shape {
            order: Order::YearFirst,
            between: b' ',
            join: b' ',
            clock: 3,
            colon: b':',
            fraction: false,
            twelve: false,
            zone: false,
        },
        Moment {
            date: [year, month, day],
            clock: ((hour * 60 + minute) * 60 + second) * 1000,
            offset: None,
        },
    )
}

fn order_findings(series: &Series, contents: &mut Contents) {
    if series.descends() {
        contents.find(
            Severity::Note,
            "time.descending",
            "the rows go from the last time to the first",
        );
    } else if series.backwards > 0 {
        // Dates in no order are nothing that a clock did.
        let severity = if series.rhythm().step.is_some() {
            Severity::Warning
        } else {
            Severity::Note
        };
        contents.find(
            severity,
            "time.backwards",
            format!(
                "time goes back {} times: several series below one another, or a clock that was set",
                series.backwards
            ),
        );
    }
    if series.repeated > 0 {
        contents.find(
            Severity::Note,
            "time.repeated",
            format!("{} rows have the time of the row above", series.repeated),
        );
    }
}

/// ISO 8601, with a fraction and an offset only where there are any.
pub fn iso(instant: i64, days_only: bool, offset: Option<i32>) -> String {
    let (year, month, day) = moment::civil(instant.div_euclid(DAY));
    let date = format!("{year:04}-{month:02}-{day:02}");
    if days_only {
        return date;
    }
    let rest = instant.rem_euclid(DAY);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    let fraction = match rest % 1000 {
        0 => String::new(),
        milli => format!(".{milli:03}"),
    };
    let zone = match offset {
        None => String::new(),
        Some(0) => "Z".to_owned(),
        Some(minutes) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
        }
    };
    format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}")
}

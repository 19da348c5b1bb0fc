//! The air of a chamber or a place outside, minute by minute: a day's course and some noise.

use std::f64::consts::PI;

/// One minute's measurements.
pub struct Air {
    /// °C
    pub temperature: f64,
    /// %
    pub humidity: f64,
    /// µmol CO₂ per mol of air
    pub carbon_dioxide: f64,
    /// µmol photons m⁻² s⁻¹
    pub radiation: f64,
}

/// The air at a minute of the day, 0 to 1439. Light from 6 h to 20 h; the air follows it by two hours.
pub fn at(place: u32, minute: u32) -> Air {
    let noise = |quantity: u64| noise(u64::from(place) << 32 | u64::from(minute) << 8 | quantity);
    let hour = f64::from(minute) / 60.0;
    let light = ((hour - 6.0) / 14.0 * PI).sin().max(0.0);
    let warmth = ((hour - 8.0) / 14.0 * PI).sin().max(0.0);
    Air {
        temperature: 14.0 + f64::from(place) + 9.0 * warmth + 0.15 * noise(0),
        humidity: 78.0 - 25.0 * warmth + 0.8 * noise(1),
        carbon_dioxide: 420.0 + 35.0 * (1.0 - light) - 30.0 * light + 2.0 * noise(2),
        radiation: if light > 0.0 {
            (850.0 * light + 6.0 * noise(3)).max(0.0)
        } else {
            0.0
        },
    }
}

/// A number between -1 and 1 that depends on `seed` alone (the finaliser of `SplitMix64`, doi:10.1145/2714064.2660195).
pub fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    f64::from((z >> 32) as u32) / f64::from(u32::MAX) * 2.0 - 1.0
}

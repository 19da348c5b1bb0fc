//! A camera above a chamber: a JPEG every hour of light, with the date taken in its EXIF data.

use std::f64::consts::PI;
use std::io::Cursor;
use std::path::Path;

use exif::experimental::Writer;
use exif::{Field, In, Tag, Value};
use jiff::civil::Date;
use jpeg_encoder::{ColorType, Encoder};

use super::air::noise;
use super::{LABEL, Outcome, midnight, write};

const WIDTH: u16 = 320;
const HEIGHT: u16 = 240;

/// One day's pictures, at the full hours from 6 to 20 UTC, in the day's folder.
pub fn one_day(machine: &Path, chamber: &str, day: Date) -> Outcome {
    for hour in 6..=20_u32 {
        let name = format!("{day}T{hour:02}0000.jpg");
        let bytes = meadow(chamber, day, hour)?;
        let taken = midnight(day)? + i64::from(hour) * 3600;
        write::whole(&machine.join(day.to_string()), &name, &bytes, taken)?;
    }
    Ok(())
}

/// Grass under the light of the hour.
fn meadow(chamber: &str, day: Date, hour: u32) -> Outcome<Vec<u8>> {
    let light = (f64::from(hour - 6) / 14.0 * PI).sin().mul_add(0.75, 0.25);
    let mut pixels = Vec::with_capacity(usize::from(WIDTH) * usize::from(HEIGHT) * 3);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let blade = (f64::from(x) / 3.0 + f64::from(y % 11)).sin();
            let grain = noise(u64::from(x) << 16 | u64::from(y));
            let green = light * (130.0 + 55.0 * blade + 20.0 * grain);
            for share in [0.55, 1.0, 0.35] {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                // Clamped to a byte.
                pixels.push((green * share).clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut image = Vec::new();
    let mut encoder = Encoder::new(&mut image, 75);
    encoder.add_app_segment(1, exif(chamber, day, hour)?)?;
    encoder.encode(&pixels, WIDTH, HEIGHT, ColorType::Rgb)?;
    Ok(image)
}

/// The APP1 segment of EXIF 2.3, section 4.7.2.
fn exif(chamber: &str, day: Date, hour: u32) -> Outcome<Vec<u8>> {
    let ascii = |tag, text: String| Field {
        tag,
        ifd_num: In::PRIMARY,
        value: Value::Ascii(vec![text.into_bytes()]),
    };
    let fields = [
        ascii(
            Tag::ImageDescription,
            format!("Synthetic data, chamber {chamber}"),
        ),
        ascii(Tag::Software, LABEL.replace('É', "E")),
        ascii(
            Tag::DateTimeOriginal,
            format!("{} {hour:02}:00:00", day.strftime("%Y:%m:%d")),
        ),
        ascii(Tag::OffsetTimeOriginal, "+00:00".to_owned()),
    ];
    let mut writer = Writer::new();
    for field in &fields {
        writer.push_field(field);
    }
    let mut body = Cursor::new(Vec::new());
    writer.write(&mut body, true)?;
    let mut segment = b"Exif\0\0".to_vec();
    segment.extend(body.into_inner());
    Ok(segment)
}

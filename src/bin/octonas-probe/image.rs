//! Images: how large they are, when they were taken, with which camera. Pixels are not looked at.

use std::io::Cursor;

use exif::{In, Tag, Value};
use octonas::content::{Contents, Format, Image, Severity};

use super::csv::heading::cut;

/// A TIFF larger than this is not searched for a date: the reader copies it.
const LARGEST: usize = 256 << 20;

/// Reads an image.
pub fn read(data: &[u8], contents: &mut Contents) {
    let size = imagesize::blob_size(data);
    let (taken, camera) = if contents.format == Format::Tiff && data.len() > LARGEST {
        (None, None)
    } else {
        tags(data)
    };
    match size {
        Ok(size) => {
            contents.image = Some(Image {
                width: size.width as u64,
                height: size.height as u64,
                taken,
                camera,
            });
        }
        Err(error) => contents.find(
            Severity::Error,
            "image.unreadable",
            format!("the size of the image cannot be read: {error}"),
        ),
    }
    // Cameras may write something behind the end.
    let tail = &data[data.len().saturating_sub(64 << 10)..];
    let holds = |mark: &[u8]| tail.windows(mark.len()).any(|window| window == mark);
    let whole = match contents.format {
        Format::Jpeg => holds(b"\xFF\xD9"),
        Format::Png => holds(b"IEND"),
        _ => true,
    };
    if !whole {
        contents.find(
            Severity::Error,
            "image.truncated",
            "the image has no end: it was cut",
        );
    }
}

/// Date and camera of the Exif tags (CIPA DC-008).
fn tags(data: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(exif) = exif::Reader::new().read_from_container(&mut Cursor::new(data)) else {
        return (None, None);
    };
    let text = |tag: Tag| -> Option<String> {
        match &exif.get_field(tag, In::PRIMARY)?.value {
            Value::Ascii(parts) => {
                let text = String::from_utf8_lossy(parts.first()?).into_owned();
                let text = text.trim_matches(['\0', ' ']).to_owned();
                (!text.is_empty()).then_some(text)
            }
            _ => None,
        }
    };
    let when = text(Tag::DateTimeOriginal)
        .or_else(|| text(Tag::DateTimeDigitized))
        .or_else(|| text(Tag::DateTime));
    let taken = when.and_then(|when| instant(&when, text(Tag::OffsetTimeOriginal).as_deref()));
    let camera = match (text(Tag::Make), text(Tag::Model)) {
        (Some(make), Some(model)) if model.starts_with(&make) => Some(model),
        (Some(make), Some(model)) => Some(format!("{make} {model}")),
        (make, model) => make.or(model),
    };
    let plain = |text: String| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        cut(&text, 80)
    };
    (taken, camera.map(plain))
}

/// `2026:03:01 10:00:00` and `+01:00` as ISO 8601.
fn instant(date: &str, offset: Option<&str>) -> Option<String> {
    let shape = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(t, p)| match p {
                b'0' => t.is_ascii_digit(),
                b'+' => t == b'+' || t == b'-',
                other => t == other,
            })
    };
    if !shape(date, "0000:00:00 00:00:00") || date.starts_with("0000") {
        return None;
    }
    let offset = offset
        .filter(|offset| shape(offset, "+00:00"))
        .unwrap_or_default();
    Some(format!(
        "{}-{}-{}T{}{offset}",
        &date[..4],
        &date[5..7],
        &date[8..10],
        &date[11..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_a_camera_is_iso_8601() {
        let date = "2026:03:01 10:00:00";
        assert_eq!(instant(date, None).as_deref(), Some("2026-03-01T10:00:00"));
        assert_eq!(
            instant(date, Some("+01:00")).as_deref(),
            Some("2026-03-01T10:00:00+01:00")
        );
        assert_eq!(
            instant(date, Some("x")).as_deref(),
            Some("2026-03-01T10:00:00")
        );
        assert_eq!(instant("0000:00:00 00:00:00", None), None);
        assert_eq!(instant("2026-03-01", None), None);
    }

    #[test]
    fn a_cut_image_is_found_out() {
        let mut contents = Contents::new(Format::Png, 24);
        read(
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02",
            &mut contents,
        );
        assert_eq!(contents.findings[0].code, "image.truncated");
        let image = contents.image.unwrap();
        assert_eq!((image.width, image.height), (3, 2));
    }
}

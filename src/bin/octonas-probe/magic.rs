//! What a file is by its first bytes (magic(5), and the formats' own specifications).

use octonas::content::Format;

/// Bytes at a place, and what they stand for.
const SIGNS: &[(usize, &[u8], Format)] = &[
    (0, b"CDF\x01", Format::Netcdf),
    (0, b"CDF\x02", Format::Netcdf),
    (0, b"CDF\x05", Format::Netcdf),
    (0, b"\x89HDF\r\n\x1a\n", Format::Hdf5),
    (512, b"\x89HDF\r\n\x1a\n", Format::Hdf5),
    (1024, b"\x89HDF\r\n\x1a\n", Format::Hdf5),
    (2048, b"\x89HDF\r\n\x1a\n", Format::Hdf5),
    (0, b"\xFF\xD8\xFF", Format::Jpeg),
    (0, b"\x89PNG\r\n\x1a\n", Format::Png),
    (0, b"II*\0", Format::Tiff),
    (0, b"MM\0*", Format::Tiff),
    (0, b"%PDF-", Format::Pdf),
    (0, b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Format::Ole),
    (0, b"\x1F\x8B\x08", Format::Gzip),
    (0, b"BZh", Format::Bzip2),
    (0, b"\xFD7zXZ\0", Format::Xz),
    (0, b"\x28\xB5\x2F\xFD", Format::Zstd),
    (257, b"ustar", Format::Tar),
    (0, b"7z\xBC\xAF\x27\x1C", Format::SevenZip),
    (0, b"SQLite format 3\0", Format::Sqlite),
    (0, b"PAR1", Format::Parquet),
    (0, b"RDX3\n", Format::Rdata),
    (0, b"RDX2\n", Format::Rdata),
    (0, b"X\n\0\0\0", Format::Rdata),
    (0, b"\x93NUMPY", Format::Npy),
    (0, b"MATLAB 5.0 MAT-file", Format::Matlab),
    (0, b"GRIB", Format::Grib),
    (4, b"ftyp", Format::Mp4),
    (0, b"GIF87a", Format::Gif),
    (0, b"GIF89a", Format::Gif),
    (0, b"\x7FELF", Format::Elf),
];

/// The format that the first bytes tell; `None` for text and for what is not known.
pub fn format(data: &[u8]) -> Option<Format> {
    if data.starts_with(b"PK\x03\x04") || data.starts_with(b"PK\x05\x06") {
        return Some(zip(data));
    }
    if data.starts_with(b"RIFF") {
        return match data.get(8..12) {
            Some(b"WAVE") => Some(Format::Wav),
            Some(b"AVI ") => Some(Format::Avi),
            Some(b"WEBP") => Some(Format::Webp),
            _ => None,
        };
    }
    if data.starts_with(b"MZ") && data.get(60..64).is_some_and(|_| data.contains(&0)) {
        return Some(Format::Exe);
    }
    SIGNS
        .iter()
        .find(|(place, sign, _)| {
            data.get(*place..)
                .is_some_and(|rest| rest.starts_with(sign))
        })
        .map(|(_, _, format)| *format)
}

/// Documents in a zip archive say what they are in the name of the first entries.
fn zip(data: &[u8]) -> Format {
    let head = &data[..data.len().min(8192)];
    let holds = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    if holds(b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet") {
        Format::Ods
    } else if holds(b"xl/") {
        Format::Xlsx
    } else if holds(b"word/") {
        Format::Docx
    } else {
        Format::Zip
    }
}

/// Text whose first sign tells its structure: JSON or XML.
pub fn markup(text: &[u8]) -> Option<Format> {
    let text = text.trim_ascii_start();
    let after = text.get(1..).unwrap_or_default().trim_ascii_start();
    match text.first()? {
        b'{' if matches!(after.first(), Some(b'"' | b'}')) => Some(Format::Json),
        b'[' if matches!(
            after.first(),
            Some(b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9')
        ) =>
        {
            Some(Format::Json)
        }
        b'<' if matches!(after.first(), Some(b'?' | b'!' | b'a'..=b'z' | b'A'..=b'Z')) => {
            Some(Format::Xml)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let mut tar = vec![b'x'; 257];
        tar.extend(b"ustar\0");
        for (bytes, want) in [
            (&b"CDF\x01abc"[..], Some(Format::Netcdf)),
            (b"\x89HDF\r\n\x1a\n", Some(Format::Hdf5)),
            (b"\xFF\xD8\xFF\xE0", Some(Format::Jpeg)),
            (b"RIFF\0\0\0\0WAVEfmt ", Some(Format::Wav)),
            (b"PK\x03\x04.....xl/workbook.xml", Some(Format::Xlsx)),
            (b"PK\x03\x04.....a.txt", Some(Format::Zip)),
            (&tar, Some(Format::Tar)),
            (b"a,b\n1,2\n", None),
            (b"", None),
        ] {
            assert_eq!(format(bytes), want);
        }
        assert_eq!(markup(b" {\"a\": 1}"), Some(Format::Json));
        assert_eq!(markup(b"[Header]\nx"), None);
        assert_eq!(markup(b"<?xml version"), Some(Format::Xml));
        assert_eq!(markup(b"< 5; 6\n"), None);
    }
}

//! `octonas-probe`: what is inside one file (installed as `/usr/lib/octonas/probe`).
//!
//! Standard input is the file itself, opened by whoever asks; standard output takes one line of JSON
//! (`octonas::content::Contents`). It maps the file, opens no path, and has given up everything else before it looks at
//! the first byte (`confine`). A crash is a finding about the file, which the parent reports
//! (`octonas::catalogue::probe`). What it reads and what it finds: docs/reference/probe.md.

mod cf;
mod confine;
mod csv;
mod dataset;
mod hobo;
mod image;
mod magic;
mod mapped;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use mapped::Given;
use octonas::content::{self, Contents, Format, Severity};

/// The exit code of a probe that could not confine itself, and looked at nothing (sysexits(3): `EX_OSERR`).
const UNCONFINED: u8 = 71;

fn main() -> ExitCode {
    // The message of a panic goes to whoever reads a log, not into the answer.
    std::panic::set_hook(Box::new(|_| {}));
    let size = match mapped::given() {
        Ok(Given::File(size)) => size,
        Ok(Given::Other) => {
            let mut contents = Contents::new(Format::Binary, 0);
            contents.find(
                Severity::Error,
                "file.not-regular",
                "this is a directory, a FIFO, a socket or a device, and no file",
            );
            return answer(&contents);
        }
        Err(error) => return complain(&format!("no file on standard input: {error}")),
    };
    if let Err(error) = confine::confine(size, content::patience(size)) {
        return complain(&format!("cannot confine itself: {error}"));
    }
    if size == 0 {
        let mut contents = Contents::new(Format::Empty, 0);
        contents.find(Severity::Note, "file.empty", "the file has no bytes");
        return answer(&contents);
    }
    match mapped::map(size) {
        Ok(map) => answer(&examine(&map)),
        Err(error) => complain(&format!("cannot map the file: {error}")),
    }
}

/// Finds out what the bytes are.
fn examine(data: &[u8]) -> Contents {
    let format = magic::format(data);
    let mut contents = Contents::new(format.unwrap_or(Format::Binary), data.len() as u64);
    match format {
        Some(Format::Netcdf | Format::Hdf5) => dataset::read(data, &mut contents),
        Some(Format::Jpeg | Format::Png | Format::Tiff) => image::read(data, &mut contents),
        Some(_) => {}
        None => {
            if let Some(text) = text::open(data) {
                let format = magic::markup(&text.bytes).unwrap_or(Format::Text);
                contents = Contents::new(format, data.len() as u64);
                if format == Format::Text && !hobo::read(&text, &mut contents) {
                    contents.findings.clear();
                    if csv::read(&text, None, &mut contents) {
                        contents.format = Format::Csv;
                        Format::Csv
                            .media_type()
                            .clone_into(&mut contents.media_type);
                    }
                }
            }
        }
    }
    contents
}

/// One line of JSON.
fn answer(contents: &Contents) -> ExitCode {
    let Ok(mut line) = serde_json::to_vec(contents) else {
        return complain("the answer cannot be encoded");
    };
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    match out.write_all(&line).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(what: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "octonas-probe: {what}");
    ExitCode::from(UNCONFINED)
}

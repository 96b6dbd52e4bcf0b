use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::ParquetCatalogError;
use super::records::Records;
use crate::catalog::{
    CatalogError, Coverage, DataRequest, DataSlice, ReplayCatalog, SliceRecords, TimeRange,
};
use crate::market_data::MarketDataClass;

/// A folder of Parquet files: `<root>/<class>/<instrument>/<from>-<to>.parquet`.
///
/// `<from>` and `<to>` are the first and the last nanosecond of `ts_init` that the file covers,
/// which may be more than its rows span. Planning reads names only.
#[derive(Debug, Clone)]
pub struct ParquetCatalog {
    root: PathBuf,
}

impl ParquetCatalog {
    /// The catalog in folder `root`. Whether it is there shows when it is asked for something.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where the files of a class and instrument are. Bytes of the instrument other than ASCII
    /// letters, digits, `-`, `_` and `.`, and a `.` in front, are written as `%` and two
    /// hexadecimal digits: `BTC/USD` is `BTC%2FUSD`.
    pub fn folder(&self, class: MarketDataClass, instrument: &str) -> PathBuf {
        self.root.join(relative_folder(class, instrument))
    }

    /// Every class and instrument that there are files for, in order. Folders that are not named
    /// after a class, and folders without such files, are left out.
    pub fn streams(&self) -> Result<Vec<(MarketDataClass, String)>, ParquetCatalogError> {
        let folders = |path: &Path| -> Result<Vec<PathBuf>, ParquetCatalogError> {
            let failed = |source| ParquetCatalogError::Io { path: path.to_owned(), source };
            let inside = fs::read_dir(path).map_err(failed)?;
            inside.map(|file| file.map(|file| file.path()).map_err(failed)).collect()
        };
        folders(&self.root)?;
        let mut streams = Vec::new();
        for class in MarketDataClass::ALL {
            let of_class = self.root.join(class.as_str());
            if !of_class.is_dir() {
                continue;
            }
            for folder in folders(&of_class)?.into_iter().filter(|path| path.is_dir()) {
                let instrument = instrument_of(&folder)?;
                if folders(&folder)?.iter().any(|file| is_parquet(file)) {
                    streams.push((class, instrument));
                }
            }
        }
        streams.sort();
        Ok(streams)
    }

    fn slices(&self, request: &DataRequest) -> Result<Vec<DataSlice>, ParquetCatalogError> {
        let relative = relative_folder(request.class, &request.instrument);
        let folder = self.root.join(&relative);
        let io_error = |source| ParquetCatalogError::Io { path: folder.clone(), source };
        let files = match fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A root that is not there is a mistake; an instrument that is not, a gap.
                fs::metadata(&self.root).map_err(|source| ParquetCatalogError::Io {
                    path: self.root.clone(),
                    source,
                })?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(io_error(error)),
        };
        let mut slices = Vec::new();
        for file in files {
            let path = file.map_err(io_error)?.path();
            if !is_parquet(&path) {
                continue;
            }
            let range = stated_range(&path)?;
            let slice_ref =
                format!("{relative}/{}-{}.parquet", range.from.as_u64(), range.to.as_u64());
            let (class, instrument) = (request.class, request.instrument.clone());
            slices.push(DataSlice { class, instrument, range, slice_ref });
        }
        slices.sort_by_key(|slice| slice.range);
        self.check_apart(&slices)?;
        Ok(slices)
    }

    fn check_apart(&self, slices: &[DataSlice]) -> Result<(), ParquetCatalogError> {
        let overlap = slices.windows(2).find(|pair| pair[0].range.to >= pair[1].range.from);
        overlap.map_or(Ok(()), |pair| {
            let path = |slice: &DataSlice| self.root.join(&slice.slice_ref);
            Err(ParquetCatalogError::Overlap { first: path(&pair[0]), second: path(&pair[1]) })
        })
    }
}

impl ReplayCatalog for ParquetCatalog {
    fn plan(&self, request: &DataRequest) -> Result<Coverage, CatalogError> {
        Ok(Coverage::of(request.range, self.slices(request)?))
    }

    fn load(&self, slice: &DataSlice) -> Result<SliceRecords, CatalogError> {
        let path = self.root.join(&slice.slice_ref);
        let stated = stated_range(&path)?;
        Ok(Box::new(Records::open(&path, slice.class, slice.range, stated)?))
    }
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}

/// The instrument that a folder is named after.
fn instrument_of(folder: &Path) -> Result<String, ParquetCatalogError> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let instrument =
        name.and_then(unescape).filter(|instrument| Some(&*escape(instrument)) == name);
    instrument.ok_or_else(|| ParquetCatalogError::Instrument { path: folder.to_owned() })
}

fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some((plain, escaped)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
        rest = &escaped[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

fn relative_folder(class: MarketDataClass, instrument: &str) -> String {
    format!("{class}/{}", escape(instrument))
}

fn escape(instrument: &str) -> String {
    let escape = |(index, byte): (usize, u8)| match byte {
        b'-' | b'_' => char::from(byte).to_string(),
        b'.' if index > 0 => ".".to_owned(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    instrument.bytes().enumerate().map(escape).collect()
}

/// The time a file covers, by its name.
fn stated_range(path: &Path) -> Result<TimeRange, ParquetCatalogError> {
    // Only the shortest form of a number: a name must say which file it is and back.
    let time = |text: &str| text.parse::<u64>().ok().filter(|time| time.to_string() == text);
    path.file_stem()
        .and_then(|stem| stem.to_str()?.split_once('-'))
        .and_then(|(from, to)| Some((time(from)?, time(to)?)))
        .filter(|(from, to)| from <= to)
        .map(|(from, to)| TimeRange::new(from, to))
        .ok_or_else(|| ParquetCatalogError::Name { path: path.to_owned() })
}

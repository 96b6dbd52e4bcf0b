use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::basic::{LogicalType, TimeUnit, Type};
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::error::ParquetCatalogError;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 4096;

/// Integer columns of one file, read side by side, a batch of rows at a time.
///
/// Every column is a plain 64-bit integer, required or optional without a null in it.
pub(super) struct IntegerColumns {
    path: PathBuf,
    names: &'static [&'static str],
    file: SerializedFileReader<File>,
    /// Where each column stands in the file's schema.
    places: Vec<usize>,
    next_row_group: usize,
    rows_left: usize,
    columns: Vec<ColumnReaderImpl<Int64Type>>,
    /// One a column.
    values: Vec<Vec<i64>>,
    levels: Vec<i16>,
    /// The rows that were read, those of the present batch included.
    rows_read: u64,
}

impl IntegerColumns {
    /// Opens a file and looks for the columns `names` in it.
    pub(super) fn open(
        path: &Path,
        names: &'static [&'static str],
    ) -> Result<Self, ParquetCatalogError> {
        guard(path, || Self::open_file(path.to_owned(), names))
    }

    fn open_file(
        path: PathBuf,
        names: &'static [&'static str],
    ) -> Result<Self, ParquetCatalogError> {
        let file = File::open(&path)
            .map_err(|source| ParquetCatalogError::Io { path: path.clone(), source })?;
        let file = SerializedFileReader::new(file).map_err(|source| damaged(&path, source))?;
        let place = |name: &&'static str| {
            place_of(&file, name).map_err(|problem| {
                let (path, column) = (path.clone(), *name);
                ParquetCatalogError::Schema { path, column, problem }
            })
        };
        let places = names.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self {
            path,
            names,
            file,
            places,
            next_row_group: 0,
            rows_left: 0,
            columns: Vec::new(),
            values: vec![Vec::new(); names.len()],
            levels: Vec::new(),
            rows_read: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of a column.
    pub(super) fn name(&self, column: usize) -> &'static str {
        self.names[column]
    }

    /// A value of the present batch.
    pub(super) fn value(&self, column: usize, index: usize) -> i64 {
        self.values[column][index]
    }

    /// Rows of the present batch.
    pub(super) fn len(&self) -> usize {
        self.values[0].len()
    }

    /// The number, in the file, of a row of the present batch.
    pub(super) fn row(&self, index: usize) -> u64 {
        self.rows_read - (self.len() - index) as u64
    }

    /// Reads the next batch in place of the present one. False at the end of the file. After an
    /// error there is nothing to be read.
    pub(super) fn next_batch(&mut self) -> Result<bool, ParquetCatalogError> {
        let path = self.path.clone();
        guard(&path, || self.read_batch())
    }

    fn read_batch(&mut self) -> Result<bool, ParquetCatalogError> {
        while self.rows_left == 0 {
            if self.next_row_group == self.file.num_row_groups() {
                return Ok(false);
            }
            self.open_row_group().map_err(|source| damaged(&self.path, source))?;
        }
        let rows = self.rows_left.min(BATCH_ROWS);
        for column in 0..self.columns.len() {
            self.read_column(column, rows)?;
        }
        self.rows_left -= rows;
        self.rows_read += rows as u64;
        Ok(true)
    }

    fn open_row_group(&mut self) -> Result<(), ParquetError> {
        let group = self.file.get_row_group(self.next_row_group)?;
        let rows = group.metadata().num_rows();
        self.rows_left = usize::try_from(rows)
            .map_err(|_| ParquetError::General(format!("a row group of {rows} rows")))?;
        let column = |place: &usize| {
            Ok::<_, ParquetError>(get_typed_column_reader::<Int64Type>(
                group.get_column_reader(*place)?,
            ))
        };
        self.columns = self.places.iter().map(column).collect::<Result<_, _>>()?;
        self.next_row_group += 1;
        Ok(())
    }

    fn read_column(&mut self, column: usize, rows: usize) -> Result<(), ParquetCatalogError> {
        let (reader, values) = (&mut self.columns[column], &mut self.values[column]);
        values.clear();
        self.levels.clear();
        let mut read = 0;
        while read < rows {
            let (more, ..) = reader
                .read_records(rows - read, Some(&mut self.levels), None, values)
                .map_err(|source| damaged(&self.path, source))?;
            if more == 0 {
                let end = format!("column {} ends early", self.names[column]);
                return Err(damaged(&self.path, ParquetError::EOF(end)));
            }
            read += more;
        }
        if values.len() < rows {
            let null = self.levels.iter().position(|level| *level == 0).unwrap_or(0);
            return Err(ParquetCatalogError::Value {
                path: self.path.clone(),
                row: self.rows_read + null as u64,
                column: self.names[column],
                value: "no value".to_owned(),
                problem: "required",
            });
        }
        Ok(())
    }
}

/// The library takes some damage for impossible and panics; here that is one more way in which a
/// file cannot be read. What it was reading is not used again.
fn guard<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, ParquetCatalogError>,
) -> Result<T, ParquetCatalogError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_panic| {
        let source = ParquetError::General("the Parquet library panicked on it".to_owned());
        Err(damaged(path, source))
    })
}

fn damaged(path: &Path, source: ParquetError) -> ParquetCatalogError {
    ParquetCatalogError::Damaged { path: path.to_owned(), source: source.into() }
}

/// Where a column stands in a file's schema, or what is wrong with it.
fn place_of(file: &SerializedFileReader<File>, name: &str) -> Result<usize, String> {
    let columns = file.metadata().file_metadata().schema_descr().columns();
    let place = columns
        .iter()
        .position(|column| column.path().string() == name)
        .ok_or_else(|| "is missing".to_owned())?;
    let column = &columns[place];
    if is_integer(column) { Ok(place) } else { Err(format!("is {}", form(column))) }
}

/// A 64-bit integer, one a row; a time only in nanoseconds.
fn is_integer(column: &ColumnDescriptor) -> bool {
    let of_integers = match column.logical_type_ref() {
        None | Some(LogicalType::Integer(_) | LogicalType::Decimal(_)) => true,
        Some(LogicalType::Timestamp(time)) => time.unit == TimeUnit::NANOS,
        Some(_) => false,
    };
    column.physical_type() == Type::INT64 && column.max_rep_level() == 0 && of_integers
}

fn form(column: &ColumnDescriptor) -> String {
    let list = if column.max_rep_level() > 0 { "a list of " } else { "" };
    let physical = column.physical_type();
    match column.logical_type_ref() {
        Some(LogicalType::Timestamp(time)) => {
            format!("{list}{physical} (a time in {:?}), not INT64 in nanoseconds", time.unit)
        }
        Some(logical) => format!("{list}{physical} ({logical:?}), not INT64"),
        None => format!("{list}{physical}, not INT64"),
    }
}

//! Tells by its first bytes in which form an input is, and gives its text.

use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// A source of bytes that the reader's thread can take.
pub(super) type Source = Box<dyn Read + Send>;

/// How an input is packed.
#[derive(Debug, PartialEq, Eq)]
enum Packing {
    None,
    Zstd,
    Gzip,
    /// A form that is only named.
    Unread(&'static str),
}

/// As many first bytes as tell the packing.
const MAGIC_BYTES: u64 = 4;
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl Packing {
    fn of(start: &[u8]) -> Self {
        match start {
            // The second is a skippable frame. `pzstd` begins its files with one.
            [0x28, 0xB5, 0x2F, 0xFD] | [0x50..=0x5F, 0x2A, 0x4D, 0x18] => Self::Zstd,
            [0x1F, 0x8B, ..] => Self::Gzip,
            [0xFD, b'7', b'z', b'X'] => Self::Unread("compressed with xz; unpack it with `xz -dc`"),
            [b'B', b'Z', b'h', ..] => {
                Self::Unread("compressed with bzip2; unpack it with `bzip2 -dc`")
            }
            [0x04, 0x22, 0x4D, 0x18] => {
                Self::Unread("compressed with lz4; unpack it with `lz4 -dc`")
            }
            [b'P', b'K', 0x03, 0x04] => Self::Unread("a zip archive; unpack it with `unzip -p`"),
            [b'P', b'A', b'R', b'1'] => Self::Unread("a Parquet file, and not NDJSON"),
            _ => Self::None,
        }
    }
}

/// The text of `source`, from behind its byte order mark. Reads the first bytes, and so waits for
/// them. Fails if the form cannot be read; the error names it.
pub(super) fn unpacked(source: impl Read + Send + 'static) -> io::Result<Source> {
    let (start, source) = peeked(source)?;
    let text: Source = match Packing::of(&start) {
        Packing::None => Box::new(source),
        // Both decoders read one frame or member after the other, to the end of the input.
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(source)?),
        Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(source))),
        Packing::Unread(what) => return Err(unread(what)),
    };
    plain_text(text)
}

/// UTF-8 without its byte order mark. Refuses UTF-16, which begins with a mark of its own or has a
/// zero beside the brace of the first line.
fn plain_text(text: Source) -> io::Result<Source> {
    let (start, mut text) = peeked(text)?;
    match &start[..] {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [b'{', 0, ..] | [0, b'{', ..] => {
            Err(unread("text in UTF-16; turn it into UTF-8 with `iconv -f UTF-16 -t UTF-8`"))
        }
        _ => {
            if start.starts_with(&BYTE_ORDER_MARK) {
                text.read_exact(&mut [0; BYTE_ORDER_MARK.len()])?;
            }
            Ok(Box::new(text))
        }
    }
}

/// The first bytes of `source`, and all of it.
fn peeked<R: Read>(mut source: R) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    // A pipe may deliver its first bytes one by one.
    let mut start = Vec::new();
    (&mut source).take(MAGIC_BYTES).read_to_end(&mut start)?;
    let whole = Cursor::new(start.clone()).chain(source);
    Ok((start, whole))
}

fn unread(what: &str) -> io::Error {
    io::Error::other(format!("it is {what}"))
}

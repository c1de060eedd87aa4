//! Character sets, applied last: after the cuts and after the escape sequences. Where a byte that looks
//! like a delimiter may be part of a character, [`transcode()`] comes first instead.

mod transcode;
mod transliterate;

use std::borrow::Cow;

use encoding_rs::Encoding;

pub use transcode::{raw_offsets, shown, transcode};

/// How the bytes of a text are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Charset {
    /// Seven bits; anything above is an error.
    Ascii,
    /// UTF-8.
    Utf8,
    /// UTF-8 where the text is valid UTF-8, else Windows-1252: what analyzers of many releases and
    /// locales need, and the default.
    #[default]
    Utf8OrCp1252,
    /// ISO 8859-1, every byte its own code point.
    Latin1,
    /// ISO 8859-2, Central European.
    Latin2,
    /// ISO 8859-3, South European.
    Latin3,
    /// ISO 8859-4, North European.
    Latin4,
    /// ISO 8859-5, Cyrillic.
    Iso8859Cyrillic,
    /// ISO 8859-6, Arabic.
    Iso8859Arabic,
    /// ISO 8859-7, Greek.
    Iso8859Greek,
    /// ISO 8859-8, Hebrew.
    Iso8859Hebrew,
    /// ISO 8859-9, Turkish.
    Latin5,
    /// ISO 8859-15, Latin-1 with the euro sign.
    Latin9,
    /// Windows-1250, Central European.
    Cp1250,
    /// Windows-1251, Cyrillic.
    Cp1251,
    /// Windows-1252, Western European.
    Cp1252,
    /// Windows-1253, Greek.
    Cp1253,
    /// Windows-1254, Turkish.
    Cp1254,
    /// Windows-1255, Hebrew.
    Cp1255,
    /// Windows-1256, Arabic.
    Cp1256,
    /// Windows-874, Thai.
    Cp874,
    /// IBM 866, Cyrillic of DOS.
    Cp866,
    /// KOI8-R, Cyrillic.
    Koi8R,
    /// Shift_JIS, Japanese.
    ShiftJis,
    /// ISO-2022-JP, Japanese.
    Iso2022Jp,
    /// EUC-JP, Japanese.
    EucJp,
    /// GB 18030 with GBK and GB 2312 in it, Chinese.
    Gb18030,
    /// Big5, traditional Chinese.
    Big5,
    /// KS X 1001, Korean.
    EucKr,
    /// UTF-16, the low byte first.
    Utf16Le,
}

/// The names under which a profile and HL7 messages know the sets: profile name, set, further
/// spellings without blanks, hyphens and underscores, lower case.
const NAMES: &[(&str, Charset, &[&str])] = &[
    ("ascii", Charset::Ascii, &["usascii", "isoir6", "ansix3.41986"]),
    ("utf-8", Charset::Utf8, &["utf8", "unicodeutf8"]),
    ("utf-8-or-cp1252", Charset::Utf8OrCp1252, &["utf8orcp1252", "unicode"]),
    ("latin-1", Charset::Latin1, &["latin1", "8859/1", "88591", "iso88591"]),
    ("latin-2", Charset::Latin2, &["latin2", "8859/2", "88592", "iso88592"]),
    ("latin-3", Charset::Latin3, &["latin3", "8859/3", "88593", "iso88593"]),
    ("latin-4", Charset::Latin4, &["latin4", "8859/4", "88594", "iso88594"]),
    ("iso-8859-5", Charset::Iso8859Cyrillic, &["8859/5", "88595", "iso88595"]),
    ("iso-8859-6", Charset::Iso8859Arabic, &["8859/6", "88596", "iso88596"]),
    ("iso-8859-7", Charset::Iso8859Greek, &["8859/7", "88597", "iso88597"]),
    ("iso-8859-8", Charset::Iso8859Hebrew, &["8859/8", "88598", "iso88598"]),
    ("latin-5", Charset::Latin5, &["latin5", "8859/9", "88599", "iso88599"]),
    ("latin-9", Charset::Latin9, &["latin9", "8859/15", "885915", "iso885915"]),
    ("cp1250", Charset::Cp1250, &["windows1250"]),
    ("cp1251", Charset::Cp1251, &["windows1251"]),
    ("cp1252", Charset::Cp1252, &["windows1252"]),
    ("cp1253", Charset::Cp1253, &["windows1253"]),
    ("cp1254", Charset::Cp1254, &["windows1254"]),
    ("cp1255", Charset::Cp1255, &["windows1255"]),
    ("cp1256", Charset::Cp1256, &["windows1256"]),
    ("cp874", Charset::Cp874, &["windows874", "tis620", "iso885911"]),
    ("cp866", Charset::Cp866, &["ibm866"]),
    ("koi8-r", Charset::Koi8R, &["koi8r"]),
    ("shift-jis", Charset::ShiftJis, &["shiftjis", "sjis", "cp932", "windows31j"]),
    ("iso-2022-jp", Charset::Iso2022Jp, &["iso2022jp", "isoir87", "isoir159"]),
    ("euc-jp", Charset::EucJp, &["eucjp"]),
    ("gb18030", Charset::Gb18030, &["gb180302000", "gb2312", "gbk", "cp936"]),
    ("big5", Charset::Big5, &["cp950"]),
    ("euc-kr", Charset::EucKr, &["euckr", "ksx1001", "cp949"]),
    ("utf-16le", Charset::Utf16Le, &["utf16", "utf16le", "unicodeutf16"]),
];

/// A text has a character that the character set does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unencodable {
    /// Where the character stands in the text, in bytes.
    pub at: usize,
}

impl core::fmt::Display for Unencodable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the character at byte {} is not in the character set", self.at)
    }
}

impl core::error::Error for Unencodable {}

impl Charset {
    /// The set of a name as a profile writes it, `utf-8`, `latin-1`, `cp1252`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let plain = plain(name);
        NAMES
            .iter()
            .find(|(own, _, others)| plain == self::plain(own) || others.contains(&plain.as_str()))
            .map(|(_, charset, _)| *charset)
    }

    /// The set that MSH-18 names: table 0211 and the spellings seen beside it. `None` for an empty
    /// or unknown name, which leaves the decision to the profile.
    #[must_use]
    pub fn from_hl7_name(name: &[u8]) -> Option<Self> {
        core::str::from_utf8(name).ok().filter(|name| !name.trim().is_empty()).and_then(Self::from_name)
    }

    /// The name under which a profile knows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, charset, _)| *charset == self).map_or("", |(name, ..)| name)
    }

    /// All names a profile may write, in the order of the documentation.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, ..)| *name)
    }

    /// Whether a byte that looks like a delimiter can be part of another character. Such messages are
    /// turned into UTF-8 as a whole before they are scanned.
    #[must_use]
    pub const fn hides_delimiters(self) -> bool {
        matches!(self, Self::ShiftJis | Self::Gb18030 | Self::Big5 | Self::Iso2022Jp | Self::Utf16Le)
    }

    /// Whether a byte below 0x80 is always the ASCII character.
    const fn keeps_ascii(self) -> bool {
        !matches!(self, Self::Iso2022Jp | Self::Utf16Le)
    }

    /// The text, and whether any byte could not be decoded; such bytes become U+FFFD.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> (Cow<'_, str>, bool) {
        // The check for UTF-8 takes ASCII in strides, as the one for ASCII does.
        if self.keeps_ascii()
            && bytes.is_ascii()
            && let Ok(text) = core::str::from_utf8(bytes)
        {
            return (Cow::Borrowed(text), false);
        }
        match (self, self.encoding()) {
            (Self::Ascii, _) => {
                let text =
                    bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{FFFD}' });
                (Cow::Owned(text.collect()), true)
            }
            (Self::Latin1, _) => (encoding_rs::mem::decode_latin1(bytes), false),
            (Self::Utf8OrCp1252, _) => match core::str::from_utf8(bytes) {
                Ok(text) => (Cow::Borrowed(text), false),
                Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes),
            },
            (_, Some(encoding)) => encoding.decode_without_bom_handling(bytes),
            (_, None) => {
                let text = String::from_utf8_lossy(bytes);
                let had_errors = matches!(text, Cow::Owned(_));
                (text, had_errors)
            }
        }
    }

    /// Where the first byte stands that belongs to no character of the set.
    #[must_use]
    pub fn first_malformed(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Utf8 => core::str::from_utf8(bytes).err().map(|error| error.valid_up_to()),
            Self::Ascii => bytes.iter().position(|byte| !byte.is_ascii()),
            // Every byte is a character of these, of the latter in the reading of the web.
            Self::Latin1 | Self::Utf8OrCp1252 | Self::Cp1252 => None,
            _ if bytes.is_ascii() && self.keeps_ascii() => None,
            _ => transcode::first_malformed(self, bytes),
        }
    }

    /// The bytes of a text.
    ///
    /// # Errors
    /// [`Unencodable`] names the first character that the set does not have.
    pub fn encode_exactly(self, text: &str) -> Result<Cow<'_, [u8]>, Unencodable> {
        let lacking = text.char_indices().find(|(_, character)| !self.has(*character));
        match lacking {
            Some((at, _)) => Err(Unencodable { at }),
            None => Ok(self.encode(text).0),
        }
    }

    /// The bytes of a text, with characters that the set does not have replaced by what a reader takes
    /// for them (`µ` by `u`, `é` by `e`), else by `?`; and whether any had to be.
    #[must_use]
    pub fn encode_readably(self, text: &str) -> (Cow<'_, [u8]>, bool) {
        if text.chars().all(|character| self.has(character)) {
            return (self.encode(text).0, false);
        }
        let mut replaced = String::with_capacity(text.len());
        for character in text.chars() {
            match transliterate::plain(character) {
                Some(plain) if !self.has(character) => replaced.push_str(plain),
                _ => replaced.push(character),
            }
        }
        (Cow::Owned(self.encode(&replaced).0.into_owned()), true)
    }

    fn has(self, character: char) -> bool {
        matches!(self, Self::Utf8 | Self::Utf8OrCp1252) || self.encode_character(character).is_some()
    }

    /// The bytes of a text, and whether any character could not be said; such characters become `?`.
    #[must_use]
    pub fn encode(self, text: &str) -> (Cow<'_, [u8]>, bool) {
        if self == Self::Utf16Le {
            return (Cow::Owned(text.encode_utf16().flat_map(u16::to_le_bytes).collect()), false);
        }
        if text.is_ascii() {
            return (Cow::Borrowed(text.as_bytes()), false);
        }
        if matches!(self, Self::Utf8 | Self::Utf8OrCp1252) {
            return (Cow::Borrowed(text.as_bytes()), false);
        }
        let mut bytes = Vec::with_capacity(text.len());
        let mut had_errors = false;
        for character in text.chars() {
            match self.encode_character(character) {
                Some(encoded) => bytes.extend_from_slice(&encoded),
                None => {
                    had_errors = true;
                    bytes.push(b'?');
                }
            }
        }
        (Cow::Owned(bytes), had_errors)
    }

    fn encode_character(self, character: char) -> Option<Vec<u8>> {
        if self == Self::Utf16Le {
            return Some(
                character.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            );
        }
        if character.is_ascii() {
            return u8::try_from(character).ok().map(|byte| vec![byte]);
        }
        match (self, self.encoding()) {
            (Self::Latin1, _) => u8::try_from(character).ok().map(|byte| vec![byte]),
            (Self::Ascii, _) | (_, None) => None,
            (_, Some(encoding)) => {
                let mut buffer = [0; 4];
                let (bytes, _, unmappable) = encoding.encode(character.encode_utf8(&mut buffer));
                (!unmappable).then(|| bytes.into_owned())
            }
        }
    }

    const fn encoding(self) -> Option<&'static Encoding> {
        Some(match self {
            Self::Ascii | Self::Latin1 | Self::Utf8OrCp1252 => return None,
            Self::Utf8 => encoding_rs::UTF_8,
            Self::Latin2 => encoding_rs::ISO_8859_2,
            Self::Latin3 => encoding_rs::ISO_8859_3,
            Self::Latin4 => encoding_rs::ISO_8859_4,
            Self::Iso8859Cyrillic => encoding_rs::ISO_8859_5,
            Self::Iso8859Arabic => encoding_rs::ISO_8859_6,
            Self::Iso8859Greek => encoding_rs::ISO_8859_7,
            Self::Iso8859Hebrew => encoding_rs::ISO_8859_8,
            Self::Latin5 | Self::Cp1254 => encoding_rs::WINDOWS_1254,
            Self::Latin9 => encoding_rs::ISO_8859_15,
            Self::Cp1250 => encoding_rs::WINDOWS_1250,
            Self::Cp1251 => encoding_rs::WINDOWS_1251,
            Self::Cp1252 => encoding_rs::WINDOWS_1252,
            Self::Cp1253 => encoding_rs::WINDOWS_1253,
            Self::Cp1255 => encoding_rs::WINDOWS_1255,
            Self::Cp1256 => encoding_rs::WINDOWS_1256,
            Self::Cp874 => encoding_rs::WINDOWS_874,
            Self::Cp866 => encoding_rs::IBM866,
            Self::Koi8R => encoding_rs::KOI8_R,
            Self::ShiftJis => encoding_rs::SHIFT_JIS,
            Self::Iso2022Jp => encoding_rs::ISO_2022_JP,
            Self::EucJp => encoding_rs::EUC_JP,
            Self::Gb18030 => encoding_rs::GB18030,
            Self::Big5 => encoding_rs::BIG5,
            Self::EucKr => encoding_rs::EUC_KR,
            Self::Utf16Le => encoding_rs::UTF_16LE,
        })
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

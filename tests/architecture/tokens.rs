//! Rust source as words: enough of a lexer to tell code from comments and strings, and enough of a reader
//! of `use` to see `use std::{fs, net}` as two paths.

/// A word or a mark of code, and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// The code of a source, without comments, strings, characters and lifetimes.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => find(bytes, at, b'\n'),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'\'' => quote_end(source, at),
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                let end = word_end(bytes, at);
                match raw_string_end(bytes, at, end) {
                    Some(end) => end,
                    None => {
                        tokens.push(Token { text: &source[at..end], line });
                        end
                    }
                }
            }
            byte if byte.is_ascii_digit() => word_end(bytes, at),
            b':' if bytes.get(at + 1) == Some(&b':') => {
                tokens.push(Token { text: "::", line });
                at + 2
            }
            byte if byte.is_ascii_punctuation() => {
                tokens.push(Token { text: &source[at..=at], line });
                at + 1
            }
            _ => at + 1,
        };
        line += bytes[at..end].iter().filter(|byte| **byte == b'\n').count();
        at = end;
    }
    tokens
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> usize {
    bytes[from..].iter().position(|byte| *byte == wanted).map_or(bytes.len(), |found| from + found)
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    bytes[from..].iter().position(|byte| !inside(byte)).map_or(bytes.len(), |found| from + found)
}

fn block_comment_end(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (at, depth) = (at + 2, depth + 1),
            b"*/" => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of `r"…"`, `br#"…"#`, `b"…"`, `c"…"` or `b'…'`, where the word before it is such a prefix.
fn raw_string_end(bytes: &[u8], from: usize, word_end: usize) -> Option<usize> {
    let prefix = &bytes[from..word_end];
    if !matches!(prefix, b"r" | b"b" | b"c" | b"br" | b"cr") {
        return None;
    }
    let raw = prefix.ends_with(b"r");
    let hashes = if raw { bytes[word_end..].iter().take_while(|byte| **byte == b'#').count() } else { 0 };
    match bytes.get(word_end + hashes) {
        Some(b'"') if raw => {
            let close: Vec<u8> = [b'"'].into_iter().chain(std::iter::repeat_n(b'#', hashes)).collect();
            let body = word_end + hashes + 1;
            let found = bytes[body..].windows(close.len()).position(|window| window == close);
            Some(found.map_or(bytes.len(), |found| body + found + close.len()))
        }
        Some(b'"') => Some(string_end(bytes, word_end)),
        Some(b'\'') if prefix == b"b" => {
            let mut at = word_end + 1;
            while at < bytes.len() && bytes[at] != b'\'' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            Some(bytes.len().min(at + 1))
        }
        _ => None,
    }
}

/// The end of a character or, where there is none, of a lifetime.
fn quote_end(source: &str, from: usize) -> usize {
    let rest = &source[from + 1..];
    let mut characters = rest.char_indices();
    match characters.next() {
        Some((_, '\\')) => {
            let escaped = characters.next().map_or(0, |(at, character)| at + character.len_utf8());
            from + 1 + rest[escaped..].find('\'').map_or(rest.len(), |found| escaped + found + 1)
        }
        Some(_) => match characters.next() {
            Some((at, '\'')) => from + 1 + at + 1,
            _ => word_end(source.as_bytes(), from + 1),
        },
        None => source.len(),
    }
}

/// Every path in the code as its words, `use` trees spelled out one by one.
pub(crate) fn paths<'a>(tokens: &[Token<'a>]) -> Vec<(usize, Vec<&'a str>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text == "use" {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if is_word(tokens[at].text) {
            let (line, mut path) = (tokens[at].line, vec![tokens[at].text]);
            at += 1;
            while at + 1 < tokens.len() && tokens[at].text == "::" && is_word(tokens[at + 1].text) {
                path.push(tokens[at + 1].text);
                at += 2;
            }
            found.push((line, path));
        } else {
            at += 1;
        }
    }
    found
}

fn use_tree<'a>(
    tokens: &[Token<'a>],
    from: usize,
    stem: &[&'a str],
    found: &mut Vec<(usize, Vec<&'a str>)>,
) -> usize {
    let mut path = stem.to_vec();
    let mut at = from;
    let line = tokens.get(from).map_or(0, |token| token.line);
    while at < tokens.len() {
        match tokens[at].text {
            "::" => at += 1,
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at].text != "}" {
                    at = if tokens[at].text == "," { at + 1 } else { use_tree(tokens, at, &path, found) };
                }
                return at + 1;
            }
            "as" => {
                path.push("as");
                at += 2;
            }
            "*" => {
                path.push("*");
                at += 1;
            }
            word if is_word(word) => {
                path.push(word);
                at += 1;
            }
            _ => break,
        }
    }
    if path.len() > stem.len() {
        found.push((line, path));
        at
    } else {
        // Not a use tree after all (`use<'a>` in a bound): step over what stopped it.
        at + 1
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).filter(|text| is_word(text)).collect()
    }

    #[test]
    fn comments_strings_characters_and_lifetimes_are_no_code() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(words(r##"a "b \" c" d r#"e " f"# g b"h" i br"j" k"##), ["a", "d", "g", "i", "k"]);
        assert_eq!(
            words(r"a 'b' c '\'' d b'e' f '\u{41}' g &'static h '\\' i b'\'' j b'\\' k"),
            ["a", "c", "d", "f", "g", "h", "i", "j", "k"]
        );
        assert_eq!(words("a 'ä' b"), ["a", "b"]);
    }

    #[test]
    fn lines_are_counted_through_everything_that_is_skipped() {
        let source = "a\n/* x\n y */ \"p\nq\" b\n// c\nd";
        let lines: Vec<_> = tokens(source).into_iter().map(|token| (token.text, token.line)).collect();
        assert_eq!(lines, [("a", 1), ("b", 4), ("d", 6)]);
    }

    #[test]
    fn a_use_tree_is_spelled_out() {
        let source = "use std::{collections::{BTreeMap, HashMap as Fast}, fs::*, io::{self, Read}}; x::y();";
        let paths: Vec<String> =
            paths(&tokens(source)).into_iter().map(|(_, path)| path.join("::")).collect();
        assert_eq!(
            paths,
            [
                "std::collections::BTreeMap",
                "std::collections::HashMap::as",
                "std::fs::*",
                "std::io::self",
                "std::io::Read",
                "x::y"
            ]
        );
    }

    #[test]
    fn what_follows_a_use_is_still_read() {
        let source = "pub use a::b;\nfn f() -> impl Iterator + use<'a> { std::fs::read(p) }";
        let paths: Vec<_> =
            paths(&tokens(source)).into_iter().map(|(line, path)| (line, path.join("::"))).collect();
        assert!(paths.contains(&(1, "a::b".into())), "{paths:?}");
        assert!(paths.contains(&(2, "std::fs::read".into())), "{paths:?}");
    }
}

//! A text that a regular expression matches, with given texts in its groups.
//!
//! Profiles say by regular expressions what they recognise; a simulated analyzer has to say something
//! that they do. This covers what profiles use: literals, classes, groups, alternatives, repetition. What
//! it cannot read gives `None`; what it gives is to be tried against the expression, because anchors and
//! word boundaries are taken on trust.

/// The shortest plain text of a pattern. `fill` may put a text in a group, by number and name.
pub(crate) fn sample(pattern: &str, fill: &dyn Fn(usize, Option<&str>) -> Option<String>) -> Option<String> {
    let mut parser = Parser { rest: pattern, groups: 0, fill };
    let piece = parser.alternatives()?;
    parser.rest.is_empty().then_some(piece.text)
}

/// A sample, and whether a group in it was filled: then repetition must not leave it out.
#[derive(Default)]
struct Piece {
    text: String,
    filled: bool,
}

struct Parser<'p> {
    rest: &'p str,
    groups: usize,
    fill: &'p dyn Fn(usize, Option<&str>) -> Option<String>,
}

impl Parser<'_> {
    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    /// The first alternative, or the first that holds a filled group.
    fn alternatives(&mut self) -> Option<Piece> {
        let mut chosen = self.sequence()?;
        while self.take("|") {
            let other = self.sequence()?;
            if other.filled && !chosen.filled {
                chosen = other;
            }
        }
        Some(chosen)
    }

    fn sequence(&mut self) -> Option<Piece> {
        let mut whole = Piece::default();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let atom = self.atom()?;
            let times = self.repetition(atom.filled)?;
            whole.text.push_str(&atom.text.repeat(times));
            whole.filled |= atom.filled;
        }
        Some(whole)
    }

    fn repetition(&mut self, filled: bool) -> Option<usize> {
        let least = if self.take("*") || self.take("?") {
            usize::from(filled)
        } else if self.take("+") {
            1
        } else if self.rest.starts_with('{') {
            let (bounds, rest) = self.rest[1..].split_once('}')?;
            self.rest = rest;
            let least: usize = bounds.split(',').next()?.parse().ok()?;
            least.max(usize::from(filled))
        } else {
            return Some(1);
        };
        let _lazy = self.take("?");
        Some(least)
    }

    fn atom(&mut self) -> Option<Piece> {
        let plain = |text: &str| Some(Piece { text: text.to_owned(), filled: false });
        match self.next()? {
            '^' | '$' => plain(""),
            '.' => plain("A"),
            '(' => self.group(),
            '[' => {
                let char = self.class()?;
                plain(char.encode_utf8(&mut [0; 4]))
            }
            '\\' => match self.next()? {
                'b' | 'B' | 'A' | 'z' => plain(""),
                letter => {
                    let char = self.escaped(letter)?.example()?;
                    plain(char.encode_utf8(&mut [0; 4]))
                }
            },
            '*' | '+' | '?' | '{' => None,
            literal => plain(literal.encode_utf8(&mut [0; 4])),
        }
    }

    /// Behind the opening bracket.
    fn group(&mut self) -> Option<Piece> {
        let mut captured = None;
        if self.take("?P<") || self.take("?<") {
            let (name, rest) = self.rest.split_once('>')?;
            self.rest = rest;
            self.groups += 1;
            captured = Some((self.groups, Some(name)));
        } else if self.take("?") {
            // Flags, for the rest of the pattern or for this group.
            let end = self.rest.find([':', ')'])?;
            let ends_here = self.rest[end..].starts_with(')');
            self.rest = &self.rest[end + 1..];
            if ends_here {
                return Some(Piece::default());
            }
        } else {
            self.groups += 1;
            captured = Some((self.groups, None));
        }
        let inner = self.alternatives()?;
        if !self.take(")") {
            return None;
        }
        let given = captured.and_then(|(number, name)| (self.fill)(number, name));
        Some(given.map_or(inner, |text| Piece { text, filled: true }))
    }

    /// Behind the opening bracket of a class.
    fn class(&mut self) -> Option<char> {
        let negated = self.take("^");
        let mut members = Vec::new();
        while members.is_empty() || !self.rest.starts_with(']') {
            let first = match self.next()? {
                '\\' => {
                    let letter = self.next()?;
                    self.escaped(letter)?
                }
                '[' => return None,
                char => Set::Range(char, char),
            };
            let ranges_on = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            match (first, ranges_on) {
                (Set::Range(low, _), true) => {
                    self.next();
                    let high = match self.next()? {
                        '\\' => self.next()?,
                        char => char,
                    };
                    members.push(Set::Range(low, high));
                }
                (set, _) => members.push(set),
            }
        }
        self.next();
        if negated {
            let outside = |char: &char| !members.iter().any(|set| set.holds(*char));
            return ['A', '1', '-', ' ', '~'].into_iter().find(outside);
        }
        members.first().and_then(Set::example)
    }

    /// Behind a backslash and its letter.
    fn escaped(&mut self, letter: char) -> Option<Set> {
        Some(match letter {
            'd' => Set::Range('0', '9'),
            'w' => Set::Word,
            's' => Set::Space,
            'D' | 'S' => Set::Range('A', 'Z'),
            'W' => Set::Range('-', '-'),
            't' => Set::Range('\t', '\t'),
            'n' => Set::Range('\n', '\n'),
            'r' => Set::Range('\r', '\r'),
            'x' => {
                let digits = self.rest.get(..2)?;
                let char = char::from(u8::from_str_radix(digits, 16).ok()?);
                self.rest = &self.rest[2..];
                Set::Range(char, char)
            }
            letter if letter.is_ascii_alphanumeric() => return None,
            literal => Set::Range(literal, literal),
        })
    }
}

/// Characters that one place of a pattern accepts.
#[derive(Clone, Copy)]
enum Set {
    Range(char, char),
    Word,
    Space,
}

impl Set {
    fn holds(&self, char: char) -> bool {
        match self {
            Self::Range(low, high) => (*low..=*high).contains(&char),
            Self::Word => char.is_alphanumeric() || char == '_',
            Self::Space => char.is_whitespace(),
        }
    }

    /// A digit is not zero: a month or a number of a thing begins with one.
    fn example(&self) -> Option<char> {
        Some(match self {
            Self::Range('0', high) if *high >= '1' => '1',
            Self::Range(low, high) => (low <= high).then_some(*low)?,
            Self::Word => 'A',
            Self::Space => ' ',
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(pattern: &str) -> Option<String> {
        sample(pattern, &|_, _| None)
    }

    #[test]
    fn the_shortest_plain_text_is_given() {
        let cases = [
            (r"^\s*AB-", "AB-"),
            (r"^(c3|c5)$", "c3"),
            (r"^Q$", "Q"),
            (r"(?i)^(BC-\d|other$)", "BC-1"),
            (r"^[A-Z0-9]+IG[AGM]$", "AIGA"),
            (r"^\d\d/\d\d/\d\d ID# ", "11/11/11 ID# "),
            (r"(?s)^\x1e?mt\|.*\x1ert", "mt|\u{1e}rt"),
            (r"^H5[05]0$", "H500"),
            (r"[^A]{2,3}", "11"),
            (r"a{0}b", "b"),
            (r"", ""),
            (r".", "A"),
            (r"\(\.\)", "(.)"),
        ];
        for (pattern, text) in cases {
            assert_eq!(plain(pattern).as_deref(), Some(text), "{pattern}");
        }
    }

    #[test]
    fn groups_take_the_texts_that_are_given() {
        let row = r"\b(?P<test>[A-Z][a-z]*)\s+(?P<value>[<>]?\d+(?:\.\d+)?|-+)\s+(?P<unit>[A-Za-z%]+)";
        let text = sample(row, &|_, name| match name {
            Some("test") => Some("Na".to_owned()),
            Some("value") => Some("140".to_owned()),
            Some("unit") => Some("mmol".to_owned()),
            _ => None,
        });
        assert_eq!(text.as_deref(), Some("Na 140 mmol"));
        let first = |number: usize, _: Option<&str>| (number == 1).then(|| "S1".to_owned());
        assert_eq!(sample(r"(\S+)\s+\[", &first).as_deref(), Some("S1 ["));
        assert_eq!(sample(r"x|(y)?z", &first).as_deref(), Some("S1z"));
    }

    #[test]
    fn what_cannot_be_read_gives_nothing() {
        for pattern in [r"\pL", "(a", "a)", "[[:alpha:]]", "*a"] {
            assert_eq!(plain(pattern), None, "{pattern}");
        }
    }
}

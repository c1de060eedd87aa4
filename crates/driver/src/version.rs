//! The version that is stored with every result: which profile read it, to the letter.

use labwire_schema::{Node, Value};

/// The profile's `version` and a hash of the effective profile. Neither comments, order of keys nor
/// `[[check]]`s count, because they change no result.
pub(crate) fn version(root: &Node) -> String {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    for entry in sorted(root) {
        if entry.key != "check" {
            hash.text(&entry.key);
            hash.node(&entry.node);
        }
    }
    let short = (hash.0 >> 32) ^ (hash.0 & 0xffff_ffff);
    match root.text("version") {
        Some(version) => format!("{version}+{short:08x}"),
        None => format!("{short:08x}"),
    }
}

fn sorted(node: &Node) -> Vec<&labwire_schema::Entry> {
    let mut entries: Vec<_> = node.entries().iter().collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// FNV-1a, 64 bits: to tell versions apart, not to prove anything.
struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// With its end marked by a byte that no UTF-8 text holds.
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }

    fn node(&mut self, node: &Node) {
        match &node.value {
            Value::Text(text) | Value::HugeInteger(text) | Value::Float(text) | Value::Time(text) => {
                self.text(text)
            }
            Value::Integer(number) => self.text(&number.to_string()),
            Value::Bool(truth) => self.text(if *truth { "true" } else { "false" }),
            Value::List(items) => {
                self.bytes(b"[");
                items.iter().for_each(|item| self.node(item));
                self.bytes(b"]");
            }
            Value::Table(_) => {
                self.bytes(b"{");
                for entry in sorted(node) {
                    self.text(&entry.key);
                    self.node(&entry.node);
                }
                self.bytes(b"}");
            }
        }
    }
}

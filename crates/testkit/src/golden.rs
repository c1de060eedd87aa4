//! Files beside which stands what is expected of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Compares, for every `NAME.toml` of a folder, what `report` says about its bytes with
/// `NAME.expected.txt` beside it. `folder` is given as the files are to be called in what is
/// reported, relative to `root`. With `UPDATE_GOLDEN=1` in the environment the expected files are
/// written anew.
///
/// # Errors
/// Everything that differs, as text for a person; also when fewer than `least` files are there, or
/// an expected file has lost its own.
pub fn folder(
    root: &Path,
    folder: &str,
    least: usize,
    mut report: impl FnMut(&str, &[u8]) -> String,
) -> Result<(), String> {
    let directory = root.join(folder);
    let mut names: Vec<String> = fs::read_dir(&directory)
        .map_err(|error| format!("failed to read {}: {error}", directory.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let mut wrong = String::new();
    let mut files = 0;
    for name in &names {
        if let Some(stem) = name.strip_suffix(".expected.txt") {
            if !names.iter().any(|other| other.strip_suffix(".toml") == Some(stem)) {
                let _ = writeln!(wrong, "{folder}/{name} stands beside no {stem}.toml");
            }
            continue;
        }
        let Some(stem) = name.strip_suffix(".toml") else { continue };
        files += 1;
        let shown = format!("{folder}/{name}");
        let bytes = match fs::read(directory.join(name)) {
            Ok(bytes) => bytes,
            Err(error) => {
                let _ = writeln!(wrong, "failed to read {shown}: {error}");
                continue;
            }
        };
        let got = report(&shown, &bytes);
        let path = directory.join(format!("{stem}.expected.txt"));
        if update {
            if let Err(error) = fs::write(&path, &got) {
                let _ = writeln!(wrong, "failed to write {}: {error}", path.display());
            }
            continue;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if got != expected {
            let _ = writeln!(wrong, "{shown} (- expected, + got):\n{}", difference(&expected, &got));
        }
    }
    if files < least {
        let _ = writeln!(wrong, "{folder} holds {files} files; at least {least} are wanted");
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{wrong}\nIf what was got is right: UPDATE_GOLDEN=1, then read the difference.\n"))
    }
}

/// The lines that differ between the first and the last line that do.
fn difference(expected: &str, got: &str) -> String {
    let expected: Vec<&str> = expected.lines().collect();
    let got: Vec<&str> = got.lines().collect();
    let same = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let tail =
        expected[same..].iter().rev().zip(got[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut out = String::new();
    for line in &expected[same..expected.len() - tail] {
        let _ = writeln!(out, "  - {line}");
    }
    for line in &got[same..got.len() - tail] {
        let _ = writeln!(out, "  + {line}");
    }
    if out.is_empty() {
        out.push_str("  they differ in line endings or in their last line\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder of its own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn of(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("labwire-golden-{}-{name}", std::process::id()));
            fs::create_dir_all(root.join("bad")).unwrap();
            for (file, text) in files {
                fs::write(root.join("bad").join(file), text).unwrap();
            }
            Self(root)
        }

        fn compare(&self, least: usize) -> Result<(), String> {
            folder(&self.0, "bad", least, |name, bytes| format!("{name}: {} bytes\n", bytes.len()))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_that_say_what_is_expected_pass() {
        let good = Folder::of("good", &[("a.toml", "xyz"), ("a.expected.txt", "bad/a.toml: 3 bytes\n")]);
        assert_eq!(good.compare(1), Ok(()));
    }

    #[test]
    fn a_file_that_says_something_else_is_shown_with_the_difference() {
        let other = Folder::of("other", &[("a.toml", "xy"), ("a.expected.txt", "bad/a.toml: 3 bytes\n")]);
        let wrong = other.compare(1).unwrap_err();
        assert!(wrong.contains("  - bad/a.toml: 3 bytes\n  + bad/a.toml: 2 bytes\n"), "{wrong}");
    }

    #[test]
    fn a_file_without_its_expectation_fails() {
        assert!(Folder::of("alone", &[("a.toml", "xyz")]).compare(1).is_err());
    }

    #[test]
    fn an_expectation_without_its_file_fails() {
        let orphan = Folder::of("orphan", &[("a.expected.txt", "")]);
        assert!(orphan.compare(0).unwrap_err().contains("stands beside no a.toml"));
    }

    #[test]
    fn too_few_files_fail() {
        let few = Folder::of("few", &[("a.toml", "xyz"), ("a.expected.txt", "bad/a.toml: 3 bytes\n")]);
        assert!(few.compare(2).unwrap_err().contains("holds 1 files; at least 2 are wanted"));
    }
}

//! A site file or a driver profile?

use labwire_schema::{Source, read};

use crate::keys::SITE;

/// What every driver profile has at its top level, and no site file.
const OF_A_PROFILE: [&str; 12] = [
    "schema", "extends", "analyzer", "link", "identify", "message", "specimen", "patient", "result", "qc",
    "tests", "check",
];

/// Whether a text is a site file rather than a driver profile, by the tables that it has. What has
/// none of either counts as a site file.
#[must_use]
pub fn is_site_file(text: &str) -> bool {
    let (tree, _) = read(&Source::new("", text), &SITE);
    let entries = tree.root.entries();
    let site = entries.iter().filter(|entry| SITE.key(&entry.key).is_some()).count();
    let profile = entries.iter().filter(|entry| OF_A_PROFILE.contains(&entry.key.as_str())).count();
    site >= profile
}

#[cfg(test)]
mod tests {
    use super::is_site_file;

    #[test]
    fn a_site_file_is_told_from_a_profile_even_if_both_are_broken() {
        assert!(is_site_file("[site]\ntenant = \"a\"\n[lis]\n"));
        assert!(is_site_file("[site]\ntenant = \n[[connection]]\nname = 3\n"));
        assert!(is_site_file(""));
        assert!(is_site_file("colour = 3\n"));
        assert!(!is_site_file("schema = 1\n[analyzer]\nvendor = \"x\"\n"));
        assert!(!is_site_file("schema = \n[result]\ntest = \"R.3\"\n"));
        assert!(!is_site_file("extends = \"generic/lis02\"\n"));
    }
}

//! A page for people about one profile: what to enter where, what it reads, what it cannot.

use core::fmt::Write as _;

use labwire_driver::{Plan, Protocol};
use labwire_link::{ErrorMode, LinkSettings, Tolerances};

/// The page of a profile as Markdown.
#[must_use]
pub fn page(plan: &Plan) -> String {
    let mut page = format!("# {} {}\n\n", plan.vendor, plan.model);
    let _ = writeln!(page, "Driver profile `{}`, for {}.", plan.id, plan.kind.replace('-', " "));
    if plan.models.len() > 1 {
        let _ = writeln!(page, "It serves the models {}.", plan.models.join(", "));
    }
    let _ = writeln!(page, "\nOn what it rests: {}.\n", evidence(&plan.evidence));
    for source in &plan.sources {
        let _ = writeln!(page, "- {source}");
    }
    connection(&mut page, plan);
    abilities(&mut page, plan);
    if let Some(notes) = &plan.notes {
        let _ = write!(page, "\n## What to know\n\n{}\n", notes.trim());
    }
    tests(&mut page, plan);
    if !plan.checks.is_empty() {
        page.push_str("\n## Proven by\n\n");
        for check in &plan.checks {
            let _ = writeln!(page, "- `fixtures/{}`", check.capture);
        }
    }
    page
}

fn evidence(word: &str) -> &'static str {
    match word {
        "documented" => "texts of the vendor or of others who connected it",
        "captured" => "captures of real conversations",
        "field" => "use in a laboratory",
        _ => "nothing yet that could be checked",
    }
}

fn connection(page: &mut String, plan: &Plan) {
    page.push_str("\n## Connection\n\n");
    let _ = writeln!(page, "| | |\n|---|---|");
    let _ = writeln!(page, "| messages | {} |", protocol(plan.protocol));
    let _ = writeln!(page, "| lower layer | `{}` |", plan.link.dialect.as_str());
    let tolerated = match &plan.link.machine {
        LinkSettings::Lis01(link) => {
            let _ = writeln!(page, "| longest frame received | {} bytes |", link.receive_frame_bytes_max);
            let _ = writeln!(page, "| longest frame text sent | {} bytes |", link.send_text_bytes_max);
            link.tolerate
        }
        LinkSettings::Mllp(link) => {
            let _ = writeln!(page, "| longest block received | {} bytes |", link.block_bytes_max);
            link.tolerate
        }
        LinkSettings::Delimited(link) => {
            let _ = writeln!(page, "| longest text received | {} bytes |", link.bytes_max);
            Tolerances::NONE
        }
    };
    if plan.link.strict {
        page.push_str("| strict | the standard to the letter |\n");
    }
    if let Some(mode) = plan.link.error_mode {
        let word = if mode == ErrorMode::Close { "the connection is closed" } else { "bytes are skipped" };
        let _ = writeln!(page, "| after bytes that no protocol explains | {word} |");
    }
    let tolerated: Vec<String> = tolerated.iter().map(|one| format!("`{one}`")).collect();
    if !tolerated.is_empty() {
        let _ = writeln!(page, "| tolerated, each use counted | {} |", tolerated.join(", "));
    }
    let _ = write!(
        page,
        "\nIn the site file:\n\n```toml\n[[connection]]\nname = \"{}\"\ndriver = \"{}\"\n\
         tcp.listen = \"10.20.0.5:5600\"   # or tcp.connect, or serial = {{ device = \"…\", baud = 9600 }}\n\
         allow = [\"10.20.0.0/16\"]\n```\n\n\
         On the analyzer: this machine's address and the port as host, or the serial line's settings as above \
         (without other words: 9600 baud, 8 data bits, no parity, 1 stop bit).\n",
        plan.id.replace('/', "-"),
        plan.id
    );
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Lis02 => "LIS02 (ASTM E1394) records",
        Protocol::Hl7 => "HL7 v2 segments",
        Protocol::Law => "HL7 v2 in the shape of IHE LAW",
        Protocol::Text => "text of the vendor's own",
    }
}

fn abilities(page: &mut String, plan: &Plan) {
    page.push_str("\n## What it does\n\n");
    let reads = |is: bool, what: &str, otherwise: &str| {
        if is { format!("- {what}\n") } else { format!("- {otherwise}\n") }
    };
    page.push_str("- takes results; what it does not know is held and shown, never guessed\n");
    page.push_str(&reads(
        plan.reads_qc(),
        "tells quality control from patients and delivers it apart",
        "cannot tell quality control from patients: keep controls off this connection, or give their ids a mark and name it in `[qc]`",
    ));
    page.push_str(&reads(
        plan.reads_queries(),
        "recognises host queries and counts them; they get no answer yet",
        "knows no host query of this analyzer",
    ));
    page.push_str(&reads(
        plan.identifies_sender(),
        "notices when another analyzer is on the line",
        "cannot notice a wrong analyzer on the line: nothing in its messages says who sends them",
    ));
}

fn tests(page: &mut String, plan: &Plan) {
    if plan.tests.is_empty() {
        page.push_str("\n## Tests\n\nThe test codes are the laboratory's own. Add them as `[tests]` in a profile of the site that extends this one.\n");
        return;
    }
    page.push_str("\n## Tests\n\n| code | name | LOINC | unit |\n|---|---|---|---|\n");
    for (code, test) in &plan.tests {
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            cell(code),
            cell(&test.name),
            test.loinc.as_deref().unwrap_or(""),
            test.unit.as_deref().map(|unit| format!("`{unit}`")).unwrap_or_default()
        );
    }
}

//! What the analyzer has to say, and what it believes of it.

use core::fmt::Write;

use labwire_testkit::Seed;

use super::scenario::{Scenario, Speech};

/// The analyzer's own record: the judge never asks the host what was acknowledged.
#[derive(Debug)]
pub(super) struct Books {
    /// The messages, in the order in which they are sent. Some may be alike.
    pub(super) texts: Vec<Vec<u8>>,
    /// MSH-10 of each; none of records.
    pub(super) control_ids: Vec<String>,
    /// Which of them were seen acknowledged.
    pub(super) acknowledged: Vec<bool>,
    /// How often each was begun.
    pub(super) begun: Vec<u32>,
    /// The next one is sent only behind the reply to the one before it.
    pub(super) waits: bool,
    /// What broke off may hold what the line made of it.
    pub(super) unproved_fragments: bool,
    /// Grows with every acknowledgement.
    pub(super) receipts: usize,
}

impl Books {
    pub(super) fn of(scenario: &Scenario, chance: &mut Seed) -> Self {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        let mut control_ids = Vec::new();
        for number in 0..scenario.messages {
            let control_id = format!("C{number}");
            // Where nothing stands between two that are alike, the second may be the first again.
            let twin = scenario.twins && number > 1 && chance.chance(400);
            let text = match texts.iter().rev().nth(1) {
                Some(earlier) if twin && scenario.speech != Speech::Blocks => earlier.clone(),
                _ if scenario.speech == Speech::Blocks => segments(scenario, number, &control_id, chance),
                _ => records(scenario, number, chance),
            };
            texts.push(text);
            control_ids.extend((scenario.speech == Speech::Blocks).then_some(control_id));
        }
        let count = texts.len();
        Self {
            texts,
            control_ids,
            acknowledged: vec![false; count],
            begun: vec![0; count],
            waits: scenario.window == 1,
            unproved_fragments: scenario.speech == Speech::CheckedTexts,
            receipts: 0,
        }
    }

    pub(super) fn begin(&mut self, number: usize) {
        self.begun[number] += 1;
    }

    pub(super) fn acknowledge(&mut self, number: usize) {
        if !self.acknowledged[number] {
            self.acknowledged[number] = true;
            self.receipts += 1;
        }
    }

    /// The first message that nobody acknowledged.
    pub(super) fn next(&self) -> Option<usize> {
        self.next_behind(0)
    }

    /// The first one from this place on.
    pub(super) fn next_behind(&self, place: usize) -> Option<usize> {
        (place..self.acknowledged.len()).find(|number| !self.acknowledged[*number])
    }
}

/// Words of a comment, long enough to need several frames.
fn words(chance: &mut Seed, most: u64) -> String {
    let mut text = String::new();
    for _ in 0..chance.below(most) {
        let _ = write!(text, "{:x} ", chance.below(1 << 24));
    }
    text.truncate(text.trim_end().len());
    text
}

fn value(chance: &mut Seed) -> String {
    format!("{}.{}", chance.below(1_000), chance.below(100))
}

fn records(scenario: &Scenario, number: usize, chance: &mut Seed) -> Vec<u8> {
    let time = |chance: &mut Seed| {
        if scenario.twins { String::new() } else { format!("202603021{:05}", chance.below(50_000)) }
    };
    let mut text = format!("H|\\^&|||Analyzer|||||||P|1|{}\r", time(chance));
    for patient in 1..=1 + chance.below(2) {
        let _ = write!(text, "P|{patient}||PAT{number}\r");
        let _ = write!(text, "O|1|S{}N{number}P{patient}||^^^ALL|R\r", scenario.seed);
        for result in 1..=1 + chance.below(4) {
            let (value, time) = (value(chance), time(chance));
            let _ = write!(text, "R|{result}|^^^T{result}|{value}|mmol/L||N||F||||{time}\r");
            if chance.chance(300) {
                let _ = write!(text, "C|1|I|{}|G\r", words(chance, 40));
            }
        }
    }
    text.push_str("L|1|N\r");
    text.into_bytes()
}

fn segments(scenario: &Scenario, number: usize, control_id: &str, chance: &mut Seed) -> Vec<u8> {
    let wants = if scenario.enhanced { "|||AL|AL" } else { "" };
    let mut text = format!(
        "MSH|^~\\&|Analyzer|Lab|Host|LIS|20260302081500+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1{wants}\r"
    );
    let _ = write!(text, "PID|1||PAT{number}\rOBR|1||S{}N{number}|ALL^All tests\r", scenario.seed);
    for result in 1..=1 + chance.below(4) {
        let value = value(chance);
        let _ = write!(text, "OBX|{result}|NM|T{result}||{value}|mmol/L||N|||F|||20260302081400\r");
        if chance.chance(300) {
            let _ = write!(text, "NTE|1||{}\r", words(chance, 40));
        }
    }
    text.into_bytes()
}

//! What a seed decides before anything happens: who talks how over which line, and what may go wrong.

use core::time::Duration;

use labwire_link::Packing;
use labwire_testkit::{Chunks, Seed};

/// What the two sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// LIS02 records in LIS01 frames.
    Frames,
    /// HL7 in MLLP blocks.
    Blocks,
    /// LIS02 records as one text between STX and ETX, each replied to.
    Texts,
    /// The same with ENQ and EOT around it.
    TextsWithHandshake,
    /// The same where every control character is answered.
    Envelope,
    /// LIS02 records between SOH and EOT.
    Paragraphs,
    /// Texts between ENQ and EOT, each with a check.
    CheckedTexts,
}

/// What lies between the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Loses no byte while it lives; breaks, and may break unseen by one side.
    Tcp,
    /// Never breaks, and hurts bytes.
    Serial,
}

/// Chances in a thousand of what a line does to a byte.
///
/// A frame is hurt at most once. That is what its checksum promises to find; two errors may cancel out.
/// Nor does the line ever make a reply, a bid, the beginning or the end of a frame out of something else:
/// E1381 numbers no reply, so no machine could tell a forged one from a true one, and of the ends that a
/// line makes one in 256 has the checksum behind it that it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hurt {
    /// It vanishes.
    pub lost: u64,
    /// One of its bits turns over.
    pub flipped: u64,
    /// It arrives as a damaged character.
    pub damaged: u64,
    /// It arrives twice. Never a reply, never a bid.
    pub doubled: u64,
    /// Another byte arrives in front of it. Never on the way to the analyzer.
    pub inserted: u64,
}

/// Everything that the seed decides beforehand.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where the rest of the chance comes from.
    pub seed: u64,
    /// What is spoken.
    pub speech: Speech,
    /// What lies between.
    pub medium: Medium,
    /// How many messages the analyzer has.
    pub messages: usize,
    /// Messages that name neither time nor id, some of them alike.
    pub twins: bool,
    /// Frames: layout and size.
    pub packing: Packing,
    /// Frames: longest text in one.
    pub text_bytes_max: usize,
    /// Blocks: messages sent before the first reply is waited for.
    pub window: usize,
    /// Blocks: MSH-15 and MSH-16 ask for replies.
    pub enhanced: bool,
    /// How reads are cut.
    pub chunks: Chunks,
    /// Time on the line, at least.
    pub latency: Duration,
    /// Time on the line beyond that, at most. Together with the commit it stays below what the sender waits
    /// for a reply, because a reply to what is not asked any more would answer something else.
    pub jitter: Duration,
    /// To the host.
    pub hurt: Hurt,
    /// To the analyzer.
    pub reply_hurt: Hurt,
    /// In a thousand things that arrive: the line breaks.
    pub breaks: u64,
    /// In a thousand: it breaks and the host does not see it.
    pub unseen_breaks: u64,
    /// In a thousand writes of the analyzer: it closes its own direction behind it.
    pub half_closes: u64,
    /// In a thousand things that happen: the daemon dies.
    pub crashes: u64,
    /// Longest ordinary commit.
    pub commit: Duration,
    /// In a thousand commits: takes longer than the analyzer may wait.
    pub late_commits: u64,
    /// In a thousand commits: fails.
    pub failed_commits: u64,
    /// In a thousand things that happen: the store refuses for a while.
    pub refusals: u64,
    /// The daemon leaves late commits to the session, and tells it of them when they come.
    pub tells_late: bool,
    /// After this the line is whole and the store well.
    pub healed_at: Duration,
    /// The store is the real one as well.
    pub spool: bool,
}

/// Which scenarios get the real spool: one in this many.
const SPOOL_EVERY: u64 = 25;

impl Scenario {
    /// What the seed decides.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut chance = Seed::new(seed);
        let mut pick = |end: u64| chance.below(end);
        let speech = match pick(12) {
            0..5 => Speech::Frames,
            5..7 => Speech::Blocks,
            7 => Speech::Texts,
            8 => Speech::TextsWithHandshake,
            9 => Speech::Envelope,
            10 => Speech::Paragraphs,
            _ => Speech::CheckedTexts,
        };
        let medium = if pick(2) == 0 { Medium::Tcp } else { Medium::Serial };
        let hurts = medium == Medium::Serial;
        let checked = matches!(speech, Speech::Frames | Speech::CheckedTexts);
        // Half of the lines are whole in each respect, so that single faults are seen alone, too.
        let mut perhaps = |most: u64| if pick(2) == 0 { 0 } else { pick(most + 1) };
        let hurt = if hurts && checked {
            Hurt {
                lost: perhaps(4),
                flipped: perhaps(4),
                damaged: perhaps(4),
                doubled: perhaps(4),
                inserted: perhaps(4),
            }
        } else if hurts {
            Hurt { damaged: perhaps(1), ..Hurt::default() }
        } else {
            Hurt::default()
        };
        let reply_hurt = if hurts && speech != Speech::Blocks {
            Hurt { lost: perhaps(60), flipped: perhaps(60), damaged: perhaps(60), ..Hurt::default() }
        } else {
            Hurt::default()
        };
        let breaks = if hurts { 0 } else { perhaps(30) };
        let unseen_breaks = if hurts { 0 } else { perhaps(15) };
        let half_closes = if hurts { 0 } else { perhaps(20) };
        let crashes = perhaps(6);
        let late_commits = perhaps(60);
        let failed_commits = perhaps(100);
        let refusals = perhaps(15);
        let commit = Duration::from_millis(perhaps(900));
        let latency = Duration::from_millis(perhaps(300));
        let jitter = Duration::from_millis(perhaps(1_400));
        let chunks = match pick(8) {
            0..4 => Chunks::AsWritten,
            4..7 => Chunks::Random(1 + pick(64)),
            _ => Chunks::Bytes,
        };
        let text_bytes_max = match pick(4) {
            0 => 24 + usize::try_from(pick(80)).unwrap_or(0),
            1 => 63_993,
            _ => 240,
        };
        Self {
            seed,
            speech,
            medium,
            messages: 1 + usize::try_from(pick(6)).unwrap_or(0),
            twins: pick(5) == 0,
            packing: if pick(2) == 0 { Packing::RecordPerFrame } else { Packing::WholeMessage },
            text_bytes_max,
            window: 1 + usize::try_from(pick(2) * pick(3)).unwrap_or(0),
            enhanced: pick(2) == 0,
            chunks,
            latency,
            jitter,
            hurt,
            reply_hurt,
            breaks,
            unseen_breaks,
            half_closes,
            crashes,
            commit,
            late_commits,
            failed_commits,
            refusals,
            // Blocks have no clock of their own for it: a reply names its message, whenever it comes.
            tells_late: pick(2) == 0 && speech != Speech::Blocks,
            healed_at: Duration::from_secs(60 + pick(600)),
            spool: seed.is_multiple_of(SPOOL_EVERY),
        }
    }

    /// Simpler scenarios of the same seed: whatever still fails in one of them is easier to read.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut simpler = self.clone();
            change(&mut simpler);
            if format!("{simpler:?}") != format!("{self:?}") {
                found.push(simpler);
            }
        };
        with(&|one| one.hurt = Hurt::default());
        with(&|one| one.hurt.lost = 0);
        with(&|one| one.hurt.flipped = 0);
        with(&|one| one.hurt.damaged = 0);
        with(&|one| one.hurt.doubled = 0);
        with(&|one| one.hurt.inserted = 0);
        with(&|one| one.reply_hurt = Hurt::default());
        with(&|one| one.breaks = 0);
        with(&|one| one.unseen_breaks = 0);
        with(&|one| one.half_closes = 0);
        with(&|one| one.crashes = 0);
        with(&|one| one.late_commits = 0);
        with(&|one| one.failed_commits = 0);
        with(&|one| one.refusals = 0);
        with(&|one| one.chunks = Chunks::AsWritten);
        with(&|one| one.jitter = Duration::ZERO);
        with(&|one| one.latency = Duration::ZERO);
        with(&|one| one.commit = Duration::ZERO);
        with(&|one| one.packing = Packing::RecordPerFrame);
        with(&|one| one.text_bytes_max = 63_993);
        with(&|one| one.window = 1);
        with(&|one| one.enhanced = false);
        with(&|one| one.tells_late = false);
        with(&|one| one.twins = false);
        with(&|one| one.messages = 1);
        with(&|one| one.messages = one.messages.saturating_sub(1).max(1));
        with(&|one| one.spool = false);
        found
    }
}

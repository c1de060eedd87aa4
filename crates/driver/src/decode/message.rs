//! What holds for a message as a whole: what it is for, its identity, what the scan noticed.

use labwire_message::{Finding, Name, Path, Record, View};
use labwire_model::{Attachment, DecodedMessage, Diagnostic, MessageKind};

use crate::decode::scope::{Records, owned};
use crate::place::{Place, Scope, Selector};
use crate::plan::{MessageUse, Plan, Protocol};

/// Facts of the message that decide about every observation in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// What a field of the message says it is for.
    pub(crate) use_: Option<MessageUse>,
    /// The message is of a kind that neither the profile lists nor the standard has for results.
    pub(crate) unlisted: bool,
    /// Sent for training or debugging.
    pub(crate) not_production: bool,
    /// Sent for quality control (LIS02 H.12 `Q`).
    pub(crate) quality_control: bool,
}

impl Facts {
    /// From the header, once it is in `scope`.
    pub(crate) fn of(plan: &Plan, scope: &dyn Scope, processing: Option<&Place>) -> Self {
        let mut facts = Self::default();
        if let Some(rule) = &plan.rules.kind
            && let Some(found) = rule.at.take(scope)
        {
            facts.use_ = rule.values.get(found.text.as_ref()).copied();
            facts.unlisted = facts.use_.is_none();
        }
        if let Some(found) = processing.and_then(|place| scope.text(place)) {
            let letter = found.text.trim();
            let accepted = plan.rules.accept_processing.iter().any(|accepted| accepted == letter);
            facts.not_production = matches!(letter, "T" | "D") && !accepted;
            facts.quality_control = plan.protocol == Protocol::Lis02 && letter == "Q" && !accepted;
        }
        facts
    }
}

/// A message to be filled, with the scan's findings in it.
pub(crate) fn begin(view: &View<'_>) -> DecodedMessage {
    let mut message = DecodedMessage::empty(MessageKind::Other);
    message.diagnostics.extend(view.findings().iter().map(|finding| diagnostic(view, finding)));
    message
}

/// A finding with the path that it speaks of.
pub(crate) fn diagnostic(view: &View<'_>, finding: &Finding) -> Diagnostic {
    let path = finding
        .field
        .and_then(|field| {
            let record = view.records().find(|record| record.ordinal() == finding.record)?;
            Some(Path::field(record.name(), field).to_string())
        })
        .unwrap_or_default();
    Diagnostic::new(finding.code, finding.offset, finding.record, &path, finding.text.clone())
}

/// The records joined with CR, what a retransmission changes left out of them.
pub(crate) fn identity(plan: &Plan, view: &View<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(view.bytes().len());
    for record in view.records() {
        let mut at = record.offset();
        let end = at + record.bytes().len();
        let mut blanked: Vec<(usize, usize)> = plan
            .rules
            .volatile
            .iter()
            .filter(|path| path.record == record.name())
            .filter_map(|path| record.field(path.field))
            .map(|field| (field.offset(), field.offset() + field.bytes().len()))
            .collect();
        blanked.sort_unstable();
        for (from, to) in blanked {
            out.extend_from_slice(view.bytes().get(at..from).unwrap_or_default());
            at = to;
        }
        out.extend_from_slice(view.bytes().get(at..end).unwrap_or_default());
        out.push(b'\r');
    }
    out
}

/// The header's own id as sent, unless a retransmission has another one.
pub(crate) fn control_id(
    plan: &Plan,
    header: Record<'_>,
    field: u16,
    records: &Records<'_>,
) -> Option<String> {
    let path = Path::field(header.name(), field);
    if plan.rules.volatile.contains(&path) {
        return None;
    }
    owned(records.reading.charset.decode(header.get(&path)?).0)
}

/// Whether any of these fields of a record says something that a repeat of the message would say
/// too: what the profile calls volatile does not count.
pub(crate) fn says(plan: &Plan, record: Record<'_>, fields: &[u16]) -> bool {
    fields.iter().any(|field| {
        let path = Path::field(record.name(), *field);
        !plan.rules.volatile.contains(&path)
            && record.get(&path).is_some_and(|raw| !raw.trim_ascii().is_empty())
    })
}

/// Whether the profile's own time of the observation is there and would be the same in a repeat.
pub(crate) fn says_when(plan: &Plan, scope: &dyn Scope) -> bool {
    let Some(at) = &plan.rules.places.at else { return false };
    at.places().iter().any(|place| {
        let volatile = matches!(place, Place::Path(path) if plan.rules.volatile.contains(&path.whole()));
        !volatile && scope.text(place).is_some_and(|text| !text.text.trim().is_empty())
    })
}

/// The attachment that a record is, by the first rule that finds one.
pub(crate) fn attachment(
    plan: &Plan,
    scope: &dyn Scope,
    record: usize,
    name: Option<Name>,
) -> Option<Attachment> {
    let mut rules = plan.rules.attachments.iter().filter(|attachment| attachment.record == name);
    let found = rules.find(|attachment| attachment.rule.filter.holds(scope))?;
    let take = |selector: &Option<Selector>| owned(selector.as_ref()?.take(scope)?.text);
    Some(Attachment {
        record,
        reason: found.rule.reason.clone(),
        name: take(&found.name),
        media: take(&found.media),
        encoding: take(&found.encoding),
        bytes: found.data.take(scope).map_or(0, |data| data.text.len()),
    })
}

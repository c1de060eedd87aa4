//! Decoding allocates for what it gives back and for nothing else: none for each field that is read.
#![expect(unsafe_code, reason = "counting allocations needs a global allocator, which is an unsafe trait")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use jiff::tz::TimeZone;
use labwire_driver::{Context, Library, Plan};
use labwire_message::Index;
use labwire_model::{DecodedMessage, Observation};
use support::compiled;

/// Hands everything to the system's allocator and counts what this thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes unchanged to `System`; the counter is a `Cell` in thread-local storage
// that needs neither a destructor nor an allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about `pointer` and `layout` is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise about `pointer`, `layout` and `size` is handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of decoding a message for the second time, and what it decodes to.
fn decoded(plan: &Plan, bytes: &[u8]) -> (usize, DecodedMessage) {
    let context = Context { zone: &TimeZone::UTC };
    let mut index = Index::new();
    // The index and the regular expressions' caches grow with the first message.
    drop(plan.decode_with(&mut index, bytes, &context));
    let before = ALLOCATIONS.get();
    let decoded = plan.decode_with(&mut index, bytes, &context);
    (ALLOCATIONS.get() - before, decoded)
}

/// Texts and lists that an observation owns.
fn owned(o: &Observation) -> usize {
    let texts = [
        &o.specimen_id,
        &o.patient_id,
        &o.analyzer_test,
        &o.sub_id,
        &o.isolate,
        &o.organism,
        &o.organism_name,
        &o.lis_test,
        &o.test_name,
        &o.loinc,
        &o.value,
        &o.text,
        &o.number,
        &o.unit,
        &o.ucum,
        &o.converted_number,
        &o.converted_ucum,
        &o.status_sent,
        &o.reference_range,
        &o.observed_at,
        &o.observed_at_verbatim,
        &o.operator,
        &o.instrument,
        &o.reagent,
    ];
    let flags = o.flags.iter().map(|flag| 1 + usize::from(flag.meaning.is_some())).sum::<usize>();
    texts.iter().filter(|text| text.is_some()).count()
        + flags
        + usize::from(!o.flags.is_empty())
        + o.comments.len()
        + usize::from(!o.comments.is_empty())
}

/// Lists of the message that grow by doubling, and what is made once a message.
const OF_THE_MESSAGE: usize = 40;

/// Reads a message with the shipped profile of a model.
fn check(model: &str, message: &dyn Fn(usize) -> Vec<u8>) {
    let library = Library::embedded();
    let id = library.ids().into_iter().find(|id| id.ends_with(model)).unwrap_or_default();
    let plan = compiled(&library, id);
    let (allocations, decoded) = decoded(&plan, &message(200));
    assert_eq!(decoded.outcomes.len(), 200, "{id}");
    let owned: usize = decoded.outcomes.iter().map(|outcome| owned(&outcome.observation)).sum();
    let most = owned + OF_THE_MESSAGE;
    assert!(allocations <= most, "{id}: {allocations} allocations for {owned} texts of 200 observations");
}

#[test]
fn a_lis02_message_costs_no_allocation_for_each_field() {
    check("/xn-l", &|observations| {
        let mut message =
            "H|\\^&|||XN-550^00-24^22723||||||||E1394-97\rP|1|||PAT7\rO|1||^^        S-100^B|||||||N\r"
                .to_owned();
        for number in 1..=observations {
            message.push_str(&format!("R|{number}|^^^^WBC^1|6.9|10*3/uL||N||F||||20260302081500\r"));
        }
        (message + "L|1|N\r").into_bytes()
    });
}

#[test]
fn an_hl7_message_costs_no_allocation_for_each_field() {
    check("/bc-5380", &|observations| {
        let mut message = "MSH|^~\\&|BC-5380|x|||20260302081500||ORU^R01|1|P|2.3.1||||||UNICODE\rPID|1||PAT7\rOBR|1||S-100|00001^Automated Count^99MRC|||20260302081000\r".to_owned();
        for number in 1..=observations {
            message.push_str(&format!("OBX|{number}|NM|6690-2^WBC^LN||7.34|10*9/L|4.00-10.00|H~A|||F\r"));
        }
        message.into_bytes()
    });
}

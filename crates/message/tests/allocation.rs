//! A warm index scans without allocating.
#![expect(unsafe_code, reason = "counting allocations needs a global allocator, which is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use labwire_message::{Index, Path, Syntax};

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

fn allocations_of(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// A result message of a haematology analyzer's size: 30 OBX, about 3 kB.
fn thirty_observations() -> Vec<u8> {
    let mut message =
        b"MSH|^~\\&|analyzer|lab|host|lab|20260102030405||ORU^R01^ORU_R01|1|P|2.5.1||||||UNICODE UTF-8\r\
        PID|1||PAT1^^^lab^MR||Doe^Jane||19800101|F\rOBR|1|S1||CBC^Blood count^L|||20260102030000\r"
            .to_vec();
    for number in 1..=30 {
        let line = format!(
            "OBX|{number}|NM|T{number}^Test {number}^L||{number}.5|10*9/L^^UCUM|4.0-10.0|N|||F|||20260102030400||op1\r"
        );
        message.extend_from_slice(line.as_bytes());
    }
    message
}

/// Scans, then reads every field, repeat, component and path of the message.
fn read_all(index: &mut Index, message: &[u8], path: &Path) -> usize {
    let view = index.scan(Syntax::Hl7, message);
    let parts: usize = view
        .records()
        .flat_map(|record| record.fields())
        .flat_map(|field| field.repeats())
        .flat_map(|repeat| repeat.components())
        .map(|component| component.subcomponents().count())
        .sum();
    parts + view.records().filter_map(|record| record.get(path)).count() + view.findings().len()
}

#[test]
fn the_counter_counts() {
    assert!(allocations_of(|| drop(std::hint::black_box(vec![1_u8]))) > 0);
}

#[test]
fn a_second_scan_of_thirty_observations_allocates_nothing() {
    let message = thirty_observations();
    let path = "OBX-3.1".parse().unwrap();
    let mut index = Index::new();
    let first = read_all(&mut index, &message, &path);
    let mut second = 0;
    let allocations = allocations_of(|| second = read_all(&mut index, &message, &path));
    assert_eq!((allocations, second), (0, first));
    assert!(first > 30 * 15, "the reader went through the parts");
}

#[test]
fn plain_text_is_decoded_without_allocating() {
    let message = thirty_observations();
    let path = "OBX-5".parse().unwrap();
    let mut index = Index::new();
    let view = index.scan(Syntax::Hl7, &message);
    let allocations = allocations_of(|| {
        for record in view.records() {
            std::hint::black_box(record.text(&path, labwire_message::Charset::default()));
        }
    });
    assert_eq!(allocations, 0);
}

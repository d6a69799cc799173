//! The functions of `fuzz/`, on a fixed pseudo-random input.

#[path = "../../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "there it is a library")]
mod targets;

const INPUTS: u32 = 4_000;

/// Bytes that follow from a number alone.
fn bytes(seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    let length = usize::from(byte()) * 2;
    (0..length).map(|_| byte()).collect()
}

fn try_all(target: fn(&[u8])) {
    target(&[]);
    (0..INPUTS).for_each(|seed| target(&bytes(seed)));
}

#[test]
fn requests_are_read_or_refused() {
    try_all(targets::request);
}

#[test]
fn conditions_are_planned_or_refused_at_their_place() {
    try_all(targets::condition);
}

#[test]
fn only_sealed_cursors_open() {
    try_all(targets::cursor);
}

#[test]
fn an_absent_claim_leaves_nothing() {
    try_all(targets::claim);
}

#[test]
fn a_mask_hides_any_value() {
    try_all(targets::mask);
}

#[test]
fn canned_queries_are_read_or_refused() {
    try_all(targets::canned);
}

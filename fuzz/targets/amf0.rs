//! AMF0: whatever can be read is written and read again.
#![no_main]

use heliograph_ingest::rtmp::protocol::amf0::{read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(values) = read(data) else { return };
    let mut bytes = Vec::new();
    write(&mut bytes, &values);
    let again = read(&bytes).expect("what we write can be read");
    // Compared as text: NaN is not equal to itself.
    assert_eq!(format!("{again:?}"), format!("{values:?}"));
});

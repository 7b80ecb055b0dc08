//! What strangers send to the SRT port.
#![no_main]

use std::time::Duration;

use heliograph_ingest::srt::{
    StreamId,
    handshake::{HEAD, Knock, Rejection},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match Knock::parse(data) {
    Some(Knock::Induction(head)) => assert_eq!(head.induction(1, 2).len(), HEAD),
    Some(Knock::Conclusion(conclusion)) => {
        assert!(conclusion.accepted(1, Duration::from_millis(120)).len() <= data.len() + HEAD);
        assert_eq!(conclusion.rejected(1, Rejection::BadRequest).len(), HEAD);
        let _ = StreamId::parse(conclusion.stream_id.as_deref().unwrap_or_default());
    }
    None => {}
});

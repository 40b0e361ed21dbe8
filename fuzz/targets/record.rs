//! Records as bytes, and the histograms in them: no panic. `report` goes on from records that can be read.
//!
//! A record begins with a brace, a page with an angle bracket; anything else is a histogram, before it is coded as text.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use photofinish_record::Record;
use photofinish_record::latency::Latencies;
use photofinish_reports::embedded;

fuzz_target!(|data: &[u8]| {
    if data.first() == Some(&b'{') {
        let _ = Record::read(data);
    } else if embedded::is_page(data) {
        let page = String::from_utf8_lossy(data);
        if let Ok(json) = embedded::extract(&page) {
            let _ = Record::read(&json);
        }
    } else if let Ok(latencies) = Latencies::from_base64(&STANDARD.encode(data)) {
        assert!(latencies.mean_ns().is_some() || latencies.count() == 0);
        let _ = latencies.quantile_ns(0.999);
        latencies.clone().merge(&latencies);
    }
});

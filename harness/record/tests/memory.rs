//! Memory of a record that has been read: histograms stay small, however many rounds there are.

use photofinish_record::draw::draw;
use photofinish_record::latency::{Latencies, LatencyRecorder};

/// Histograms of a run.
const ROUNDS: u64 = 200;

/// A JSON array with a histogram for each round, each of 20,000 times from 300 µs on with a long tail.
fn document() -> String {
    let mut recorder = LatencyRecorder::default();
    let histograms: Vec<Latencies> = (0..ROUNDS)
        .map(|round| {
            recorder.clear();
            for index in 0..20_000 {
                let uniform = (draw(round, index) >> 11) as f64 / (1_u64 << 53) as f64;
                recorder.record_ns((300_000.0 * (1.0 - uniform).powf(-0.2)) as u64);
            }
            recorder.latencies()
        })
        .collect();
    serde_json::to_string(&histograms).expect("histograms are JSON")
}

#[test]
fn histograms_read_from_a_record_take_a_tenth_and_their_clones_nothing() {
    let document = document();
    let mut read: Vec<Latencies> = Vec::new();
    let reading = allocation_counter::measure(|| {
        read = serde_json::from_str(&document).expect("the document is JSON");
    });
    // One that is being filled takes 220 KiB.
    assert!(reading.bytes_max < ROUNDS * 32_000, "{reading:?}");

    let cloning = allocation_counter::measure(|| {
        let clones = read.clone();
        assert_eq!(clones.len() as u64, ROUNDS);
    });
    assert!(cloning.bytes_max < ROUNDS * 128, "{cloning:?}");

    // Written as read, without encoding anything again.
    let writing = allocation_counter::measure(|| {
        assert_eq!(
            serde_json::to_string(&read).expect("histograms are JSON"),
            document
        );
    });
    assert!(writing.bytes_max < 4 * document.len() as u64, "{writing:?}");
}

#[test]
fn a_parts_histogram_takes_a_seventh_of_an_operations() {
    let part = allocation_counter::measure(|| drop(LatencyRecorder::of_part()));
    assert!(part.bytes_max <= 31 << 10, "{part:?}");
    let whole = allocation_counter::measure(|| drop(LatencyRecorder::default()));
    assert!(whole.bytes_max > 7 * part.bytes_max, "{whole:?}");
}

//! The tables: whole ones as snapshots, and what must hold for each of them.

use photofinish_harness::record::Record;
use photofinish_reports::terminal::{Style, render};
use unicode_width::UnicodeWidthStr as _;

use crate::fixtures;

const PLAIN: Style = Style {
    width: 80,
    colour: false,
};

fn plain(record: &Record) -> String {
    render(record, PLAIN)
}

#[test]
fn no_line_is_wider_than_asked() {
    for (name, record) in fixtures::all() {
        for width in [0, 40, 60, 80, 100, 200] {
            for line in render(
                record,
                Style {
                    width,
                    colour: false,
                },
            )
            .lines()
            {
                assert!(
                    line.width() <= width.max(40),
                    "{name}: {} > {width}: {line}",
                    line.width()
                );
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    for (name, record) in fixtures::all() {
        let mut coloured = render(
            record,
            Style {
                colour: true,
                ..PLAIN
            },
        );
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m"] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, plain(record), "{name}");
        assert!(
            !plain(record).contains('\x1b'),
            "{name}: not even from a title"
        );
    }
}

#[test]
fn a_narrow_terminal_keeps_the_columns_that_matter_most() {
    let columns = |width| {
        let text = render(
            &fixtures::tour(),
            Style {
                width,
                colour: false,
            },
        );
        let heading = text
            .lines()
            .find(|line| line.contains("runtime"))
            .expect("a table");
        heading.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(columns(40), "runtime ops/s vs sync");
    assert_eq!(columns(60), "runtime ops/s p50 p99 vs sync spread");
}

#[test]
fn closed_load_says_once_that_it_hides_queueing() {
    assert_eq!(
        plain(&fixtures::sweep())
            .matches("coordinated omission")
            .count(),
        1
    );
}

#[test]
fn a_tour_reads_well() {
    insta::assert_snapshot!(plain(&fixtures::tour()), @r#"
    http-get  Small responses over keep-alive connections
    closed, 64 in flight · mock http server · 7 rounds of 2s

      runtime              ops/s    p50    p99   p99.9 CPU/op  memory vs sync spread
      smol                  184k  332µs  925µs ~2.64ms 17.0µs 14.6MiB   77.8×    ±7%
      tokio-current-thread  167k  372µs  552µs ~2.24ms 18.5µs 14.6MiB   71.4×   ±16%
      async-std†            141k  427µs 1.21ms ~3.29ms 21.4µs 14.6MiB   61.4×    ±8%
      tokio                 101k  615µs  897µs ~4.10ms 30.0µs 14.6MiB   44.4×    ±4%
      pool                 52.9k 1.14ms 4.01ms ~8.67ms 50.0µs 14.6MiB   22.8×    ±9%
      threads              35.4k 1.72ms 3.84ms ~12.8ms 50.0µs 14.6MiB   15.7×    ±9%
      sync                 2.34k  408µs 1.02ms ~3.13ms 21.0µs 9.15MiB      1×

      sync ran 1 session, not 64.
      No clear winner: the intervals of smol and tokio-current-thread overlap.

    file-read  Read a 64 KiB file whole
    closed, 64 in flight · no server · 7 rounds of 2s

      runtime              ops/s    p50   p99   p99.9 CPU/op  memory vs sync spread
      smol                  764k 79.4µs 213µs  ~572µs 3.85µs 14.6MiB   76.3×    ±6%
      tokio-current-thread  743k 84.4µs 123µs  ~448µs 4.18µs 14.6MiB   73.8×    ±9%
      async-std†            631k 95.9µs 231µs  ~690µs 4.84µs 14.6MiB   63.3×    ±6%
      tokio                 444k  139µs 207µs  ~670µs 6.78µs 14.6MiB   45.0×    ±5%
      pool                  235k  256µs 476µs ~1.93ms 13.1µs 14.6MiB   23.9×    ±8%
      threads               164k  367µs 842µs ~2.83ms 18.7µs 14.6MiB   16.4×    ±5%
      sync                 9.96k 95.4µs 161µs  ~741µs 4.75µs 9.15MiB      1×

      sync ran 1 session, not 64.
      No clear winner: the intervals of smol and tokio-current-thread overlap.

    db-select  One row by primary key
    closed, 64 in flight · PostgreSQL 15.18 at
      postgres://postgres@127.0.0.1:5432/bench · 7 rounds of 2s

      runtime              ops/s    p50    p99   p99.9 CPU/op  memory vs sync spread
      smol                 38.5k 1.58ms 2.90ms ~11.2ms 50.0µs 14.6MiB   79.5×    ±6%
      tokio-current-thread 37.0k 1.68ms 2.48ms ~11.6ms 50.0µs 14.6MiB   74.3×    ±6%
      async-std†           30.3k 1.98ms 5.61ms ~15.2ms 50.0µs 14.6MiB   61.0×    ±7%
      tokio                24.5k 2.54ms 3.75ms ~17.4ms 50.0µs 14.6MiB   48.2×    ±7%
      pool                 11.7k 5.15ms 14.4ms ~37.3ms 50.0µs 14.6MiB   23.6×    ±9%
      threads              8.42k 7.39ms 14.6ms ~53.4ms 50.0µs 14.6MiB   16.8×    ±5%
      sync                   501 1.89ms 4.89ms ~13.7ms 50.0µs 9.15MiB      1×

      sync ran 1 session, not 64.
      No clear winner: the intervals of smol and tokio-current-thread overlap.

    spread: how far the ratio's interval reaches, with confidence 95% over 7 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    † async-std (discontinued)
    Closed load: a session's next operation waits for its last, so these are service
      times; queueing is hidden (coordinated omission).

    warning: The load average was 1.7 on 2 CPUs when the run began; other processes
      were busy.
    "#);
}

#[test]
fn whatever_goes_wrong_is_said_beside_the_numbers() {
    insta::assert_snapshot!(plain(&fixtures::failures()), @r#"
    http-get  Small responses over keep-alive connections
    closed, 16 in flight · mock http server · 5 rounds of 2s

      runtime    ops/s   p50     p99   p99.9 CPU/op  memory vs threads spread
      async-std† 72.9k 204µs  ~578µs ~1.58ms 10.2µs 10.4MiB      2.94×    ±3%
      threads    23.9k 632µs ~1.27ms ~4.76ms 30.4µs 10.4MiB         1×

      sync: unsupported: producers and consumers at once need more than one thread
      pool: failed: the server was gone: connection refused (os error 111)
      tokio: invalid: http: the server counted 4003 requests, the worker 4002 (and 4
        more)
      tokio-current-thread: invalid: 18.37% of the operations failed where 1% may:
        900 timeout (and 4 more)
      smol: invalid: operation 17: expected 2 bytes, got 3
      tokio-current-thread: errors: 4.50k × timeout (operation 12: timeout after 5
        ms)
      async-std: errors: 5 × reset (operation 12: reset after 5 ms), 15 × timeout
        (operation 12: timeout after 5 ms)
      Highest throughput: async-std; its interval lies apart from that of the next,
        threads.

    spread: how far the ratio's interval reaches, with confidence 88% over 4 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    † async-std (discontinued)
    Closed load: a session's next operation waits for its last, so these are service
      times; queueing is hidden (coordinated omission).

    warning: http-get / threads (closed, 16 in flight): 1 of 5 rounds failed: the
      worker was killed by signal 9
    "#);
}

#[test]
fn an_interrupted_run_shows_what_it_has() {
    insta::assert_snapshot!(plain(&fixtures::interrupted()), @r#"
    The run was interrupted; what was measured until then follows.

    http-get  Small responses over keep-alive connections
    closed, 64 in flight · mock http server · 2 rounds of 2s

      runtime              ops/s    p50    p99   p99.9 CPU/op  memory vs sync spread
      smol                  187k  325µs  510µs ~2.60ms 17.0µs 14.6MiB   79.1×
      tokio-current-thread  169k  370µs  552µs ~1.95ms 18.5µs 14.6MiB   71.5×
      async-std†            144k  421µs  988µs ~2.76ms 21.4µs 14.6MiB   60.8×
      tokio                 105k  592µs  873µs ~3.47ms 30.0µs 14.6MiB   44.7×    ±4%
      pool                 52.5k 1.15ms 3.36ms ~7.94ms 50.0µs 14.6MiB   22.3×    ±2%
      threads              34.6k 1.75ms 5.01ms ~12.9ms 50.0µs 14.6MiB   14.7×    ±2%
      sync                 2.35k  405µs  831µs ~3.01ms 21.0µs 9.15MiB      1×

      sync ran 1 session, not 64.
      No clear winner: 1 round cannot tell.

    file-read  Read a 64 KiB file whole
    closed, 64 in flight · no server · 1 round of 2s

      runtime              ops/s    p50   p99   p99.9 CPU/op  memory vs sync spread
      smol                  781k 76.5µs 275µs  ~633µs 3.85µs 14.6MiB   74.3×
      tokio-current-thread  750k 83.1µs 122µs  ~494µs 4.18µs 14.6MiB   71.3×
      async-std†            611k  101µs 153µs  ~690µs 4.84µs 14.6MiB   58.1×
      tokio                 457k  137µs 203µs  ~670µs 6.78µs 14.6MiB   43.5×
      pool                  226k  270µs 476µs ~1.93ms 13.1µs 14.6MiB   21.5×
      threads               163k  376µs 604µs ~2.64ms 18.7µs 14.6MiB   15.5×
      sync                 10.5k 90.6µs 153µs  ~727µs 4.75µs 9.15MiB      1×

      sync ran 1 session, not 64.
      No clear winner: 1 round cannot tell.

    db-select  One row by primary key
    closed, 64 in flight · PostgreSQL 15.18 at
      postgres://postgres@127.0.0.1:5432/bench · 1 round of 2s

      runtime  ops/s     p50     p99    p99.9  CPU/op   memory  vs sync  spread
      pool     12.4k  4.90ms  12.8ms  ~35.4ms  50.0µs  14.6MiB    25.5×
      threads  8.72k  6.81ms  25.2ms  ~61.1ms  50.0µs  14.6MiB    17.9×
      sync       486  1.93ms  7.36ms  ~14.3ms  50.0µs  9.15MiB       1×

      tokio, tokio-current-thread, async-std, smol: failed: the run was interrupted
        before its first round
      sync ran 1 session, not 64.
      No clear winner: 1 round cannot tell.

    spread: how far the ratio's interval reaches, with confidence 50% over 2 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    † async-std (discontinued)
    Closed load: a session's next operation waits for its last, so these are service
      times; queueing is hidden (coordinated omission).

    warning: The load average was 1.7 on 2 CPUs when the run began; other processes
      were busy.
    "#);
}

#[test]
fn a_single_cell_has_nothing_to_compare() {
    insta::assert_snapshot!(plain(&fixtures::single()), @r#"
    http-get  Small responses over keep-alive connections
    closed, 1 in flight · mock http server · 1 round of 2s

      runtime  ops/s     p50      p99   p99.9  CPU/op   memory
      smol     16.0k  59.6µs  ~95.6µs  ~516µs  3.09µs  9.15MiB

    ~ too few operations in a round for this percentile: a hint, not a result.
    Closed load: a session's next operation waits for its last, so these are service
      times; queueing is hidden (coordinated omission).
    "#);
}

#[test]
fn an_empty_run_says_so() {
    insta::assert_snapshot!(plain(&fixtures::empty()), @r#"
    The run could not go on: the disk is full. What was measured until then follows.

    Nothing was planned, so nothing was measured.
    "#);
}

#[test]
fn long_names_are_cut_and_long_texts_wrapped() {
    insta::assert_snapshot!(plain(&fixtures::long_names()), @r#"
    a-scenario-file-with-a-name-that-nobody-would-type-twice-but-somebody-will
      汉字の長いタイトル and a title that goes on and on a title that goes on and on
      a title that goes on and on a title that goes on and on a title that goes on
      and on a title that goes on and on  🏁
    closed, 100000 in flight · mock http server · 3 rounds of 2s

      runtime               ops/s   p50    p99  p99.9 CPU/op  memory vs first spread
      tokio                 28.3k 3.45s ~5.13s ~23.7s 50.0µs 8.39GiB    3.54×  ±0.9%
      otherwise-quite-ordi… 17.5k 5.44s ~9.53s ~40.1s 50.0µs 8.39GiB    2.22×    ±6%
      a-runtime-with-a-ver… 7.95k 12.0s ~28.4s ~60.0s 50.0µs 8.39GiB       1×

      Highest throughput: tokio; its interval lies apart from that of the next,
        otherwise-quite-ordinary-runtime.

    spread: how far the ratio's interval reaches, with confidence 75% over 3 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    Closed load: a session's next operation waits for its last, so these are service
      times; queueing is hidden (coordinated omission).

    warning:
      widewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewi
      dewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewide
      widewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewi
      dewide
    "#);
}

#[test]
fn nanoseconds_and_minutes_fit_one_table() {
    insta::assert_snapshot!(plain(&fixtures::extremes()), @r#"
    http-get  Small responses over keep-alive connections
    closed, 1 in flight · no server · 4 rounds of 5 operations

      runtime  ops/s      p50      p99    p99.9   CPU/op   memory  vs sync  spread
      sync     85.5M   11.0ns   28.0ns   90.0ns  0.600ns  9.15MiB       1×
      tokio    1.00M  ~1.03µs  ~1.24µs  ~1.24µs   50.0ns  9.15MiB   0.012×    ±15%
      threads  0.018   ~60.0s   ~60.0s   ~60.0s   50.0µs  9.15MiB   2e-10×    ±14%

      Highest throughput: sync; its interval lies apart from that of the next,
        tokio.

    spread: how far the ratio's interval reaches, with confidence 88% over 4 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    Closed load: a session's next operation waits for its last, so these are service
      times; queueing is hidden (coordinated omission).
    "#);
}

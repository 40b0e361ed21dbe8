//! The tables: whole ones as snapshots, and what must hold for each of them.

use photofinish_record::Record;
use photofinish_reports::report::Report;
use photofinish_reports::terminal::{self, Detail, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::fixtures;

const PLAIN: Style = Style {
    width: 80,
    colour: false,
};

fn render(record: &Record, style: Style) -> String {
    terminal::render(&Report::of(record), style)
}

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
        for code in [
            "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m",
        ] {
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
    assert_eq!(columns(60), "runtime ops/s vs sync interval verdict");
}

/// Goal: a wide terminal is used. Method: the columns that only it shows, at the narrowest width with all of them and below.
#[test]
fn a_wide_terminal_shows_intervals_operations_and_errors() {
    let text = |width| render(&fixtures::tour(), Style { width, ..PLAIN });
    let wide = text(200);
    let mut headings = wide.lines().filter(|line| line.contains("runtime "));
    let expected = "runtime ops/s p50 p99 p99.9 CPU/op memory errors ops/s interval p99 interval ops vs sync interval verdict";
    let heading = headings.next().expect("a table");
    assert_eq!(
        heading.split_whitespace().collect::<Vec<_>>().join(" "),
        expected
    );
    assert!(!text(99).contains("errors") && text(140).contains("errors"));
}

/// Goal: the note on columns without room is true. Method: at each width, a column that is named would be too wide for its table.
#[test]
fn a_column_is_left_out_only_if_it_has_no_room() {
    let record = fixtures::tour();
    let all = render(
        &record,
        Style {
            width: 300,
            ..PLAIN
        },
    );
    let shown = |text: &str, heading: &str| {
        let mut lines = text
            .lines()
            .filter(|line| line.trim_start().starts_with("runtime "));
        lines.any(|line| line.split_whitespace().any(|word| word == heading))
    };
    for width in 40..130 {
        let text = render(&record, Style { width, ..PLAIN });
        let note = text.split("columns for ").nth(1).unwrap_or_default();
        let note = note.split("\n\n").next().unwrap_or_default();
        let note = note.split_whitespace().collect::<Vec<_>>().join(" ");
        let names: Vec<&str> = note.trim_end_matches('.').split(", ").collect();
        let tables = text
            .lines()
            .filter(|line| line.trim_start().starts_with("runtime "));
        let longest = tables.map(|line| line.width()).max().expect("a table");
        for heading in ["p50", "p99", "p99.9", "memory", "CPU/op"] {
            assert!(shown(&all, heading));
            let is_named = names.contains(&heading);
            // The widest number of a column has seven letters, and a gap before it.
            assert!(
                !is_named || width < longest + 8,
                "{width} {heading}: {text}"
            );
        }
    }
}

/// Goal: nobody looks for a column in vain. Method: a width with few columns, and one with all of them.
#[test]
fn columns_without_room_are_named() {
    let told = |width| {
        let style = Style { width, ..PLAIN };
        let text = render(&fixtures::tour(), style);
        text.lines()
            .any(|line| line.starts_with("No room at 60 columns for p50, p99"))
    };
    assert!(told(60) && !told(200));
    assert!(
        !render(
            &fixtures::tour(),
            Style {
                width: 200,
                ..PLAIN
            }
        )
        .contains("No room")
    );
}

#[test]
fn the_tools_own_overhead_is_a_matter_of_detail() {
    let record = fixtures::open_loads();
    let text = |detail| terminal::render_in(&Report::of(&record), PLAIN, detail);
    assert!(text(Detail::Everything).contains("Overhead of the loop, per operation: 111ns."));
    assert!(!text(Detail::Usual).contains("Overhead"));
}

/// Goal: the end of the output has the answer. Method: the last lines of a tour, of one with too few rounds, and the result
/// alone.
#[test]
fn the_output_ends_with_the_verdicts_then_warnings_then_one_sentence() {
    let record = fixtures::tour();
    let text = plain(&record);
    let last = text.lines().collect::<Vec<_>>().join(" ");
    let sentence = "db-select with 64 sessions: smol has 75.7 to 84.1 times the rate of sync; its   lead over tokio-current-thread is not certain.";
    assert!(last.ends_with(sentence), "{last}");
    let (verdicts, warning) = (text.find("\nVerdicts\n"), text.find("\nwarning: "));
    assert!(verdicts.is_some() && verdicts < warning, "{text}");
    let row = text
        .lines()
        .rfind(|line| line.trim_start().starts_with("smol "));
    assert_eq!(
        row.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
            .as_deref(),
        Some("smol ▲ 78.0× ▲ 78.2× ▲ 79.7×")
    );
    let mut short = record.clone();
    short.rounds.retain(|round| round.block < 3);
    let short = plain(&short);
    let last = short.trim_end().rsplit("\n\n").next().unwrap_or_default();
    assert!(
        last.starts_with("No verdict in 18 comparisons: 8 rounds of each are needed"),
        "{short}"
    );
    let result = terminal::render_in(&Report::of(&record), PLAIN, Detail::Result);
    assert!(
        result.contains("▲ 78.0×") && result.contains("1 warning; `photofinish show`"),
        "{result}"
    );
    assert!(
        !result.contains("ops/s") && !result.contains("load average"),
        "{result}"
    );
}

/// Goal: verdicts are seen at once, and without colour too. Method: the table of a tour.
#[test]
fn verdicts_have_a_glyph_and_a_colour() {
    let colour = Style {
        colour: true,
        ..PLAIN
    };
    assert!(render(&fixtures::tour(), colour).contains("\x1b[32m▲ faster\x1b[0m"));
    assert!(render(&fixtures::open_loads(), colour).contains("\x1b[31m▼ slower\x1b[0m"));
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
    closed, 64 in flight · mock http server · 10 rounds of 2s

      runtime              ops/s    p50    p99 CPU/op vs sync    interval  verdict
      smol                  178k  340µs  939µs 17.0µs   78.0× 74.1×–83.1× ▲ faster
      tokio-current-thread  172k  363µs  551µs 18.5µs   75.6× 70.1×–82.3× ▲ faster
      async-std†            141k  433µs 1.10ms 21.4µs   61.6× 57.0×–65.3× ▲ faster
      tokio                 102k  609µs  895µs 30.0µs   45.6× 43.0×–46.9× ▲ faster
      pool                 52.6k 1.15ms 3.53ms 50.0µs   23.1× 20.7×–24.8× ▲ faster
      threads              35.5k 1.69ms 4.28ms 50.0µs   15.9× 14.7×–17.1× ▲ faster
      sync                 2.29k  420µs  984µs 21.0µs      1×

      sync ran 1 session, not 64.
      By throughput against sync: smol, tokio-current-thread, async-std, tokio,
        pool, threads faster.

    file-read  Read a 64 KiB file whole
    closed, 64 in flight · no server · 10 rounds of 2s

      runtime              ops/s    p50   p99 CPU/op vs sync    interval  verdict
      smol                  773k 78.3µs 215µs 3.85µs   78.2× 74.3×–83.4× ▲ faster
      tokio-current-thread  757k 82.3µs 121µs 4.18µs   76.5× 71.7×–82.6× ▲ faster
      async-std†            624k 97.5µs 229µs 4.84µs   63.5× 59.9×–67.3× ▲ faster
      tokio                 443k  140µs 207µs 6.78µs   45.4× 43.5×–47.7× ▲ faster
      pool                  234k  259µs 565µs 13.1µs   23.8× 21.8×–26.3× ▲ faster
      threads               163k  368µs 965µs 18.7µs   16.5× 15.7×–17.2× ▲ faster
      sync                 9.85k 96.2µs 167µs 4.75µs      1×

      sync ran 1 session, not 64.
      By throughput against sync: smol, tokio-current-thread, async-std, tokio,
        pool, threads faster.

    db-select  One row by primary key
    closed, 64 in flight · PostgreSQL 15.18 at
      postgres://postgres@127.0.0.1:5432/bench · 10 rounds of 2s

      runtime              ops/s    p50    p99 CPU/op vs sync    interval  verdict
      smol                 38.6k 1.57ms 3.03ms 50.0µs   79.7× 75.7×–84.1× ▲ faster
      tokio-current-thread 37.1k 1.68ms 2.48ms 50.0µs   76.1× 71.8×–81.2× ▲ faster
      async-std†           30.8k 1.97ms 5.40ms 50.0µs   62.1× 58.8×–67.8× ▲ faster
      tokio                23.8k 2.61ms 3.86ms 50.0µs   48.2× 44.8×–50.5× ▲ faster
      pool                 11.8k 5.11ms 14.7ms 50.0µs   23.7× 21.4×–26.1× ▲ faster
      threads              8.03k 7.47ms 20.5ms 50.0µs   16.7× 15.8×–17.6× ▲ faster
      sync                   490 1.92ms 5.19ms 50.0µs      1×

      sync ran 1 session, not 64.
      By throughput against sync: smol, tokio-current-thread, async-std, tokio,
        pool, threads faster.

    interval: that of the ratio, with confidence 99% over 10 rounds.
    faster, slower: the whole interval is beyond 2%; tie: all of it is within 2%;
      inconclusive: neither, so this run cannot decide.
    ~ too few operations in a round for this percentile: a hint, not a result.
    † async-std (discontinued)
    Closed load: each session waits for its previous operation, so these are service
      times; queueing is hidden (coordinated omission).
    No room at 80 columns for p99.9, memory.

    Verdicts

      runtime               http-get 64  file-read 64  db-select 64
      sync                           1×            1×            1×
      threads                   ▲ 15.9×       ▲ 16.5×       ▲ 16.7×
      pool                      ▲ 23.1×       ▲ 23.8×       ▲ 23.7×
      tokio                     ▲ 45.6×       ▲ 45.4×       ▲ 48.2×
      tokio-current-thread      ▲ 75.6×       ▲ 76.5×       ▲ 76.1×
      async-std                 ▲ 61.6×       ▲ 63.5×       ▲ 62.1×
      smol                      ▲ 78.0×       ▲ 78.2×       ▲ 79.7×

      ▲ faster than the reference (1×), ▼ slower, = tie, ? cannot be told; ratios of
        throughput, under an open load of response time.

    warning: The load average was 1.7 on 2 CPUs when the run began; other processes
      were busy.

    db-select with 64 sessions: smol has 75.7 to 84.1 times the rate of sync; its
      lead over tokio-current-thread is not certain.
    "#);
}

#[test]
fn open_loads_are_reported_by_their_response_time() {
    insta::assert_snapshot!(plain(&fixtures::open_loads()), @r#"
    http-get  Small responses over keep-alive connections
    open, 1000/s, 64 sessions · mock http server · 10 rounds of 2s

      runtime ops/s    p50     p99   p99.9 service p99 vs sync    interval  verdict
      sync    1.00k  458µs  ~659µs ~1.04ms      ~600µs      1×
      smol    1.00k  649µs  ~947µs ~1.78ms      ~889µs   1.40× 1.36×–1.48× ▼ slower
      tokio   1.00k 1.19ms ~1.68ms ~1.75ms     ~1.62ms   2.60× 2.46×–2.85× ▼ slower
      threads 1.00k 1.73ms ~2.51ms ~4.34ms     ~2.45ms   3.76× 3.50×–4.02× ▼ slower

      idle task    bytes
      sync       1.21KiB
      smol       1.21KiB
      tokio      1.21KiB
      threads    1.21KiB

      probe lag    p50     p99    max
      sync       160µs  ~258µs  260µs
      smol       160µs  ~258µs  260µs
      tokio      160µs  ~258µs  260µs
      threads    160µs  ~258µs  260µs

      sync ran 1 session, not 64.
      By response p50 against sync: smol, tokio, threads slower.

    http-get  Small responses over keep-alive connections
    open, 6000/s Poisson, 64 sessions · mock http server · 10 rounds of 2s

      runtime          ops/s     p50     p99  vs sync          interval  verdict
      smol             6.00k   639µs   931µs 0.00075× 0.00072×–0.00078× ▲ faster
      tokio            6.00k  1.15ms  1.61ms  0.0013×   0.0012×–0.0014× ▲ faster
      threads          6.00k  1.69ms  2.45ms  0.0020×   0.0018×–0.0021× ▲ faster
      sync    2.25k not held ≥ 625ms ≥ 1.24s       1×

      idle task    bytes
      smol       1.21KiB
      tokio      1.21KiB
      threads    1.21KiB
      sync       1.21KiB

      probe lag    p50     p99    max
      smol       160µs  ~258µs  260µs
      tokio      160µs  ~258µs  260µs
      threads    160µs  ~258µs  260µs
      sync       160µs  ~258µs  260µs

      sync ran 1 session, not 64.
      sync did not hold the rate in 10 of 10 rounds: of 120k operations due, 75.2k
        had not started when the schedule ended, 44.4k started more than 1ms late,
        75.2k were never sent.
      By response p99 against sync: smol, tokio, threads faster.

    interval: that of the ratio, with confidence 99% over 10 rounds.
    faster, slower: the whole interval is beyond 2%; tie: all of it is within 2%;
      inconclusive: neither, so this run cannot decide.
    ~ too few operations in a round for this percentile: a hint, not a result.
    ≥ a lower bound: unfinished operations count with the time they had waited so
      far, and times beyond 60 s count as 60 s.
    Open load: response time runs from when an operation was due (p50, p99 and p99.9
      are response times), service time from its start; lag is the time between.
    No room at 80 columns for offered/s, lag p99, CPU/op, memory, p99.9, service
      p99.

    Verdicts

      runtime  http-get 1.00k/s  http-get 6.00k/s
      sync                   1×                1×
      threads           ▼ 3.76×         ▲ 0.0020×
      tokio             ▼ 2.60×         ▲ 0.0013×
      smol              ▼ 1.40×        ▲ 0.00075×

      ▲ faster than the reference (1×), ▼ slower, = tie, ? cannot be told; ratios of
        throughput, under an open load of response time.

    http-get at 6.00k/s: smol has 0.00072 to 0.00078 times the response p99 of sync.
    "#);
}

#[test]
fn a_search_is_one_table_of_its_findings() {
    insta::assert_snapshot!(plain(&fixtures::search()), @r#"
    http-get  Small responses over keep-alive connections
    highest rate with response_p99 < 50ms, 64 sessions · mock http server · rounds
      of 2s

      runtime  highest rate  not met at  response p99  rates  rounds
      smol        ≥ 4.50k/s        none       ~17.3ms      7      21
      tokio         3.20k/s     3.80k/s       ~23.1ms      7      21
      threads          none       800/s           n/a      7      21

      smol: unfinished: the objective is met at the highest rate there is, 4500/s
      threads: unfinished: the objective is not met at the lowest rate that was
        tried, 800/s
      sync: unsupported: one session cannot hold an open load

    Search: the highest rate at which two rounds agreed that the objective is met,
      and the lowest at which two agreed that it is not, at most 5% apart. ≥ before
      a rate: the search did not finish. No verdict compares the rates of two
      runtimes.
    ~ too few operations in a round for this percentile: a hint, not a result.
    Open load: response time runs from when an operation was due (p50, p99 and p99.9
      are response times), service time from its start; lag is the time between.
    "#);
}

#[test]
fn an_interrupted_search_reports_what_it_has() {
    insta::assert_snapshot!(plain(&fixtures::search_cut_short()), @r#"
    The run was interrupted; partial results follow.

    http-get  Small responses over keep-alive connections
    highest rate with response_p99 < 50ms, 64 sessions · mock http server · rounds
      of 2s

      runtime  highest rate  not met at  response p99  rates  rounds
      threads          none       800/s           n/a      1       3
      tokio             n/a         n/a           n/a      0       0

      threads: unfinished: the run ended before the search did
      tokio: unfinished: the run ended before the search did
      sync: unsupported: one session cannot hold an open load

    Search: the highest rate at which two rounds agreed that the objective is met,
      and the lowest at which two agreed that it is not, at most 5% apart. ≥ before
      a rate: the search did not finish. No verdict compares the rates of two
      runtimes.
    ~ too few operations in a round for this percentile: a hint, not a result.
    Open load: response time runs from when an operation was due (p50, p99 and p99.9
      are response times), service time from its start; lag is the time between.
    "#);
}

#[test]
fn a_narrow_terminal_keeps_the_rate_that_was_not_held() {
    let text = render(
        &fixtures::open_loads(),
        Style {
            width: 40,
            colour: false,
        },
    );
    assert!(text.contains("2.25k not held"), "{text}");
}

#[test]
fn everything_that_goes_wrong_is_reported_next_to_the_numbers() {
    insta::assert_snapshot!(plain(&fixtures::failures()), @r#"
    http-get  Small responses over keep-alive connections
    closed, 16 in flight · mock http server · 5 rounds of 2s

      runtime    ops/s   p50     p99   p99.9 CPU/op  memory vs threads    interval
      async-std† 72.9k 204µs  ~578µs ~1.58ms 10.2µs 10.4MiB      2.94× 2.84×–3.04×
      threads    23.9k 632µs ~1.27ms ~4.76ms 30.4µs 10.4MiB         1×

      sync: unsupported: producers and consumers at once need more than one thread
      pool: failed: the server was gone: connection refused (os error 111)
      tokio: invalid: http: the server counted 4003 requests, the worker 4002 (and 4
        more)
      tokio-current-thread: invalid: 18.37% of operations failed; the limit is 1%:
        900 timeout (and 4 more)
      smol: invalid: operation 17: expected 2 bytes, got 3
      tokio-current-thread: errors: 4.50k × timeout (operation 12: timeout after 5
        ms)
      async-std: errors: 5 × reset (operation 12: reset after 5 ms), 15 × timeout
        (operation 12: timeout after 5 ms)
      No verdict against threads: 8 rounds of each are needed, but there are only 4.

    interval: that of the ratio, with confidence 87.5% over 4 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    † async-std (discontinued)
    Closed load: each session waits for its previous operation, so these are service
      times; queueing is hidden (coordinated omission).

    warning: http-get / threads (closed, 16 in flight): 1 of 5 rounds failed: the
      worker was killed by signal 9

    No verdict in 1 comparison: 8 rounds of each are needed, but there are only 4.
    "#);
}

#[test]
fn an_interrupted_run_shows_its_results_so_far() {
    insta::assert_snapshot!(plain(&fixtures::interrupted()), @r#"
    The run was interrupted; partial results follow.

    http-get  Small responses over keep-alive connections
    closed, 64 in flight · mock http server · 2 rounds of 2s

      runtime              ops/s    p50    p99 CPU/op  memory vs sync    interval
      smol                  187k  325µs  510µs 17.0µs 14.6MiB   79.1×
      tokio-current-thread  169k  370µs  552µs 18.5µs 14.6MiB   71.5×
      async-std†            144k  421µs  988µs 21.4µs 14.6MiB   60.8×
      tokio                 105k  592µs  873µs 30.0µs 14.6MiB   44.7× 42.9×–46.7×
      pool                 52.5k 1.15ms 3.36ms 50.0µs 14.6MiB   22.3× 22.0×–22.6×
      threads              34.6k 1.75ms 5.01ms 50.0µs 14.6MiB   14.7× 14.4×–15.0×
      sync                 2.35k  405µs  831µs 21.0µs 9.15MiB      1×

      sync ran 1 session, not 64.
      By throughput against sync: smol, tokio-current-thread, async-std without a
        verdict (8 rounds of each are needed, but there is only 1); tokio, pool,
        threads without a verdict (8 rounds of each are needed, but there are only
        2).

    file-read  Read a 64 KiB file whole
    closed, 64 in flight · no server · 1 round of 2s

      runtime               ops/s     p50    p99  CPU/op   memory  vs sync  interval
      smol                   781k  76.5µs  275µs  3.85µs  14.6MiB    74.3×
      tokio-current-thread   750k  83.1µs  122µs  4.18µs  14.6MiB    71.3×
      async-std†             611k   101µs  153µs  4.84µs  14.6MiB    58.1×
      tokio                  457k   137µs  203µs  6.78µs  14.6MiB    43.5×
      pool                   226k   270µs  476µs  13.1µs  14.6MiB    21.5×
      threads                163k   376µs  604µs  18.7µs  14.6MiB    15.5×
      sync                  10.5k  90.6µs  153µs  4.75µs  9.15MiB       1×

      sync ran 1 session, not 64.
      No verdict against sync: 8 rounds of each are needed, but there is only 1.

    db-select  One row by primary key
    closed, 64 in flight · PostgreSQL 15.18 at
      postgres://postgres@127.0.0.1:5432/bench · 1 round of 2s

      runtime  ops/s     p50     p99    p99.9  CPU/op   memory  vs sync  interval
      pool     12.4k  4.90ms  12.8ms  ~35.4ms  50.0µs  14.6MiB    25.5×
      threads  8.72k  6.81ms  25.2ms  ~61.1ms  50.0µs  14.6MiB    17.9×
      sync       486  1.93ms  7.36ms  ~14.3ms  50.0µs  9.15MiB       1×

      tokio, tokio-current-thread, async-std, smol: failed: the run was interrupted
        before its first round
      sync ran 1 session, not 64.
      No verdict against sync: 8 rounds of each are needed, but there is only 1.

    interval: that of the ratio, with confidence 50% over 2 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    † async-std (discontinued)
    Closed load: each session waits for its previous operation, so these are service
      times; queueing is hidden (coordinated omission).
    No room at 80 columns for p99.9.

    Verdicts

      runtime               http-get 64  file-read 64  db-select 64
      sync                           1×            1×            1×
      threads                     14.7×         15.5×         17.9×
      pool                        22.3×         21.5×         25.5×
      tokio                       44.7×         43.5×        failed
      tokio-current-thread        71.5×         71.3×        failed
      async-std                   60.8×         58.1×        failed
      smol                        79.1×         74.3×        failed

      ▲ faster than the reference (1×), ▼ slower, = tie, ? cannot be told; ratios of
        throughput, under an open load of response time.

    warning: The load average was 1.7 on 2 CPUs when the run began; other processes
      were busy.

    No verdict in 14 comparisons: 8 rounds of each are needed, but there are only 2.
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
    Closed load: each session waits for its previous operation, so these are service
      times; queueing is hidden (coordinated omission).
    "#);
}

#[test]
fn an_empty_run_says_so() {
    insta::assert_snapshot!(plain(&fixtures::empty()), @r#"
    The run failed: the disk is full. Partial results follow.

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

      runtime                  ops/s   p50    p99 CPU/op  memory vs ref.    interval
      tokio                    28.3k 3.45s ~5.13s 50.0µs 8.39GiB   3.54× 3.51×–3.56×
      otherwise-qu…ary-runtime 17.5k 5.44s ~9.53s 50.0µs 8.39GiB   2.22× 2.11×–2.35×
      a-runtime-wi…0.19.0-beta 7.95k 12.0s ~28.4s 50.0µs 8.39GiB      1×

      No verdict against a-runtime-with-a-very-long-name-indeed-0.19.0-beta: 8
        rounds of each are needed, but there are only 3.

    interval: that of the ratio, with confidence 75% over 3 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    ≥ a lower bound: unfinished operations count with the time they had waited so
      far, and times beyond 60 s count as 60 s.
    Closed load: each session waits for its previous operation, so these are service
      times; queueing is hidden (coordinated omission).
    No room at 80 columns for p99.9.

    warning:
      widewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewi
      dewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewide
      widewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewidewi
      dewide

    No verdict in 2 comparisons: 8 rounds of each are needed, but there are only 3.
    "#);
}

#[test]
fn nanoseconds_and_minutes_fit_one_table() {
    insta::assert_snapshot!(plain(&fixtures::extremes()), @r#"
    http-get  Small responses over keep-alive connections
    closed, 1 in flight · no server · 4 rounds of 5 operations

      runtime ops/s     p50    p99  CPU/op  memory    vs sync              interval
      sync    85.5M  11.0ns 28.0ns 0.600ns 9.15MiB         1×
      tokio   1.00M ~1.03µs      –  50.0ns 9.15MiB     0.012×        0.0099×–0.013×
      threads 0.018   ≥ 60s      –  50.0µs 9.15MiB <0.000001× <0.000001×–<0.000001×

      No verdict against sync: 8 rounds of each are needed, but there are only 4.

    interval: that of the ratio, with confidence 87.5% over 4 rounds.
    ~ too few operations in a round for this percentile: a hint, not a result.
    – too few operations: this percentile would just be the longest time.
    ≥ a lower bound: unfinished operations count with the time they had waited so
      far, and times beyond 60 s count as 60 s.
    Closed load: each session waits for its previous operation, so these are service
      times; queueing is hidden (coordinated omission).
    No room at 80 columns for p99.9.

    No verdict in 2 comparisons: 8 rounds of each are needed, but there are only 4.
    "#);
}

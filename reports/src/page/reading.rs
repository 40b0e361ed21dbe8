//! The page's last section: how to read the numbers, and the statistics behind them. METHOD.md has the rest.

use maud::{Markup, html};

use crate::summary::Summary;
use crate::{describe, units};

pub(super) fn reading(summary: &Summary) -> Markup {
    let rule = summary.rule;
    html! {
        section id="reading" aria-labelledby="reading:heading" {
            h2 id="reading:heading" { "How to read the numbers" }
            ul {
                li { "Numbers are medians over rounds; a round is a fresh process. Below each is the median's interval: exact, \
                      with at least 95% confidence, from six rounds on; the range of the rounds with fewer." }
                @for sentence in describe::load_legends(summary) { li { (sentence) } }
                @for sentence in describe::mark_legends(summary).filter(|mark| *mark != describe::ADVISORY) {
                    li { (sentence) }
                }
                li { (describe::ADVISORY) " A p99 needs 10,000 operations, a p99.9 100,000, so that a hundred lie \
                      beyond it. Curves stop where fewer than ten operations remain." }
                li { "A ratio compares the two runtimes within each block, so that anything that slows the whole machine \
                      cancels out. Its interval is exact (Wilcoxon's signed ranks)." }
                li { "A verdict is " em { "faster" } " or " em { "slower" } " if the whole interval is beyond \
                      " (units::percent(rule.margin)) ", " em { "tie" } " if all of it is within that margin, and " em { "inconclusive" } " \
                      otherwise; equals are called different in at most " (units::percent(rule.alpha)) " of comparisons. \
                      Below an inconclusive one is the ratio that it would have needed with an interval as wide as it \
                      has; more rounds narrow it." }
                li { "CPU per operation is the user and system time of the worker process, without the server's. \
                      Memory is the peak resident memory of that process since its start." }
                li { "The overhead of the loop is the time of one empty operation under the same runtime and number of \
                      sessions, wall-clock time over operations. A difference below it is a tie." }
                li { "A ranking covers one metric in one scenario under one load: throughput under closed load, \
                      response time under open load." }
            }
        }
    }
}

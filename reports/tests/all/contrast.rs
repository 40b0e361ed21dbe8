//! The contrast of the page's colours, computed from its style sheet, on white and on dark.
//!
//! Text needs 4.5:1 (WCAG 2, AA), lines that carry meaning 3:1. Thin rules between rows and around boxes carry none.

use std::collections::BTreeMap;

const CSS: &str = include_str!("../../src/page.css");

/// Colours of text, each with the grounds that it stands on.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "text",
        &[
            "paper",
            "ground",
            "faster-1",
            "faster-2",
            "faster-3",
            "faster-4",
            "slower-1",
            "slower-2",
            "slower-3",
            "slower-4",
            "tie",
            "undecided",
        ],
    ),
    ("faint", &["paper", "ground", "undecided"]),
    ("link", &["paper", "ground"]),
    ("alert", &["alert-ground", "paper", "ground"]),
    ("bad", &["paper", "ground"]),
    ("good", &["paper", "ground"]),
];

/// Colours of lines that carry meaning: the best column, the outline of a target.
const LINES: &[(&str, &[&str])] = &[("border", &["paper"]), ("link", &["paper", "ground"])];

/// Rules without meaning.
const DECORATION: [&str; 2] = ["line", "alert-line"];

/// The variables of a theme: those of the first block, replaced by those of the second if it is dark.
fn colours(dark: bool) -> BTreeMap<&'static str, f64> {
    let blocks = CSS.split(":root {").skip(1).take(if dark { 2 } else { 1 });
    let declarations =
        blocks.flat_map(|block| block.split('}').next().unwrap_or_default().split(';'));
    declarations
        .filter_map(|declaration| {
            let (name, value) = declaration.trim().strip_prefix("--")?.split_once(": #")?;
            Some((name, luminance(u32::from_str_radix(value, 16).ok()?)))
        })
        .collect()
}

/// The relative luminance of WCAG 2.
fn luminance(rgb: u32) -> f64 {
    let linear = |shift: u32| {
        let share = f64::from(rgb >> shift & 0xFF) / 255.0;
        if share <= 0.03928 {
            share / 12.92
        } else {
            ((share + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(16) + 0.7152 * linear(8) + 0.0722 * linear(0)
}

fn check(dark: bool, pairs: &[(&str, &[&str])], least: f64) {
    let colours = colours(dark);
    for (colour, grounds) in pairs {
        for ground in *grounds {
            let (a, b) = (colours[colour] + 0.05, colours[ground] + 0.05);
            let contrast = a.max(b) / a.min(b);
            assert!(
                contrast >= least,
                "{colour} on {ground}, dark: {dark}: {contrast:.2} < {least}"
            );
        }
    }
}

#[test]
fn text_and_lines_stand_out_from_their_grounds_in_both_themes() {
    for dark in [false, true] {
        check(dark, TEXTS, 4.5);
        check(dark, LINES, 3.0);
    }
}

#[test]
fn every_colour_is_a_variable_whose_contrast_is_checked() {
    let checked = TEXTS.iter().chain(LINES);
    let checked: Vec<&str> = checked
        .flat_map(|(colour, grounds)| std::iter::once(colour).chain(*grounds))
        .chain(&DECORATION)
        .copied()
        .collect();
    let (light, dark) = (colours(false), colours(true));
    assert!(light.keys().all(|name| checked.contains(name)), "{light:?}");
    assert_eq!(light.len(), dark.len());
    assert!(
        light.iter().all(|(name, colour)| dark[name] != *colour),
        "a colour of both themes"
    );
    let outside = CSS
        .split(":root {")
        .skip(1)
        .map(|block| block.split_once('}').map_or("", |(_, rest)| rest));
    let outside: String = outside.collect();
    let hex = outside.split('#').skip(1).filter(|rest| {
        let digits = rest.chars().take_while(char::is_ascii_hexdigit).count();
        digits == 3 || digits == 6
    });
    assert_eq!(
        hex.collect::<Vec<_>>(),
        Vec::<&str>::new(),
        "a colour outside of the themes"
    );
}

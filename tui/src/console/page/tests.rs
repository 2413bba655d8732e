use super::*;

fn page(lines: &[&str], folded: Option<Vec<usize>>) -> Page {
    let mut parts = Vec::new();
    let mut writer = Writer::new(&mut parts, true);
    for text in lines {
        writer.push(line(Gutter::Agent, Printable::from_ours(text)));
    }
    writer.finish(folded)
}

fn place(line: usize, row: usize) -> Place {
    Place { line, row }
}

#[test]
fn steps_go_row_by_row_through_wrapped_lines_and_stop_at_the_ends() {
    let page = page(&["abcdef", "", "xy"], None);
    let step = |from, rows| page.step(from, rows, 2, false);
    assert_eq!(step(place(0, 0), 1), place(0, 1));
    assert_eq!(step(place(0, 0), 3), place(1, 0));
    assert_eq!(step(place(0, 1), 3), place(2, 0));
    assert_eq!(step(place(0, 0), 99), place(2, 0));
    assert_eq!(step(place(2, 0), -2), place(0, 2));
    assert_eq!(step(place(2, 0), -99), place(0, 0));
    assert_eq!(page.last_top(2, 2, false), place(1, 0));
    assert_eq!(page.last_top(99, 2, false), place(0, 0));
}

#[test]
fn folded_lines_are_not_counted_until_they_are_shown() {
    let page = page(&["a", "b", "c", "d"], Some(vec![0, 3]));
    assert_eq!((page.len(false), page.len(true)), (2, 4));
    assert_eq!(page.line(1, false).unwrap().text.as_str(), "d");
    assert_eq!(page.after_folding(place(1, 0), false), place(3, 0));
    assert_eq!(page.after_folding(place(3, 0), true), place(1, 0));
}

#[test]
fn a_very_long_line_is_cut_into_gated_chunks_that_together_are_the_line() {
    let long = "x".repeat(CHUNK * 2 + 1);
    let mut parts = Vec::new();
    let mut writer = Writer::new(&mut parts, true);
    writer.put(
        Line {
            emphasis: std::iter::once(CHUNK - 1..CHUNK + 1).collect(),
            ..line(Gutter::Agent, Printable::from_ours(&long))
        },
        true,
    );
    let page = writer.finish(None);
    assert_eq!(parts, [CHUNK, CHUNK, 1]);
    let texts: String = page.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, long);
    let emphasis: Vec<_> = page
        .lines
        .iter()
        .enumerate()
        .flat_map(|(at, line)| line.emphasis.iter().map(move |part| (at, part.clone())))
        .collect();
    assert_eq!(emphasis, [(0, CHUNK - 1..CHUNK), (1, 0..1)]);
}

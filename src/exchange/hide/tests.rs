//! What is hidden of a stream, line by line and in any split.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// What leaves of a stream that comes in pieces of this size. What leaves unchanged leaves as it came.
fn left(stream: &str, size: usize) -> String {
    let mut hide = Hide::new(Table::new().chunk().unwrap());
    let mut all = Vec::new();
    for piece in stream.as_bytes().chunks(size) {
        let mut out = Vec::new();
        hide.start();
        hide.feed(piece, &mut out);
        assert!(hide.differs() || out == piece, "{stream:?} by {size}");
        assert!(hide.waiting() <= MAX_HIDDEN + piece.len());
        all.extend(if hide.differs() { out } else { piece.to_vec() });
    }
    hide.start();
    hide.finish(&mut all);
    assert!(hide.is_idle(), "{stream:?} by {size}");
    String::from_utf8(all).unwrap()
}

fn check(stream: &str, expected: &str) {
    for size in [1, 2, 3, 5, 7, 11, 1000, usize::MAX] {
        assert_eq!(left(stream, size), expected, "{stream:?} by {size}");
    }
}

const TEXT: &str = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n";
const USAGE_ONLY: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A chunk with these members.
fn event(members: &str) -> String {
    format!("data: {{{members}}}\n\n")
}

const TOKENS: &str = "\"usage\":{\"prompt_tokens\":1}";

#[test]
fn exactly_what_only_tells_usage_goes() {
    check(&[TEXT, USAGE_ONLY, DONE].concat(), &[TEXT, DONE].concat());
    for members in [
        format!("\"choices\":[],{TOKENS}"),
        format!("{TOKENS},\"choices\":[ ]"),
        format!("\"choices\":null,{TOKENS}"),
        TOKENS.to_owned(),
        format!(
            "\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"provider\":\"p\",\
             \"system_fingerprint\":null,\"service_tier\":\"s\",\"obfuscation\":\"x\",\"x_groq\":{{\"id\":\"r\"}},{TOKENS}"
        ),
    ] {
        check(&[TEXT, &event(&members), DONE].concat(), &[TEXT, DONE].concat());
    }
}

/// reports F5, usage M23: sources, a vendor's measurements and errors stay.
#[test]
fn of_a_chunk_with_more_in_it_only_the_usage_goes() {
    for (members, rest) in [
        (format!("\"choices\":[],{TOKENS},\"citations\":[1,2]"), "\"choices\":[],\"citations\":[1,2]"),
        (format!("{TOKENS},\"choices\":[],\"sla_metrics\":{{\"a\":1}}"), "\"choices\":[],\"sla_metrics\":{\"a\":1}"),
        (format!("\"error\":{{\"code\":1}},\"choices\":null,{TOKENS}"), "\"error\":{\"code\":1},\"choices\":null"),
        (format!("\"object\":\"text_completion\",{TOKENS},\"x\":1"), "\"object\":\"text_completion\",\"x\":1"),
    ] {
        check(&[TEXT, &event(&members), DONE].concat(), &[TEXT, &event(rest), DONE].concat());
    }
}

#[test]
fn everything_else_stays() {
    for members in [
        "\"choices\":[],\"usage\":null".to_owned(),
        "\"choices\":[],\"prompt_filter_results\":[]".to_owned(),
        format!("\"choices\":[{{\"delta\":{{}}}}],{TOKENS}"),
        format!("\"choices\":[ {{\"delta\":{{}}}}],{TOKENS}"),
        format!("\"type\":\"message_delta\",{TOKENS}"),
        "\"output\":{\"choices\":[]},\"usage\":{\"input_tokens\":1}".to_owned(),
        format!("\"text\":\"{{\\\"choices\\\":[],\\\"usage\\\":{{}}\",\"n\":{{{TOKENS}}}"),
        format!("\"choices\":[],{TOKENS}}} x"),
        format!("\"choices\":[],{TOKENS},\"pad\":\"{}\"", "x".repeat(MAX_HIDDEN)),
    ] {
        let stream = [TEXT, &event(&members), DONE].concat();
        check(&stream, &stream);
    }
    for stream in
        ["", "\n", "\n\n\n", ": ping\n\n", "event: x\n", "data", "data:", "data: {", "\r\r\n\n\r", "x: y\r\n\r\n"]
    {
        check(stream, stream);
    }
}

/// audit L4, higress-suite C6: lines of one event are looked at one by one.
#[test]
fn lines_without_a_blank_line_between_them_are_looked_at_one_by_one() {
    let line = USAGE_ONLY.trim_end();
    check(&format!("{line}\ndata: [DONE]\n\n"), "data: [DONE]\n\n");
    check(&format!("{}\n{line}\n{DONE}", TEXT.trim_end()), &format!("{}\n{DONE}", TEXT.trim_end()));
    check(&format!("event: x\nid: 1\n{line}\n\n{DONE}"), DONE);
    check(&format!("{line}\nid: 1\n\n{DONE}"), DONE);
    check(&format!("id: 1\n{line}\ndata: 2\n\n"), "id: 1\ndata: 2\n\n");
    check(line, "");
    check(&format!("{TEXT}{line}\n"), TEXT);
}

#[test]
fn line_ends_of_every_kind_are_kept_or_go_with_their_line() {
    for end in ["\n", "\r\n", "\r"] {
        let lines = |text: &str| text.replace('\n', end);
        check(&lines(&[TEXT, USAGE_ONLY, TEXT, DONE].concat()), &lines(&[TEXT, TEXT, DONE].concat()));
        check(&lines(&format!("{TEXT}event: e\n{USAGE_ONLY}")), &lines(TEXT));
    }
}

#[test]
fn a_chunk_on_several_lines_is_one_chunk() {
    check("data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":1\ndata: }}\n\ndata: 1\n\n", "data: 1\n\n");
    check(
        "data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":1},\ndata: \"x\":1}\n\n",
        "data: {\"choices\":[],\"x\":1}\n\n",
    );
    let open = "data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":1}\n\ndata: 1\n\n";
    check(open, open);
}

/// A line that cannot be hidden never waits.
#[test]
fn what_cannot_be_hidden_leaves_at_once() {
    for part in ["data: {\"choices\":[{", "data: [DONE]", "data: x", "data: {\"choices\":[]}\n"] {
        let mut hide = Hide::new(Table::new().chunk().unwrap());
        let mut out = Vec::new();
        hide.feed(part.as_bytes(), &mut out);
        assert_eq!(out, part.as_bytes());
        assert_eq!(hide.waiting(), 0);
    }
}

//! `waypost::multipart` against forms that are put together part by part, and against damaged ones, cut anywhere.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use memchr::memmem;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use waypost::json::Output;
use waypost::multipart::{Decide, Editor, Error, boundary};

/// Sets `model`, there or not, and remembers what it was.
#[derive(Clone, Debug, Default)]
struct Set {
    new: Option<String>,
    seen: Vec<Option<String>>,
}

impl Decide for Set {
    type Error = Error;

    fn model(&mut self, value: &str) -> Result<Option<String>, Error> {
        self.seen.push(Some(value.to_owned()));
        Ok(self.new.clone())
    }

    fn end(&mut self) -> Result<Option<String>, Error> {
        self.seen.push(None);
        Ok(self.new.clone())
    }
}

type Outcome = Result<(Vec<u8>, Vec<Option<String>>), Error>;

/// Feeds a body that is cut at these places.
fn stream(boundary: &str, body: &[u8], cuts: &[Index], new: Option<&str>) -> Outcome {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    cuts.push(body.len());
    cuts.sort_unstable();
    let mut set = Set { new: new.map(str::to_owned), seen: Vec::new() };
    let mut editor = Editor::new(boundary);
    let mut out = Vec::new();
    let mut from = 0;
    for cut in cuts {
        let chunk = &body[from..cut];
        match editor.feed(chunk, &mut set)? {
            Output::Unchanged => out.extend_from_slice(chunk),
            Output::Bytes(bytes) => out.extend_from_slice(&bytes),
        }
        from = cut;
    }
    editor.finish()?;
    Ok((out, set.seen))
}

/// The same, byte by byte.
fn by_byte(boundary: &str, body: &[u8], new: Option<&str>) -> Outcome {
    let mut set = Set { new: new.map(str::to_owned), seen: Vec::new() };
    let mut editor = Editor::new(boundary);
    let mut out = Vec::new();
    for chunk in body.chunks(1) {
        match editor.feed(chunk, &mut set)? {
            Output::Unchanged => out.extend_from_slice(chunk),
            Output::Bytes(bytes) => out.extend_from_slice(&bytes),
        }
    }
    editor.finish()?;
    Ok((out, set.seen))
}

fn boundaries() -> impl Strategy<Value = String> {
    let known = select(vec!["b", "-", "--", "a--a", "aa", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "0"]);
    prop_oneof![known.prop_map(str::to_owned), "[-0-9a-zA-Z'()+_./:=?]{1,70}"]
}

/// Content in which delimiters begin and come to nothing; now and then there is one.
fn content(boundary: String) -> impl Strategy<Value = Vec<u8>> {
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let near = (any::<Index>(), any::<Index>()).prop_map(move |(from, to)| {
        let to = to.index(delimiter.len());
        delimiter[from.index(to + 1).min(to)..to].to_vec()
    });
    let piece = prop_oneof![
        4 => near,
        3 => select(vec!["\r", "\n", "\r\n", "-", "--", "\r\n--", "\r\n\r\n", "Content-Disposition: form-data; name=model"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..40),
        1 => (0usize..3000).prop_map(|length| vec![b'x'; length]),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A part: headers and content. `None` is the place of `model`.
fn other(boundary: String) -> impl Strategy<Value = (String, Vec<u8>)> {
    let headers = select(vec![
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav",
        "content-disposition: form-data; name=prompt",
        "Content-Disposition: form-data; name=\"image[]\"; filename=\"C:\\\\a;b\\\".png\"; filename*=utf-8''model",
        "Content-Length: 5\r\nContent-Disposition:form-data;name=\"é\"",
    ]);
    (headers.prop_map(str::to_owned), content(boundary))
}

#[derive(Clone, Debug)]
struct Form {
    boundary: String,
    preamble: Vec<u8>,
    before: Vec<(String, Vec<u8>)>,
    model: Option<(&'static str, String)>,
    behind: Vec<(String, Vec<u8>)>,
    end: &'static str,
    epilogue: Vec<u8>,
}

fn forms() -> impl Strategy<Value = Form> {
    let model = (
        select(vec![
            "Content-Disposition: form-data; name=\"model\"",
            "CONTENT-DISPOSITION:form-data;name=model\r\nContent-Length: LENGTH",
            "Content-Type: text/plain; charset=UTF-8\r\nContent-Disposition: form-data; name=\"model\"",
        ]),
        prop_oneof!["[a-z0-9.:/-]{0,30}", any::<String>(), Just("\r\n-".to_owned())],
    );
    boundaries().prop_flat_map(move |boundary| {
        (
            Just(boundary.clone()),
            option::of(content(boundary.clone())),
            vec(other(boundary.clone()), 0..3),
            option::of(model.clone()),
            vec(other(boundary.clone()), 0..3),
            select(vec!["", " \t", "\r\n", " \r\n", "\n"]),
            content(boundary),
        )
            .prop_map(|(boundary, preamble, before, model, behind, end, epilogue)| Form {
                boundary,
                preamble: preamble.map(|text| [text.as_slice(), b"\r\n"].concat()).unwrap_or_default(),
                before,
                model,
                behind,
                epilogue: if end.ends_with('\n') { epilogue } else { Vec::new() },
                end,
            })
    })
}

impl Form {
    /// The bytes, with another value of `model`.
    fn body(&self, new: Option<&str>) -> Vec<u8> {
        let mut out = self.preamble.clone();
        let delimiter = format!("--{}", self.boundary);
        let mut part = |headers: &str, content: &[u8]| {
            out.extend_from_slice(format!("{delimiter}\r\n{headers}\r\n\r\n").as_bytes());
            out.extend_from_slice(content);
            out.extend_from_slice(b"\r\n");
        };
        for (headers, content) in &self.before {
            part(headers, content);
        }
        if let Some((headers, value)) = &self.model {
            let value = new.unwrap_or(value);
            part(&headers.replace("LENGTH", &value.len().to_string()), value.as_bytes());
        }
        for (headers, content) in &self.behind {
            part(headers, content);
        }
        if let (None, Some(new)) = (&self.model, new) {
            part("Content-Disposition: form-data; name=\"model\"", new.as_bytes());
        }
        out.extend_from_slice(format!("{delimiter}--{}", self.end).as_bytes());
        out.extend_from_slice(&self.epilogue);
        out
    }

    /// Whether the boundary stands nowhere but in delimiters.
    fn is_clean(&self) -> bool {
        let delimiter = format!("--{}", self.boundary);
        let contents = self.before.iter().chain(&self.behind);
        let texts = contents.flat_map(|(headers, content)| [headers.as_bytes(), content.as_slice()]);
        let model = self.model.iter().flat_map(|(headers, value)| [headers.as_bytes(), value.as_bytes()]);
        let around = [self.preamble.as_slice(), self.epilogue.as_slice()];
        texts.chain(model).chain(around).all(|text| memmem::find(text, delimiter.as_bytes()).is_none())
    }
}

/// Pieces of forms in any order.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(vec![
            "\r\n--b", "--b", "--", "-", "b", "\r", "\n", "\r\n", "\r\n\r\n", " ", ":", ";", "=", "\"", "\\",
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n",
            "--b\r\nContent-Disposition: form-data; name=x\r\n\r\nx\r\n",
            "--b--\r\n", "Content-Disposition: form-data", "; name=\"model\"", "; name=x", "; filename=\"f\"",
            "Content-Length: 1", "\r\nContent-Type: text/plain",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..5),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn only_the_model_changes(
        form in forms(),
        cuts in vec(any::<Index>(), 0..12),
        new in option::of("[a-z0-9.:/-]{0,40}"),
    ) {
        let body = form.body(None);
        let delimiter = format!("--{}", form.boundary);
        let new = new.filter(|new| !new.contains(&delimiter));
        let result = stream(&form.boundary, &body, &cuts, new.as_deref());
        prop_assert_eq!(&result, &by_byte(&form.boundary, &body, new.as_deref()));
        if form.is_clean() {
            let (out, seen) = result.unwrap();
            prop_assert_eq!(out, form.body(new.as_deref()));
            prop_assert_eq!(seen, [form.model.map(|(_, value)| value)]);
        }
    }

    #[test]
    fn cuts_change_nothing(body in soup(), cuts in vec(any::<Index>(), 0..12), new in option::of("[a-c-]{0,4}")) {
        let whole = stream("b", &body, &[], new.as_deref());
        prop_assert_eq!(&stream("b", &body, &cuts, new.as_deref()), &whole);
        prop_assert_eq!(&by_byte("b", &body, new.as_deref()), &whole);
        if let (Ok((out, _)), None) = (whole, new) {
            prop_assert_eq!(out, body);
        }
    }

    /// What passes can be edited again, and then has the new model.
    #[test]
    fn edits_are_found_again(form in forms(), new in "[a-z]{0,9}") {
        prop_assume!(form.is_clean() && !new.contains(&format!("--{}", form.boundary)));
        let (out, _) = stream(&form.boundary, &form.body(None), &[], Some(&new)).unwrap();
        prop_assert_eq!(stream(&form.boundary, &out, &[], Some(&new)), Ok((out.clone(), vec![Some(new)])));
    }

    #[test]
    fn any_bytes(any_boundary: String, body: Vec<u8>, cuts in vec(any::<Index>(), 0..4)) {
        let _ = stream(&any_boundary, &body, &cuts, Some("new"));
    }

    #[test]
    fn any_headers(headers: Vec<u8>, cuts in vec(any::<Index>(), 0..4)) {
        let body = [b"--b\r\n", headers.as_slice(), b"\r\n\r\nx\r\n--b--"].concat();
        prop_assert_eq!(stream("b", &body, &cuts, None), by_byte("b", &body, None));
    }

    #[test]
    fn any_content_type(text: String, found in boundaries()) {
        let _ = boundary(&text);
        let _ = boundary(&format!("multipart/form-data;{text}"));
        let quoted = format!("multipart/form-data; charset=utf-8; Boundary=\"{found}\"");
        prop_assert_eq!(boundary(&quoted), Ok(found.as_str()));
    }
}

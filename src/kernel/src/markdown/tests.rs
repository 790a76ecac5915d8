use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn json_of(text: &str) -> Value {
    serde_json::to_value(tokens(text)).expect("tokens serialise")
}

/// The text alone, blocks and breaks as `/`.
fn text_of(text: &str) -> String {
    tokens(text)
        .iter()
        .map(|token| match token {
            MarkdownToken::Text { text } => text.as_str(),
            MarkdownToken::Code { code } | MarkdownToken::FencedCode { code, .. } => code,
            MarkdownToken::SoftBreak
            | MarkdownToken::HardBreak
            | MarkdownToken::ParagraphEnd
            | MarkdownToken::HeadingEnd
            | MarkdownToken::ListItemEnd => "/",
            _ => "",
        })
        .collect()
}

/// Balanced, within the bounds, and as large as the writer believed.
fn check(text: &str) {
    let tokens = tokens(text);
    assert!(tokens.len() <= MAX_TOKENS, "{} tokens", tokens.len());
    let json = serde_json::to_string(&tokens).expect("tokens serialise");
    assert!(json.len() <= MAX_JSON_BYTES, "{} bytes", json.len());
    let counted: usize = tokens.iter().map(json_bytes).sum::<usize>() + "[]".len();
    assert_eq!(
        counted,
        json.len() + usize::from(!tokens.is_empty()),
        "sizes are counted exactly"
    );

    let mut open = Vec::new();
    for token in &tokens {
        let name = serde_json::to_value(token).expect("serialises")["type"]
            .as_str()
            .expect("a type")
            .to_string();
        if let Some(kind) = name.strip_suffix("_start") {
            open.push(kind.to_string());
        } else if let Some(kind) = name.strip_suffix("_end") {
            assert_eq!(open.pop().as_deref(), Some(kind), "in {tokens:?}");
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    let texts_follow_each_other = tokens.windows(2).any(|pair| {
        matches!(
            pair,
            [MarkdownToken::Text { .. }, MarkdownToken::Text { .. }]
        )
    });
    assert!(!texts_follow_each_other);
}

#[test]
fn every_kind_of_token_has_its_form() {
    assert_eq!(
        json_of("# A\n\nsome *soft* **strong** `code`\nnext  \nlast [link](https://a.b/c)"),
        json!([
            {"type": "heading_start", "level": 1},
            {"type": "text", "text": "A"},
            {"type": "heading_end"},
            {"type": "paragraph_start"},
            {"type": "text", "text": "some "},
            {"type": "emphasis_start"},
            {"type": "text", "text": "soft"},
            {"type": "emphasis_end"},
            {"type": "text", "text": " "},
            {"type": "strong_start"},
            {"type": "text", "text": "strong"},
            {"type": "strong_end"},
            {"type": "text", "text": " "},
            {"type": "code", "code": "code"},
            {"type": "soft_break"},
            {"type": "text", "text": "next"},
            {"type": "hard_break"},
            {"type": "text", "text": "last "},
            {"type": "link_start", "href": "https://a.b/c"},
            {"type": "text", "text": "link"},
            {"type": "link_end"},
            {"type": "paragraph_end"},
        ])
    );
    assert_eq!(
        json_of("- a\n- b\n\n1. c"),
        json!([
            {"type": "list_start", "ordered": false},
            {"type": "list_item_start"},
            {"type": "text", "text": "a"},
            {"type": "list_item_end"},
            {"type": "list_item_start"},
            {"type": "text", "text": "b"},
            {"type": "list_item_end"},
            {"type": "list_end"},
            {"type": "list_start", "ordered": true},
            {"type": "list_item_start"},
            {"type": "text", "text": "c"},
            {"type": "list_item_end"},
            {"type": "list_end"},
        ])
    );
}

#[test]
fn a_code_block_keeps_its_text_and_a_plain_language() {
    let fenced = |info: &str| json_of(&format!("```{info}\nlet x;\n<b>\n```"))[0].clone();
    assert_eq!(
        fenced("Rust linenos"),
        json!({"type": "fenced_code", "language": "rust", "code": "let x;\n<b>\n"})
    );
    assert_eq!(fenced("c++")["language"], "c++");
    for none in ["", "rust,ignore", "\u{e9}", "a/b", &"x".repeat(33)] {
        assert_eq!(
            fenced(none),
            json!({"type": "fenced_code", "code": "let x;\n<b>\n"}),
            "{none}"
        );
    }
    assert_eq!(
        json_of("    indented"),
        json!([{"type": "fenced_code", "code": "indented"}])
    );
}

#[test]
fn what_has_no_token_becomes_its_text() {
    assert_eq!(text_of("a <b onclick=x>b</b> c"), "a <b onclick=x>b</b> c/");
    assert_eq!(
        text_of("<script>\nalert(1)\n</script>"),
        "<script>/alert(1)/</script>/"
    );
    assert_eq!(text_of("> quoted\n> *text*"), "quoted/text/");
    assert_eq!(text_of("![alt *text*](https://a.b/i.png)"), "alt text/");
    assert_eq!(text_of("a\n\n***\n\nb"), "a/***/b/");
    assert_eq!(
        text_of("| a | b |\n|---|---|\n| c | d |"),
        "| a | b |/|---|---|/| c | d |/"
    );
    assert_eq!(text_of("~~a~~ $b$ [^1] &lt;"), "~~a~~ $b$ [^1] </");
}

#[test]
fn links_lead_to_http_https_and_mailto_only() {
    let hrefs = |text: &str| -> Vec<String> {
        tokens(text)
            .into_iter()
            .filter_map(|token| match token {
                MarkdownToken::LinkStart { href } => Some(href),
                _ => None,
            })
            .collect()
    };
    assert_eq!(
        hrefs("[a](http://a) <HTTPS://b> <c@d.e> [f](mailto:g@h.i) [j]\n\n[j]: https://k"),
        [
            "http://a",
            "HTTPS://b",
            "mailto:c@d.e",
            "mailto:g@h.i",
            "https://k"
        ]
    );
    for refused in [
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](java&#x09;script:x)",
        "[a](data:text/html,x)",
        "[a](//a.b)",
        "[a](/path)",
        "[a](#anchor)",
        "[a](file:///etc/passwd)",
        "[a](https://)",
        "[a](<https://a b>)",
        "[a](&#1;https://b)",
        "<ftp://a.b>",
    ] {
        assert_eq!(hrefs(refused), Vec::<String>::new(), "{refused}");
        assert!(!text_of(refused).is_empty(), "{refused} keeps its text");
    }
}

#[test]
fn a_definition_that_many_links_refer_to_does_not_multiply() {
    let text = format!(
        "{}\n\n[a]: https://{}",
        "[a] ".repeat(300),
        "x".repeat(1_000)
    );
    let total: usize = tokens(&text)
        .iter()
        .map(|token| match token {
            MarkdownToken::LinkStart { href } => href.len(),
            _ => 0,
        })
        .sum();
    assert!(total <= MIN_HREF_BUDGET, "{total}");
    assert!(text_of(&text).starts_with("a a a"));
    assert_eq!(
        text_of(&text).matches('a').count(),
        300,
        "the others keep their text"
    );
}

#[test]
fn hostile_texts_stay_within_the_bounds_and_cost_little() {
    let hostile = [
        "[",
        "]",
        "![",
        "[a](",
        "[a][",
        "*a ",
        "*a*",
        "**a_",
        "_",
        "`",
        "`a` ",
        "<",
        "<a ",
        "<!--",
        "&",
        "\\",
        "> ",
        ">",
        "- ",
        "- a\n",
        "-\n*\n",
        "1. ",
        "#\n",
        "a\n\n",
        "a\n",
        "\u{1}",
        "\"",
        "\u{1F600}",
        "```\n",
        "[a]: b\n",
        "***\n",
        "\t",
        "&nGt;",
        "<b>",
        "<p>\n",
        "a**b",
        "[]()",
        "[a](http://b)",
        "`` ` ",
    ];
    for part in hostile {
        let text = part.repeat(100_000 / part.len());
        let started = Instant::now();
        check(&text);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(5), "{part:?} took {took:?}");
        check(&part.repeat(2_000 / part.len()));
    }
}

#[test]
fn what_needs_too_many_tokens_is_one_plain_paragraph() {
    for part in ["-\n*\n", "#\n", "a\n"] {
        let text = part.repeat(2_000 / part.len());
        let expected = json!([
            {"type": "paragraph_start"},
            {"type": "text", "text": text},
            {"type": "paragraph_end"},
        ]);
        assert!(json_of(&text) == expected, "{part}");
    }
    let long = "a".repeat(1_000_000);
    assert!(
        text_of(&long).starts_with(&long[..40_000]),
        "of what does not fit the beginning is kept"
    );
    check(&long);
}

#[test]
fn a_message_in_ordinary_markdown_keeps_its_form() {
    for part in [
        "a word ",
        "- an item\n",
        "some *soft* words. ",
        "a\n\nparagraph\n\n",
        "`code` and ",
        "[link](https://a.b/c) ",
    ] {
        let text = part.repeat(2_000 / part.len());
        assert!(formatted(&text).is_some(), "{part}");
    }
}

#[test]
fn deep_nesting_keeps_the_text_and_loses_the_tokens() {
    let depth_of = |text: &str| {
        let mut depth = 0_i32;
        let mut deepest = 0;
        for token in json_of(text).as_array().expect("a list") {
            let kind = token["type"].as_str().expect("a type");
            depth += i32::from(kind.ends_with("_start")) - i32::from(kind.ends_with("_end"));
            deepest = deepest.max(depth);
        }
        deepest
    };
    let lists = format!("{}deep", "- ".repeat(300));
    // A paragraph or heading may stand inside of the deepest list.
    assert!(depth_of(&lists) <= MAX_DEPTH as i32 + 1);
    assert!(text_of(&lists).contains("deep"));
    check(&lists);
    let emphasis = format!("{}deep{}", "*a **b ".repeat(100), "** *".repeat(100));
    assert!(depth_of(&emphasis) <= MAX_DEPTH as i32 + 1);
    check(&emphasis);
}

#[test]
fn the_schema_describes_what_is_written() {
    let mut registry = Registry::new();
    MarkdownToken::register(&mut registry);
    let schema = &registry.schemas["MarkdownToken"];
    assert_eq!(schema.required, ["type"]);
    let fields: Vec<&str> = schema.properties.iter().map(|(name, _)| *name).collect();
    let kinds: Vec<Value> = registry.schemas["MarkdownTokenType"].enum_items.clone();
    for token in tokens("# a *b* **c** [d](https://e) `f`  \ng\nh\n\n- i\n\n```j\nk\n```") {
        let written = token.to_json().expect("json");
        assert_eq!(
            MarkdownToken::parse_from_json(Some(written.clone())).ok(),
            Some(token)
        );
        for (name, value) in written.as_object().expect("an object") {
            assert!(fields.contains(&name.as_str()), "{name}");
            if name == "type" {
                assert!(kinds.contains(value), "{value}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gives_balanced_tokens(text in "[-*_`#>\\[\\]()<>!&a: \n1.\\\\\"]{0,400}") {
        check(&text);
    }

    #[test]
    fn any_unicode_gives_balanced_tokens(text in "\\PC{0,200}") {
        check(&text);
    }
}

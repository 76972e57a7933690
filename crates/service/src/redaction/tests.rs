use proptest::prelude::*;

use super::*;
use crate::config::Format;
use crate::telemetry::testing::{Buffer, Captured};

#[test]
fn every_kind_of_secret_is_replaced() {
    let cases = [
        ("token Atza|IwEBIA-x_y/z+1== used", "token [redacted] used"),
        ("Atzr%7CIwEBIBc&grant", "[redacted]&grant"),
        ("Atz.sprdt|abc.def", "[redacted]"),
        ("\"amzn1.oa2-cs.v1.0123abcd\"", "\"[redacted]\""),
        ("{\"t\":\"Atza\\u007cIwEB\"}", "{\"t\":\"[redacted]\"}"),
        (
            "postgres://app:hunter2@db/x",
            "postgres://app:[redacted]@db/x",
        ),
        ("redis://:p@ss:word@h:6379", "redis://:[redacted]@h:6379"),
        (
            "postgres://db/x?user=a&password=hunter2&sslmode=require",
            "postgres://db/x?user=a&password=[redacted]&sslmode=require",
        ),
        ("two Atza|a Atzr|b", "two [redacted] [redacted]"),
    ];
    for (text, clean) in cases {
        assert_eq!(redact(text), clean, "{text}");
    }
}

#[test]
fn text_without_secrets_is_not_even_copied() {
    let harmless = [
        "amzn1.application-oa2-client.abc",
        "https://h:8080/a?b=c@d",
        "Atz",
        "::",
        "redis://user@h",
        "A",
        "ß:?&",
    ];
    for text in harmless {
        assert!(
            matches!(redact(text), Cow::Borrowed(same) if same == text),
            "{text}"
        );
    }
}

#[test]
fn a_token_is_redacted_in_messages_fields_and_spans_of_both_formats() {
    for format in [Format::Json, Format::Human] {
        let captured = Captured::start_as(format);
        let span = tracing::info_span!("job", token = "Atzr|CANARY-span");
        span.in_scope(|| tracing::info!(url = "redis://u:CANARY@h", secret = ?"Atza|\"CANARY", "got Atza|CANARY"));
        let text = captured.text();
        assert!(text.contains("got [redacted]"), "{text}");
        assert!(
            !text.contains("CANARY-span")
                && !text.contains("u:CANARY")
                && !text.contains("Atza|CANARY"),
            "{text}"
        );
    }
}

fn secret() -> impl Strategy<Value = (String, String)> {
    let token = (prop::sample::select(TOKENS), "[A-Za-z0-9_+/=-]{12,80}");
    let token = token.prop_map(|(prefix, body)| (format!("{prefix}{body}"), body));
    let url =
        "[A-Za-z0-9:@!%-]{12,40}".prop_map(|body| (format!("redis://user:{body}@host:1/0"), body));
    prop_oneof![token, url]
}

/// Harmless text that cannot run into a secret; every word of a secret is longer.
fn harmless() -> impl Strategy<Value = String> {
    "([a-z0-9 äß€{},:?&\"]{0,11} )*"
}

proptest! {
    #[test]
    fn no_secret_passes_however_the_line_is_cut(
        before in harmless(), (text, body) in secret(), after in harmless(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)
    ) {
        let line = format!("{before} {text} {after}\n");
        let bytes = line.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let buffer = Buffer::default();
        let redacting = Redacting::new({ let buffer = buffer.clone(); move || buffer.clone() });
        let mut writer = redacting.make_writer();
        let mut from = 0;
        for to in cuts.into_iter().chain([bytes.len()]) {
            writer.write_all(&bytes[from..to]).unwrap();
            from = to;
        }
        drop(writer);
        let written = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        prop_assert!(!written.contains(&body), "{written}");
        prop_assert!(written.contains(REDACTED), "{written}");
        prop_assert!(written.starts_with(&before) && written.ends_with(&format!("{after}\n")), "{written}");
    }

    #[test]
    fn redacting_twice_changes_nothing(text in "\\PC{0,200}", (secret, _) in secret()) {
        let once = redact(&format!("{text}{secret}{text}")).into_owned();
        prop_assert_eq!(redact(&once), once.as_str());
    }

    #[test]
    fn text_of_any_kind_is_survived(text in any::<String>()) {
        let _ = redact(&text);
    }
}

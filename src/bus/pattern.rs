/// Whether `pattern` matches the whole of `topic`. In a pattern `*` stands for any run of
/// characters, also none, and `?` for exactly one; every other character stands for itself. There
/// is no escape.
///
/// Takes at most time in proportion to the product of both lengths, and no memory.
///
/// ```
/// use tapline::bus::topic_matches;
///
/// assert!(topic_matches("orders.*.filled", "orders.ABC.filled"));
/// assert!(topic_matches("bars.?m", "bars.5m"));
/// assert!(!topic_matches("bars.?m", "bars.15m"));
/// ```
pub fn topic_matches(pattern: &str, topic: &str) -> bool {
    let (pattern, topic) = (pattern.as_bytes(), topic.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when a mismatch shows that the last `*` has to swallow one character more.
    // Earlier ones need no second try: what follows them was found at its first place, which
    // leaves the most to the rest.
    let mut retry = None;
    while t < topic.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(b'?') => {
                p += 1;
                t += char_len(topic[t]);
            }
            // Byte by byte is enough here: equal characters have equal bytes, and both sides are
            // at the start of a character together.
            Some(byte) if *byte == topic[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, swallowed)) = retry else {
                    return false;
                };
                t = swallowed + char_len(topic[swallowed]);
                p = after_star;
                retry = Some((p, t));
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Bytes of the UTF-8 character that starts with `first`.
fn char_len(first: u8) -> usize {
    first.leading_ones().max(1) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::topic_matches;

    fn assert_matches(pattern: &str, topics: &[(&str, bool)]) {
        for (topic, expected) in topics {
            assert_eq!(topic_matches(pattern, topic), *expected, "{pattern:?} on {topic:?}");
        }
    }

    #[test]
    fn a_pattern_without_wildcards_matches_itself_only() {
        assert_matches("a.b", &[("a.b", true), ("a.bc", false), ("a", false), ("a?b", false)]);
        assert_matches("", &[("", true), ("a", false)]);
    }

    #[test]
    fn star_stands_for_any_run_also_an_empty_one() {
        assert_matches("*", &[("", true), ("a", true), ("a.b.c", true), ("é", true)]);
        assert_matches("a.*", &[("a.", true), ("a.b.c", true), ("a", false), ("b.a.", false)]);
        assert_matches("*.b", &[(".b", true), ("a.b", true), ("b.b.b", true), ("a.bc", false)]);
        assert_matches("a*b*c", &[("abc", true), ("a.b.b.c", true), ("acb", false)]);
        assert_matches("**", &[("", true), ("ab", true)]);
    }

    #[test]
    fn question_mark_stands_for_exactly_one_character() {
        assert_matches("?", &[("a", true), ("é", true), ("𝄞", true), ("", false), ("ab", false)]);
        assert_matches("a?c", &[("abc", true), ("a𝄞c", true), ("ac", false), ("abbc", false)]);
        assert_matches("??", &[("éa", true), ("é", false)]);
    }

    #[test]
    fn wildcards_combine() {
        assert_matches("*?", &[("", false), ("é", true), ("abc", true)]);
        assert_matches("?*?", &[("a", false), ("é", false), ("ab", true), ("aéb", true)]);
        assert_matches("*é?", &[("éé", true), ("aééa", true), ("é", false)]);
    }

    #[test]
    fn a_wildcard_in_a_topic_is_an_ordinary_character() {
        assert_matches("a?", &[("a*", true)]);
        assert_matches("ab", &[("a*", false), ("a?", false)]);
        assert_matches("*b", &[("*ab", true), ("*", false)]);
    }

    #[test]
    fn many_stars_do_not_blow_up() {
        let pattern = "a*".repeat(60) + "b";
        assert!(!topic_matches(&pattern, &"a".repeat(10_000)));
        assert!(topic_matches(&pattern, &("a".repeat(10_000) + "b")));
    }

    /// The definition, word for word, with exponential cost.
    fn oracle(pattern: &[char], topic: &[char]) -> bool {
        match (pattern.split_first(), topic.split_first()) {
            (None, _) => topic.is_empty(),
            (Some(('*', rest)), _) => (0..=topic.len()).any(|n| oracle(rest, &topic[n..])),
            (Some(('?', rest)), Some((_, tail))) => oracle(rest, tail),
            (Some((c, rest)), Some((d, tail))) => c == d && oracle(rest, tail),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn agrees_with_the_definition(pattern in "[abé\u{e8}𝄞*?]{0,8}", topic in "[abé\u{e8}𝄞*?]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(
                topic_matches(&pattern, &topic),
                oracle(&chars(&pattern), &chars(&topic))
            );
        }
    }
}

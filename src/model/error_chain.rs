use std::error::Error;

/// The text of `error` and of all its sources, outermost first: `A: B: C`.
///
/// The errors of this crate leave their sources out of their own texts. Errors of other crates
/// often end with the text of their source; such a source is not shown twice.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        if !chain.ends_with(&text) {
            chain.push_str(": ");
            chain.push_str(&text);
        }
        next = source.source();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain_of(texts: &[&'static str]) -> String {
        let link = |source, text: &&'static str| Some(Box::new(Link { text, source }));
        error_chain(&*texts.iter().rev().fold(None, link).expect("one text at least"))
    }

    #[test]
    fn sources_follow_the_error() {
        assert_eq!(chain_of(&["cannot open"]), "cannot open");
        assert_eq!(chain_of(&["cannot open", "no room", "disk 1"]), "cannot open: no room: disk 1");
    }

    #[test]
    fn repeated_source_is_shown_once() {
        assert_eq!(chain_of(&["External: no room", "no room"]), "External: no room");
    }
}

use std::collections::HashMap;

/// It's a counter (of words).
pub struct Words<'a> {
    counts: HashMap<&'a str, usize>,
}

impl<'a> Words<'a> {
    pub fn of(text: &'a str) -> Words<'a> {
        let mut counts = HashMap::new();
        for word in text.split(|c: char| c == '(' || c == '\'' || c.is_whitespace()) {
            *counts.entry(word).or_insert(0) += 1;
        }
        Words { counts }
    }

    pub fn most(&self, limit: usize) -> Vec<(&'a str, usize)> {
        let mut found: Vec<_> = self.counts.iter().map(|(word, count)| (*word, *count)).collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        found.truncate(limit);
        println!("{} words, r{}", found.len(), r#"aw "(""#);
        found
    }
}

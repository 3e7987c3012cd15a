//! A department's role: the few variables it may name, and what of a template it may hold.

/// Longest role, in bytes: it comes before every task, and is paid for with each.
pub const MAX_ROLE: usize = 32 * 1024;

/// The variables that a role can name, and the meaning of each.
pub const VARIABLES: [(&str, &str); 7] = [
    ("department", "the department's name"),
    ("description", "the department's description"),
    ("task_type", "the type of the task"),
    ("workspace", "the directory that the agent works in"),
    ("branch", "the branch of its workspace, if it has one"),
    ("departments", "the other departments, a line each"),
    ("messages", "what was sent to the department lately, a line each"),
];

/// An error in a role, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line of the role, from 1.
    pub line: usize,
    /// A part of a sentence.
    pub message: String,
    pub help: Option<String>,
}

/// Looks through a role for what can't be filled in: `{{ name }}` of a known name, `{% if name %}`, `{% else %}` and
/// `{% endif %}` can, and so can a text in quotes, `{{ "{{" }}`, for braces that are meant as such.
pub fn check(role: &str) -> Result<(), Fault> {
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(tag) = next(role, at) {
        let line = role[..tag.start].matches('\n').count() + 1;
        let fault = |message: String, help: Option<String>| Err(Fault { line, message, help });
        let Some(inside) = tag.inside else {
            return fault(format!("`{}` is never closed", tag.kind.0), Some(BRACES.to_owned()));
        };
        match tag.kind.0 {
            "{{" if is_quoted(inside) => {}
            "{{" => name(inside, line)?,
            "{%" => match inside.split_whitespace().collect::<Vec<_>>()[..] {
                ["if", wanted] | ["if", "not", wanted] => {
                    name(wanted, line)?;
                    open.push(line);
                }
                ["else"] if !open.is_empty() => {}
                ["endif"] if open.pop().is_some() => {}
                _ => {
                    let help = "a role has `{% if branch %}`, `{% else %}` and `{% endif %}`".to_owned();
                    return fault(format!("`{{% {inside} %}}` can't be used here"), Some(help));
                }
            },
            _ => {}
        }
        at = tag.end;
    }
    match open.pop() {
        Some(line) => Err(Fault { line, message: "this `{% if %}` has no `{% endif %}`".to_owned(), help: None }),
        None => Ok(()),
    }
}

const BRACES: &str = "write `{{ \"{{\" }}` for two braces that are meant as such";

fn name(wanted: &str, line: usize) -> Result<(), Fault> {
    let known = VARIABLES.map(|(name, _)| name);
    if known.contains(&wanted) {
        return Ok(());
    }
    let message = format!("there is no variable `{wanted}`");
    let help = match crate::route::nearest(wanted, &known) {
        Some(near) => format!("did you mean `{near}`? Known are {}", known.join(", ")),
        None => format!("known are {}; {BRACES}", known.join(", ")),
    };
    Err(Fault { line, message, help: Some(help) })
}

/// A text in quotes, with none of them inside.
pub(crate) fn is_quoted(inside: &str) -> bool {
    ['"', '\''].into_iter().any(|quote| {
        let text = inside.strip_prefix(quote).and_then(|inside| inside.strip_suffix(quote));
        text.is_some_and(|text| !text.contains([quote, '\\']))
    })
}

/// What stands between braces in a template.
pub(crate) struct Tag<'a> {
    pub(crate) start: usize,
    pub(crate) kind: (&'static str, &'static str),
    /// Trimmed; none if it isn't closed.
    pub(crate) inside: Option<&'a str>,
    pub(crate) end: usize,
}

const KINDS: [(&str, &str); 3] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];

/// The first tag from there on.
pub(crate) fn next(text: &str, from: usize) -> Option<Tag<'_>> {
    let rest = &text[from..];
    let found = KINDS.iter().filter_map(|&kind| rest.find(kind.0).map(|at| (at, kind)));
    let (at, kind) = found.min_by_key(|(at, _)| *at)?;
    let (start, body) = (from + at, from + at + 2);
    let Some(length) = closing(&text[body..], kind) else {
        return Some(Tag { start, kind, inside: None, end: text.len() });
    };
    // `{%- x -%}` takes the space around it away.
    let inside = text[body..body + length].trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
    Some(Tag { start, kind, inside: Some(inside), end: body + length + 2 })
}

/// Where a tag ends: not within a text in quotes.
fn closing(body: &str, kind: (&str, &str)) -> Option<usize> {
    let mut quote = None;
    for (at, c) in body.char_indices() {
        match quote {
            Some(open) if open == c => quote = None,
            Some(_) => {}
            None if body[at..].starts_with(kind.1) => return Some(at),
            None if matches!(c, '"' | '\'') && kind.0 != "{#" => quote = Some(c),
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_a_role_may_hold() {
        for good in [
            "",
            "Write code. {single} } }} %} braces",
            "{{ department }}{{workspace}}{{- messages -}}",
            "{% if branch %}on {{ branch }}{% else %}nowhere{% endif %}",
            "{% if not messages %}\nnone\n{%- endif -%}",
            "literal {{ \"{{\" }} and {{ '}}' }}",
            "{# a remark about {{ anything }} #}",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_it_may_not_says_where_and_why() {
        for (bad, line, wanted) in [
            ("a\n{{ brunch }}", 2, "did you mean `branch`?"),
            ("{{ secrets.TOKEN }}", 1, "there is no variable `secrets.TOKEN`"),
            ("{{ branch | upper }}", 1, "there is no variable `branch | upper`"),
            ("x\n\n{{ branch", 3, "`{{` is never closed"),
            ("{% for x in departments %}{% endfor %}", 1, "can't be used here"),
            ("{% if xyz %}{% endif %}", 1, "known are department, description"),
            ("\n{% if branch %}", 2, "has no `{% endif %}`"),
            ("{% endif %}", 1, "`{% endif %}` can't be used here"),
            ("{% else %}", 1, "can't be used here"),
            ("{{}}", 1, "there is no variable ``"),
        ] {
            let fault = check(bad).unwrap_err();
            let said = format!("{} {}", fault.message, fault.help.as_deref().unwrap_or_default());
            assert_eq!(fault.line, line, "{bad}");
            assert!(said.contains(wanted), "{bad}: {said}");
        }
    }
}

//! The forms of an HTML page, as far as our own pages use them.
//!
//! Not an HTML parser: it reads tags and their attributes in order, which is
//! enough for pages whose author we are, and nothing here decides about trust.

/// A form with what it would send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// Where it goes; empty for the page's own address.
    pub(crate) action: String,
    /// Lower case; `get` when the page does not say.
    pub(crate) method: String,
    /// Every named `<input>`, in order.
    pub(crate) inputs: Vec<Input>,
    /// Every `<button>`, in order.
    pub(crate) buttons: Vec<Button>,
}

/// An `<input>` that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) name: String,
    /// Lower case; `text` when the page does not say.
    pub(crate) kind: String,
    pub(crate) value: String,
}

/// A `<button>`; without a name it sends nothing of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Button {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Form {
    /// The input of this type, if there is one.
    pub(crate) fn input_of_kind(&mut self, kind: &str) -> Option<&mut Input> {
        self.inputs.iter_mut().find(|input| input.kind == kind)
    }

    /// The input of this name, if there is one.
    pub(crate) fn input_named(&mut self, name: &str) -> Option<&mut Input> {
        self.inputs.iter_mut().find(|input| input.name == name)
    }

    /// What pressing this button sends: the inputs, then the button.
    pub(crate) fn pairs(&self, pressed: Option<&Button>) -> Vec<(String, String)> {
        let button = pressed
            .filter(|button| !button.name.is_empty())
            .map(|button| (button.name.clone(), button.value.clone()));
        self.inputs
            .iter()
            .map(|input| (input.name.clone(), input.value.clone()))
            .chain(button)
            .collect()
    }
}

/// Every form of a page, in order.
pub(crate) fn forms_of(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for tag in tags(html) {
        let of = |name: &str| tag.attribute(name).unwrap_or_default();
        match (tag.name.as_str(), &mut open) {
            ("form", _) => {
                let method = match of("method") {
                    method if method.is_empty() => "get".to_owned(),
                    method => method.to_ascii_lowercase(),
                };
                open = Some(Form {
                    action: of("action"),
                    method,
                    ..Form::default()
                });
            }
            ("/form", _) => forms.extend(open.take()),
            ("input", Some(form)) if tag.attribute("name").is_some() => form.inputs.push(Input {
                name: of("name"),
                kind: match of("type") {
                    kind if kind.is_empty() => "text".to_owned(),
                    kind => kind.to_ascii_lowercase(),
                },
                value: of("value"),
            }),
            ("button", Some(form)) => form.buttons.push(Button {
                name: of("name"),
                value: of("value"),
            }),
            _ => {}
        }
    }
    forms
}

#[derive(Debug)]
struct Tag {
    /// Lower case, with the slash of a closing tag.
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }
}

fn tags(html: &str) -> impl Iterator<Item = Tag> {
    let mut rest = html;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('<')?;
            if let Some(comment) = after.strip_prefix("!--") {
                rest = comment.split_once("-->")?.1;
                continue;
            }
            let (tag, after) = read_tag(after)?;
            rest = after;
            return Some(tag);
        }
    })
}

/// Reads a tag from behind its `<`; also returns what comes after its `>`.
fn read_tag(source: &str) -> Option<(Tag, &str)> {
    let end_of_name = source.find(|c: char| c.is_ascii_whitespace() || c == '>')?;
    let (name, mut rest) = source.split_at(end_of_name);
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            let name = name.trim_end_matches('/').to_ascii_lowercase();
            return Some((Tag { name, attributes }, after));
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || "=/>".contains(c))?;
        let (key, after) = rest.split_at(end);
        let value;
        (value, rest) = match after.strip_prefix('=') {
            None => ("", after),
            Some(after) => match after.chars().next()? {
                quote @ ('"' | '\'') => after.get(1..)?.split_once(quote)?,
                _ => after.split_at(after.find(|c: char| c.is_ascii_whitespace() || c == '>')?),
            },
        };
        attributes.push((key.to_ascii_lowercase(), unescape(value)));
        if rest.is_empty() {
            return None;
        }
    }
}

/// Undoes the escapes that a template engine makes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let known = after
            .split_once(';')
            .and_then(|(name, after)| Some((entity(name)?, after)));
        let character;
        (character, rest) = known.unwrap_or(('&', after));
        out.push(character);
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_sends_its_inputs_and_the_pressed_button() {
        let page = r#"<!doctype html><!-- <form> --><p>1 &lt; 2</p>
            <FORM action="/device?x=1&amp;y=2" method='POST'>
              <input type="hidden" name="csrf" value="a&#34;b&#x27;c&amp;">
              <input name=user_code value=BCDF required>
              <input type="submit">
              <button type="submit" name="decision" value="approve">Approve</button>
              <button name="decision" value="deny">Deny</button>
            </form><form><button>Leave</button></form>"#;
        let forms = forms_of(page);
        assert_eq!(forms.len(), 2);
        let form = &forms[0];
        assert_eq!(
            (form.action.as_str(), form.method.as_str()),
            ("/device?x=1&y=2", "post")
        );
        let sent = form.pairs(form.buttons.first());
        let sent: Vec<_> = sent.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            sent,
            [
                ("csrf", "a\"b'c&"),
                ("user_code", "BCDF"),
                ("decision", "approve")
            ]
        );
        assert_eq!(forms[1].method, "get");
        assert_eq!(forms[1].pairs(forms[1].buttons.first()), []);
    }

    #[test]
    fn text_that_only_looks_like_an_entity_stays() {
        assert_eq!(
            unescape("a & b &nope; &#x; &#1114112; &amp;lt;"),
            "a & b &nope; &#x; &#1114112; &lt;"
        );
    }

    #[test]
    fn a_page_that_ends_in_the_middle_of_a_tag_has_the_forms_before_it() {
        for end in [
            "<",
            "<input",
            "<input name",
            "<input name=",
            "<input name=\"x",
            "<!--",
        ] {
            let page = format!("<form><input name=a></form>{end}");
            assert_eq!(forms_of(&page).len(), 1, "{end:?}");
        }
    }
}

//! Reads the forms and the words out of a well-formed HTML page.
//!
//! Not responsible for: what browsers make of broken pages.

/// A form as a person would submit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// `GET` or `POST`.
    pub method: String,
    /// Where it goes, as written; may be relative or empty.
    pub action: String,
    /// Names and values that are sent as they stand: filled-in and hidden inputs, ticked boxes.
    pub fields: Vec<(String, String)>,
    /// Buttons that have a name: exactly one of them is sent.
    pub buttons: Vec<(String, String)>,
    /// The names of all controls.
    names: Vec<String>,
}

impl Form {
    /// Whether there is a control of this name.
    pub fn has(&self, control: &str) -> bool {
        self.names.iter().any(|name| name == control)
    }

    /// The value of a field or button.
    pub fn value(&self, control: &str) -> Option<&str> {
        self.fields
            .iter()
            .chain(&self.buttons)
            .find(|(name, _)| name == control)
            .map(|(_, value)| value.as_str())
    }
}

pub(crate) fn forms(document: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut inside = false;
    for tag in tags(document) {
        match tag.name.as_str() {
            "form" => {
                inside = true;
                forms.push(Form {
                    method: tag
                        .attribute("method")
                        .unwrap_or("get")
                        .to_ascii_uppercase(),
                    action: tag.attribute("action").unwrap_or_default().to_owned(),
                    fields: Vec::new(),
                    buttons: Vec::new(),
                    names: Vec::new(),
                });
            }
            "/form" => inside = false,
            "input" | "button" if inside => {
                if let Some(form) = forms.last_mut() {
                    form.add(&tag);
                }
            }
            _ => {}
        }
    }
    forms
}

/// Where the links of the document lead, as written.
pub(crate) fn links(document: &str) -> Vec<String> {
    tags(document)
        .iter()
        .filter(|tag| tag.name == "a")
        .filter_map(|tag| tag.attribute("href").map(str::to_owned))
        .collect()
}

impl Form {
    fn add(&mut self, tag: &Tag) {
        let Some(name) = tag.attribute("name") else {
            return;
        };
        self.names.push(name.to_owned());
        let pair = (
            name.to_owned(),
            tag.attribute("value").unwrap_or_default().to_owned(),
        );
        match tag.attribute("type").unwrap_or(if tag.name == "button" {
            "submit"
        } else {
            "text"
        }) {
            "submit" => self.buttons.push(pair),
            "checkbox" | "radio" if tag.attribute("checked").is_none() => {}
            _ => self.fields.push(pair),
        }
    }
}

pub(crate) fn text(document: &str) -> String {
    let mut words = String::new();
    let mut rest = document;
    while let Some((before, after)) = rest.split_once('<') {
        words.push_str(before);
        let name: String = after
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        // Inline tags do not part words; others do where they open.
        let inline = ["b", "i", "em", "strong", "span", "a", "code", "kbd", "wbr"];
        if !after.starts_with(['/', '!']) && !inline.contains(&name.as_str()) {
            words.push(' ');
        }
        // The content of these two is not text.
        rest = match name.as_str() {
            "style" | "script" => after.split_once("</").map_or("", |(_, after)| after),
            _ => after,
        };
        rest = rest.split_once('>').map_or("", |(_, after)| after);
    }
    words.push_str(rest);
    unescape(&words)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

struct Tag {
    /// In lower case; a closing tag's begins with a slash.
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

fn tags(document: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = document;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let name_end = after
            .find(|c: char| c.is_whitespace() || c == '>')
            .unwrap_or(after.len());
        let (name, mut inner) = after.split_at(name_end);
        let mut tag = Tag {
            name: name.to_ascii_lowercase(),
            attributes: Vec::new(),
        };
        loop {
            inner = inner.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if inner.is_empty() || inner.starts_with('>') {
                break;
            }
            let end = inner
                .find(|c: char| c.is_whitespace() || ['=', '>', '/'].contains(&c))
                .unwrap_or(inner.len())
                .max(1);
            let Some((attribute, after)) = inner.split_at_checked(end) else {
                break;
            };
            let (value, after) = match after.trim_start().strip_prefix('=') {
                Some(value) => attribute_value(value.trim_start()),
                None => ("", after),
            };
            tag.attributes
                .push((attribute.to_ascii_lowercase(), unescape(value)));
            inner = after;
        }
        rest = inner;
        tags.push(tag);
    }
    tags
}

/// The value at the beginning, and what follows it.
fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    let end = text
        .find(|c: char| c.is_whitespace() || c == '>')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Replaces the character references that templates write.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let reference = after.split_once(';').and_then(|(name, after)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => ' ',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16),
                        None => number.parse(),
                    };
                    char::from_u32(code.ok()?)?
                }
            };
            Some((c, after))
        });
        let (c, after) = reference.unwrap_or(('&', after));
        plain.push(c);
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_with_every_kind_of_quoting() {
        let page = r#"<!-- <form> --><FORM METHOD="post" action=/a?b&amp;c>
            <input type="hidden" name='csrf' value="x&quot;&#39;y"/>
            <input type=checkbox name=keep><input type=checkbox name=on value=1 checked>
            <input name=login autofocus>
            <button type="submit" name="decision" value="deny">No</button>
            <button name=decision value=approve>Yes</button>
            </form><input name=outside>"#;
        let forms = forms(page);
        assert_eq!(forms.len(), 1);
        let form = &forms[0];
        assert_eq!(
            (form.method.as_str(), form.action.as_str()),
            ("POST", "/a?b&c")
        );
        assert_eq!(form.value("csrf"), Some("x\"'y"));
        assert_eq!(form.fields.len(), 3, "{form:?}");
        assert_eq!(form.buttons.len(), 2);
        assert!(form.has("keep") && !form.has("outside"));
    }

    #[test]
    fn text_is_what_a_person_reads() {
        let page = "<style>p{}</style><h1>Sign in</h1><p>WDJB<wbr>-MJHT &amp; more";
        assert_eq!(text(page), "Sign in WDJB-MJHT & more");
    }
}

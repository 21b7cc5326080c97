//! The pages that a browser shows when it comes back: plain HTML, nothing that runs, nothing from
//! elsewhere.
//!
//! Every text that is put in is escaped, whoever wrote it.

use countersign_jose::base64url;
use countersign_jose::crypto::ring;

/// A page, as its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The status it is answered with.
    pub(crate) status: u16,
    /// Whether it is good news.
    pub(crate) tone: Tone,
    /// What happened, in a few words. Also the title.
    pub(crate) heading: String,
    /// What that means, a paragraph each.
    pub(crate) paragraphs: Vec<String>,
    /// Names and values for whoever has to look into it.
    pub(crate) details: Vec<(&'static str, String)>,
}

/// How a page looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It worked.
    Good,
    /// It did not.
    Bad,
    /// Neither.
    Neutral,
}

impl Page {
    /// A page with a heading alone.
    pub(crate) fn new(status: u16, tone: Tone, heading: &str) -> Self {
        Self {
            status,
            tone,
            heading: heading.to_owned(),
            paragraphs: Vec::new(),
            details: Vec::new(),
        }
    }

    /// Adds a paragraph.
    pub(crate) fn say(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(text.into());
        self
    }

    /// Adds a name and a value, if there is one.
    pub(crate) fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.details.push((name, value));
        }
        self
    }

    /// The whole answer, headers and all.
    pub(super) fn response(&self) -> Vec<u8> {
        let body = self.html();
        let digest = base64url::encode(&ring::provider().sha256(STYLE.as_bytes()));
        // CSP Level 3, section 2.3.1, takes base64url as well. The padding belongs to it.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{digest}='; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
        let reason = match self.status {
            200 => "OK",
            404 => "Not Found",
            _ => "Bad Request",
        };
        let status = self.status;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\n\
             Content-Type: text/html; charset=utf-8\r\n\
             Content-Length: {length}\r\n\
             Content-Security-Policy: {policy}\r\n\
             Cache-Control: no-store\r\n\
             Referrer-Policy: no-referrer\r\n\
             X-Content-Type-Options: nosniff\r\n\
             X-Frame-Options: DENY\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\n\
             Connection: close\r\n\r\n"
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }

    fn html(&self) -> String {
        let heading = escaped(&self.heading);
        let class = match self.tone {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Neutral => "neutral",
        };
        let mut words = String::new();
        for text in &self.paragraphs {
            words.extend(["<p>", &escaped(text), "</p>\n"]);
        }
        if !self.details.is_empty() {
            words.push_str("<dl>\n");
            for (name, value) in &self.details {
                words.extend(["<dt>", name, "</dt><dd>", &escaped(value), "</dd>\n"]);
            }
            words.push_str("</dl>\n");
        }
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"robots\" content=\"noindex\">\n\
             <title>{heading} · Countersign</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <main class=\"{class}\">\n<h1>{heading}</h1>\n{words}</main>\n\
             </body>\n</html>\n"
        )
    }
}

/// An answer without a page, for what no person reads.
/// `fields` are whole lines of its head.
pub(super) fn bare(status: &str, fields: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n"
    )
    .into_bytes()
}

/// The answer to who asks only whether there is a page.
pub(super) fn head(found: bool) -> Vec<u8> {
    bare(if found { "200 OK" } else { "404 Not Found" }, "")
}

/// The whole look, in colours of the issuer's pages. Every text has a contrast of at least 4.5 to 1.
const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f4f4f0;--surface:#fff;--line:#dcddd6;--ink:#1b211e;\
--soft:#565e59;--good:#0b6b57;--bad:#a3272b}\
@media(prefers-color-scheme:dark){:root{--ground:#101413;--surface:#181d1b;--line:#2b322f;\
--ink:#e9edea;--soft:#a6b0ab;--good:#5fcaad;--bad:#f59a98}}\
*{box-sizing:border-box;margin:0}\
body{min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--ground);\
color:var(--ink);font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}\
main{width:100%;max-width:34rem;padding:2rem;display:grid;gap:1rem;background:var(--surface);\
border:1px solid var(--line);border-top:4px solid var(--soft);border-radius:14px}\
main.good{border-top-color:var(--good)}main.bad{border-top-color:var(--bad)}\
h1{font-size:1.5rem;line-height:1.25}\
.good h1{color:var(--good)}.bad h1{color:var(--bad)}\
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;color:var(--soft);font-size:.9rem}\
dd{color:var(--ink)}";

/// `text` with everything taken out that could end it and begin something else.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_put_in_can_become_markup() {
        let hostile = "\"'></title><script>alert(1)</script>&amp;<!--";
        let page = Page::new(400, Tone::Bad, hostile)
            .say(hostile)
            .detail("Server", hostile);
        let html = page.html();
        assert!(
            !html.contains("<script") && !html.contains("<!--"),
            "{html}"
        );
        assert_eq!(html.matches("</title>").count(), 1);
        assert_eq!(html.matches("&lt;script&gt;").count(), 4);
        assert!(html.contains("&amp;amp;"));
    }

    #[test]
    fn a_page_runs_nothing_loads_nothing_and_is_not_kept() {
        let page = Page::new(200, Tone::Good, "Signed in").say("Go back.");
        let response = String::from_utf8(page.response()).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        for line in [
            "HTTP/1.1 200 OK",
            "Cache-Control: no-store",
            "Referrer-Policy: no-referrer",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        ] {
            assert!(head.contains(line), "{line}");
        }
        assert!(head.contains("default-src 'none'; style-src 'sha256-"));
        assert!(!head.contains("unsafe"));
        // SHA-256 in base64 has 43 digits and one sign of padding.
        let hash = head.split("'sha256-").nth(1).unwrap().split('\'').next();
        assert_eq!(hash.unwrap().len(), 44);
        assert!(hash.unwrap().ends_with('='));
        for foreign in ["http:", "https:", "src=", "url(", "@import", "javascript"] {
            assert!(!body.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn details_that_are_empty_are_left_out() {
        let page = Page::new(200, Tone::Neutral, "x").detail("Code", "");
        assert!(!page.html().contains("<dl>"));
    }
}

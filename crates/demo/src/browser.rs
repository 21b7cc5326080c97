//! A browser as small as the issuer's pages allow: GET, POST, cookies,
//! redirects within one origin. No scripts, no images; the pages need none.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::{Url, form_urlencoded};

use crate::failure::Failure;
use crate::forms::{Button, Form, forms_of};

const REQUEST_LIMIT: Duration = Duration::from_secs(10);
const LARGEST_PAGE: usize = 1024 * 1024;
const MOST_REDIRECTS: usize = 5;

/// A browser with its cookies.
#[derive(Debug)]
pub(crate) struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: BTreeMap<String, String>,
    credentials: Option<String>,
}

/// A page that was loaded.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    /// The forms on it.
    pub(crate) fn forms(&self) -> Vec<Form> {
        forms_of(&self.body)
    }

    /// Where a browser goes on to from here by itself: what the `Refresh` header names.
    pub(crate) fn goes_on_to(&self) -> Option<Url> {
        let refresh = self.headers.get(header::REFRESH)?.to_str().ok()?;
        let (_, target) = refresh.split_once("url=")?;
        self.url.join(target.trim()).ok()
    }
}

impl Browser {
    /// A browser that has been nowhere yet.
    pub(crate) fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            cookies: BTreeMap::new(),
            credentials: None,
        }
    }

    /// One that sends this `Authorization` header.
    pub(crate) fn with_credentials(credentials: &str) -> Self {
        Self {
            credentials: Some(credentials.to_owned()),
            ..Self::new()
        }
    }

    /// Follows a link.
    pub(crate) async fn open(&mut self, url: &Url) -> Result<Page, Failure> {
        self.load(Method::GET, url.clone(), String::new()).await
    }

    /// Presses a button of a form on this page.
    pub(crate) async fn press(
        &mut self,
        page: &Page,
        form: &Form,
        button: Option<&Button>,
    ) -> Result<Page, Failure> {
        let mut url = page
            .url
            .join(&form.action)
            .map_err(|error| Failure::new(format!("a form leads to {:?}: {error}", form.action)))?;
        let pairs = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form.pairs(button))
            .finish();
        if form.method == "post" {
            self.load(Method::POST, url, pairs).await
        } else {
            url.set_query(Some(&pairs));
            self.load(Method::GET, url, String::new()).await
        }
    }

    async fn load(
        &mut self,
        mut method: Method,
        mut url: Url,
        mut body: String,
    ) -> Result<Page, Failure> {
        for _ in 0..=MOST_REDIRECTS {
            let page = tokio::time::timeout(REQUEST_LIMIT, self.request(&method, &url, body))
                .await
                .map_err(|_| Failure::new(format!("{url} did not answer in time")))??;
            if !page.status.is_redirection() {
                return Ok(page);
            }
            let next = page
                .headers
                .get(header::LOCATION)
                .and_then(|location| url.join(location.to_str().ok()?).ok())
                .filter(|next| next.origin() == url.origin())
                .ok_or_else(|| Failure::new(format!("{url} redirects to nowhere of ours")))?;
            (method, url, body) = (Method::GET, next, String::new());
        }
        Err(Failure::new(format!("{url} redirects without end")))
    }

    async fn request(&mut self, method: &Method, url: &Url, body: String) -> Result<Page, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(format!("{url}: {error}"));
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::ACCEPT, "text/html")
            .header("sec-fetch-site", "same-origin");
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self
                .cookies
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(credentials) = &self.credentials {
            request = request.header(header::AUTHORIZATION, credentials);
        }
        if method == Method::POST {
            request = request
                .header(header::ORIGIN, url.origin().ascii_serialization())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request
            .body(Full::from(body))
            .map_err(|error| failed(&error))?;
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| failed(&error))?;
        let (head, body) = response.into_parts();
        self.keep_cookies(&head.headers);
        let body = Limited::new(body, LARGEST_PAGE)
            .collect()
            .await
            .map_err(|error| failed(&error))?;
        Ok(Page {
            url: url.clone(),
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        })
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE) {
            let Ok(cookie) = cookie.to_str() else {
                continue;
            };
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let over = attributes
                .split(';')
                .any(|attribute| attribute.trim().eq_ignore_ascii_case("max-age=0"));
            if over {
                self.cookies.remove(name.trim());
            } else {
                self.cookies
                    .insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
}

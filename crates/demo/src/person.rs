//! The person of an unattended run: opens the page that the terminal names,
//! signs in and approves, through the same forms a browser would show.

use std::fmt;

use axum::http::StatusCode;
use countersign_jose::crypto::aws_lc;
use url::Url;

use crate::browser::{Browser, Page};
use crate::failure::{Failure, because};

/// Code, sign-in, confirmation, and one to spare.
const MOST_PAGES: usize = 6;

/// Ada, and what she knows.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) username: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) password: String,
}

impl Person {
    /// Ada with a password made for this run.
    pub(crate) fn ada() -> Result<Self, Failure> {
        Ok(Self {
            username: "ada".to_owned(),
            name: "Ada".to_owned(),
            email: "ada@example.com".to_owned(),
            password: one_time_password()?,
        })
    }

    /// Approves the sign-in that waits behind this address.
    pub(crate) async fn approve(&self, address: &Url) -> Result<(), Failure> {
        let mut browser = Browser::new();
        let mut page = browser.open(address).await?;
        let mut signed_in = false;
        for _ in 0..MOST_PAGES {
            if page.status != StatusCode::OK {
                return Err(unexpected(&page));
            }
            let forms = page.forms();
            let approve = forms.iter().find_map(|form| {
                let button = form
                    .buttons
                    .iter()
                    .find(|button| button.value == "approve")?;
                Some((form, button))
            });
            if let Some((form, button)) = approve {
                let last = browser.press(&page, form, Some(button)).await?;
                // The page after a sign-in by code leads back to the terminal by itself.
                let last = match last.goes_on_to() {
                    Some(terminal) => Browser::new().open(&terminal).await?,
                    None => last,
                };
                return match last.status {
                    StatusCode::OK => Ok(()),
                    _ => Err(unexpected(&last)),
                };
            }
            // Any other form is worth one press: sign in, or send the code that
            // the address has filled in already.
            let mut forms = forms;
            let form = forms
                .iter_mut()
                .find(|form| form.inputs.iter().any(|input| input.name == "csrf"))
                .ok_or_else(|| unexpected(&page))?;
            if let Some(password) = form.input_of_kind("password") {
                if signed_in {
                    return Err(Failure::new("the sign-in page refuses the demo's password"));
                }
                password.value.clone_from(&self.password);
                if let Some(username) = form.input_named("username") {
                    username.value.clone_from(&self.username);
                }
                signed_in = true;
            }
            page = browser.press(&page, form, form.buttons.first()).await?;
        }
        Err(unexpected(&page))
    }
}

/// Three groups of four letters without vowels, 51 bits: easy to type, and good
/// for the minutes that the demo lives.
fn one_time_password() -> Result<String, Failure> {
    const LETTERS: &[u8; 20] = b"bcdfghjklmnpqrstvwxz";
    let provider = aws_lc::provider();
    let mut password = String::new();
    let mut letters = 0;
    while letters < 12 {
        let mut random = [0_u8; 1];
        provider
            .fill_random(&mut random)
            .map_err(because("no password can be made"))?;
        // 240 is the largest multiple of 20 in a byte; above it, the first
        // letters would come up more often.
        let [random] = random;
        if random >= 240 {
            continue;
        }
        if letters > 0 && letters % 4 == 0 {
            password.push('-');
        }
        let letter = LETTERS.iter().cycle().nth(usize::from(random));
        password.extend(letter.copied().map(char::from));
        letters += 1;
    }
    Ok(password)
}

fn unexpected(page: &Page) -> Failure {
    Failure::new(format!(
        "{} answered {} without a way on",
        page.url.path(),
        page.status
    ))
    .with_detail(&page.body)
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_time_password_is_three_groups_of_letters_and_not_the_last_one() {
        let password = one_time_password().unwrap();
        let groups: Vec<_> = password.split('-').map(str::len).collect();
        assert_eq!(groups, [4, 4, 4]);
        assert_ne!(password, one_time_password().unwrap());
    }
}

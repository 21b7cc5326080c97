//! Where the members stand that are asked for in every token.
//!
//! A token is asked for a dozen of its claims each time it comes, by name. Looking through all names
//! each time would cost more than reading the document did, so the places of the common ones are
//! noted once. Other names are searched for; not responsible for what any of them means.

/// Claims of RFC 7519, RFC 9068, RFC 7800 and OpenID Connect that validators look at.
fn number(name: &str) -> Option<usize> {
    Some(match name {
        "iss" => 0,
        "sub" => 1,
        "aud" => 2,
        "exp" => 3,
        "nbf" => 4,
        "iat" => 5,
        "jti" => 6,
        "client_id" => 7,
        "scope" => 8,
        "acr" => 9,
        "auth_time" => 10,
        "cnf" => 11,
        "sid" => 12,
        "azp" => 13,
        _ => return None,
    })
}

const COUNT: usize = 14;

const ABSENT: u16 = u16::MAX;

/// Beyond the items that can be counted here.
const FAR: u16 = u16::MAX - 1;

/// The places of the common members of one document.
pub(super) struct Places([u16; COUNT]);

impl Default for Places {
    /// Of a document without members.
    fn default() -> Self {
        Self([ABSENT; COUNT])
    }
}

impl Places {
    /// Notes where the value of a member is.
    pub(super) fn note(&mut self, name: &str, at: usize) {
        if let Some(place) = number(name).and_then(|number| self.0.get_mut(number)) {
            *place = u16::try_from(at).unwrap_or(FAR).min(FAR);
        }
    }

    /// Where the value of the member of this name is.
    pub(super) fn find(&self, name: &str) -> Place {
        let place = number(name).and_then(|number| self.0.get(number));
        match place.copied() {
            Some(ABSENT) => Place::Nowhere,
            None | Some(FAR) => Place::Unknown,
            Some(at) => Place::At(at.into()),
        }
    }
}

/// What is noted of a member.
pub(super) enum Place {
    Nowhere,
    Unknown,
    At(usize),
}

#[cfg(test)]
mod tests {
    use crate::json::{Node, parse_borrowed};

    fn found(text: &str, name: &str) -> Option<String> {
        let document = parse_borrowed(text.as_bytes(), text.len()).unwrap();
        let found = document.member(name);
        let searched = document.members().find(name).map(|node| node.to_value());
        assert_eq!(found.as_ref().map(Node::to_value), searched, "{name}");
        searched.map(|value| value.to_string())
    }

    #[test]
    fn a_noted_place_holds_what_a_search_finds() {
        let text = r#"{"a":{"iss":1,"sub":[2,{"exp":3}]},"iss":"i","\u0065xp":4,"b":null,"aud":["x"],
            "acr":{"iss":5},"jti":"","scope":"s","other":6}"#;
        let names = [
            "iss",
            "sub",
            "aud",
            "exp",
            "nbf",
            "iat",
            "jti",
            "client_id",
            "scope",
            "acr",
            "auth_time",
            "cnf",
            "sid",
            "azp",
            "a",
            "b",
            "other",
            "",
            "isss",
            "is",
        ];
        for name in names {
            found(text, name);
        }
        assert_eq!(found(text, "iss").as_deref(), Some("\"i\""));
        assert_eq!(found(text, "exp").as_deref(), Some("4"));
        assert_eq!(found(text, "sub"), None);
        assert_eq!(found("{}", "iss"), None);
    }

    #[test]
    fn a_member_behind_more_than_can_be_counted_is_searched_for() {
        for items in [65_530, 65_531, 65_532, 65_533, 65_534, 70_000] {
            let text = format!(r#"{{"a":[{}0],"iss":7,"sub":8}}"#, "0,".repeat(items));
            assert_eq!(found(&text, "iss").as_deref(), Some("7"));
            assert_eq!(found(&text, "sub").as_deref(), Some("8"));
            assert_eq!(found(&text, "aud"), None);
        }
    }
}

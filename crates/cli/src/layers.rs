//! The layers that settings are made of, and which of them wins.
//!
//! Not responsible for what can be set (`layer`).

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::{Config, Source};
use crate::given::Overrides;
use crate::layer::Layer;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line. A flag is called like its setting.
    Flag(&'static str),
    /// An environment variable. It is called like its setting.
    Environment(&'static str),
    /// The file of the working directory, or of one above it.
    Directory(PathBuf),
    /// The profile, in this file.
    Profile(PathBuf),
    /// What a file sets for all profiles.
    Defaults(PathBuf),
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// Whether the person has just typed it.
    pub(crate) fn is_typed(&self) -> bool {
        matches!(self, Self::Flag(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{}", name.replace('_', "-")),
            Self::Environment(name) => write!(f, "COUNTERSIGN_{}", name.to_ascii_uppercase()),
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Profile(path) => write!(f, "profile in {}", path.display()),
            Self::Defaults(path) => write!(f, "defaults in {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// Whose word a layer is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    Flags,
    Environment,
    Profile(&'a Path),
    Defaults(&'a Path),
}

impl<'a> Place<'a> {
    fn origin(self, name: &'static str) -> Origin {
        match self {
            Self::Flags => Origin::Flag(name),
            Self::Environment => Origin::Environment(name),
            Self::Profile(file) => Origin::Profile(file.to_owned()),
            Self::Defaults(file) => Origin::Defaults(file.to_owned()),
        }
    }

    /// Where a path is meant from: one in a file from where that file is.
    fn base(self) -> &'a Path {
        match self {
            Self::Flags | Self::Environment => Path::new(""),
            Self::Profile(file) | Self::Defaults(file) => file.parent().unwrap_or(Path::new("/")),
        }
    }
}

/// The layers that apply, the one that wins first.
pub(crate) struct Layers<'a>(Vec<(&'a Layer, Place<'a>)>);

impl<'a> Layers<'a> {
    /// What the files say for a profile, and for all.
    pub(crate) fn of_files(config: &'a Config, profile: Option<&str>) -> Self {
        let profiles = config.sources().filter_map(|Source { path, file }| {
            let layer = file.profile.get(profile?)?;
            Some((layer, Place::Profile(path)))
        });
        let defaults = config
            .sources()
            .map(|Source { path, file }| (&file.defaults, Place::Defaults(path)));
        Self(profiles.chain(defaults).collect())
    }

    /// The same below what flags and environment say.
    pub(crate) fn all(given: &'a Overrides, files: Self) -> Self {
        let mut layers = vec![
            (&given.flags, Place::Flags),
            (&given.environment, Place::Environment),
        ];
        layers.extend(files.0);
        Self(layers)
    }

    /// The first value there is.
    pub(crate) fn pick<T: Clone + 'a>(
        &self,
        name: &'static str,
        get: impl Fn(&'a Layer) -> Option<&'a T>,
    ) -> Option<Setting<T>> {
        self.find(name, |layer, _| get(layer).cloned())
    }

    /// As `pick`, for a path.
    pub(crate) fn path(
        &self,
        name: &'static str,
        get: impl Fn(&'a Layer) -> Option<&'a Path>,
    ) -> Option<Setting<PathBuf>> {
        self.find(name, |layer, place| {
            get(layer).map(|path| place.base().join(path))
        })
    }

    /// The only setting that adds up: a certificate for once must not hide the company's.
    pub(crate) fn certificates(&self) -> Option<Setting<Vec<PathBuf>>> {
        let files = |layer: &Layer, place: Place<'_>| {
            let files = layer.ca_cert.as_deref()?;
            Some(files.iter().map(|file| place.base().join(file)).collect())
        };
        let given = self.find("ca_cert", files)?;
        if !matches!(given.origin, Origin::Flag(_)) {
            return Some(given);
        }
        let below = Self(self.0.iter().skip(1).copied().collect());
        let mut value: Vec<PathBuf> = below
            .find("ca_cert", files)
            .map(|setting| setting.value)
            .unwrap_or_default();
        value.extend(given.value);
        let origin = given.origin;
        Some(Setting { value, origin })
    }

    /// Where the first layer stands that has something; a smaller number wins.
    pub(crate) fn rank(&self, has: impl Fn(&Layer) -> bool) -> Option<usize> {
        self.0.iter().position(|(layer, _)| has(layer))
    }

    fn find<T>(
        &self,
        name: &'static str,
        get: impl Fn(&'a Layer, Place<'a>) -> Option<T>,
    ) -> Option<Setting<T>> {
        self.0.iter().find_map(|(layer, place)| {
            let value = get(layer, *place)?;
            let origin = place.origin(name);
            Some(Setting { value, origin })
        })
    }
}

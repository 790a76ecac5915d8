//! One section, erased from its type: how it reads itself, judges itself and shows itself.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use figment::value::Value;
use filament_kernel::config::{Complaint, Profile, Section, complaints};

/// A section of the configuration: its name, its commented defaults and the type that reads it.
///
/// The section of a module is named like the module; then its [`Section::check`] is asked only while the module is on.
#[derive(Clone, Copy)]
pub struct SectionSpec {
    /// The name in brackets, `gateway`.
    pub name: &'static str,
    /// The commented defaults: the body of the section, without its header.
    pub defaults: &'static str,
    pub(super) read: fn(&Value) -> ReadResult,
}

impl SectionSpec {
    /// The description of the section `name` that is read as an `S`.
    pub const fn of<S: Section>(name: &'static str) -> Self {
        Self {
            name,
            defaults: S::DEFAULTS,
            read: |value| {
                let section: S = value.deserialize()?;
                Ok(Arc::new(section))
            },
        }
    }
}

impl fmt::Debug for SectionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SectionSpec").field(&self.name).finish()
    }
}

/// A section, or the first value in it that its type refuses.
pub(super) type ReadResult = Result<Arc<dyn ReadSection>, Box<figment::Error>>;

/// A section that has been read, whatever its type.
pub(super) trait ReadSection: Send + Sync {
    /// What is wrong with single keys.
    fn complaints_of_keys(&self) -> Vec<Complaint>;
    /// What is wrong across keys, and with regard to the profile.
    fn complaints_of_section(&self, profile: Profile) -> Vec<Complaint>;
    /// The section as it may be shown: secrets read `[redacted]`.
    fn shown(&self) -> serde_json::Value;
    /// The section itself, to be asked for by its type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<S: Section> ReadSection for S {
    fn complaints_of_keys(&self) -> Vec<Complaint> {
        match self.validate() {
            Ok(()) => Vec::new(),
            Err(errors) => complaints(&errors),
        }
    }

    fn complaints_of_section(&self, profile: Profile) -> Vec<Complaint> {
        self.check(profile)
    }

    fn shown(&self) -> serde_json::Value {
        // What cannot be written as JSON, a map with keys that are no strings, is not shown.
        serde_json::to_value(self).unwrap_or_default()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// All sections that have been read, by name.
#[derive(Clone, Default)]
pub(super) struct TypedSections(BTreeMap<&'static str, Arc<dyn ReadSection>>);

impl TypedSections {
    pub(super) fn insert(&mut self, name: &'static str, section: Arc<dyn ReadSection>) {
        self.0.insert(name, section);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The section `name`, when it is there and an `S`.
    pub(super) fn get<S: Section>(&self, name: &str) -> Option<Arc<S>> {
        let section = self.0.get(name)?;
        Arc::clone(section).into_any().downcast().ok()
    }
}

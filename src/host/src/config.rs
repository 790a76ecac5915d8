//! The configuration of a server: its layers, its problems and its explanation.
//!
//! Every setting is a key of a section. A section is described by commented defaults and a type ([`SectionSpec`]); the
//! host has its own ([`host`]), each module brings its own, and `[modules]` says which modules are on. The layers, lowest
//! first:
//!
//! 1. the embedded defaults, which are also the documentation and the [`example`];
//! 2. what the profile changes in them;
//! 3. `filament.toml`, or the file that `--config` or `FILAMENT_CONFIG` names;
//! 4. secret files: `FILAMENT_<SECTION>__<KEY>_FILE` names a file that holds the value;
//! 5. variables: `FILAMENT_<SECTION>__<KEY>`, and the flat names of `aliases.rs`. Where both are set, the long name wins.
//!
//! The kind of a key's default decides how text from the last two is read, so nothing is guessed: a secret `007` stays
//! text. Arrays are separated by commas. Empty variables count as unset.
//!
//! A key has up to four variables: a flat name, `FILAMENT_<SECTION>__<KEY>`, and each of them with `_FILE`. When several of
//! them are set, a value wins over a file, and among values or files the long name wins; each that loses is named in a
//! [`Note`], with the one that won.
//!
//! [`load`] answers with a [`Loaded`], or with [`Problems`]: everything that is wrong, at once. It asks four questions: are
//! the keys known and of the right kind (`layers`, `variables`); can the section's type read them; are they within bounds;
//! do they fit each other and the profile (`reading`). A key that fails an earlier question has its default in the later
//! ones, and nothing more is said about it; [`explain_from`] shows it so, too. No problem, note or explanation ever holds a secret: what is shown comes from the typed section, in which
//! secrets redact themselves.

pub use self::{
    explain::{Explained, Explanation, example, explain, explain_from},
    host::HostConfig,
    inputs::Inputs,
    load::{data_dir, load},
    loaded::{Loaded, SectionError},
    problem::{Note, Problem, Problems, Source},
    sections::SectionSpec,
};

mod aliases;
mod document;
mod explain;
pub mod host;
mod inputs;
mod layers;
mod load;
mod loaded;
mod problem;
mod reading;
mod schema;
mod sections;
mod suggest;
mod variables;

#[cfg(test)]
mod tests;

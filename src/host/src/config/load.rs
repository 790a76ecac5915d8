//! Loading: from the inputs, through the layers, to a configuration or to all that is wrong with it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use figment::value::Value;
use filament_kernel::config::Profile;
use serde_json::Value as Json;

use super::{
    host::{self, HostConfig},
    inputs::Inputs,
    layers::{Layer, Settled},
    loaded::{Loaded, MODULES, Shown},
    problem::{Note, Problem, Problems, Source},
    reading::{Reader, describe, learn_demands, shown_defaults},
    schema::{Found, Schema},
    sections::{SectionSpec, TypedSections},
    variables::Variables,
};

/// The key that names the profile, at the top level of the file.
const PROFILE: &str = "profile";

/// The section and the key that name the data folder.
const DATA: &str = "data";
const DATA_DIR: &str = "data.dir";

/// All that is known of a configuration, whether it can be used or not.
pub(super) struct Draft {
    pub(super) profile: Profile,
    pub(super) schema: Schema,
    pub(super) settled: Settled,
    pub(super) shown: BTreeMap<String, Shown>,
    pub(super) problems: Vec<Problem>,
    file: PathBuf,
    enabled: BTreeMap<String, bool>,
    notes: Vec<Note>,
    sections: TypedSections,
}

/// Loads the configuration: `sections` are those of the modules, `module_ids` the modules that this build has; the host
/// adds its own. Fails with every problem at once.
pub fn load(
    sections: &[SectionSpec],
    module_ids: &[&'static str],
    inputs: &Inputs,
) -> Result<Loaded, Problems> {
    let draft = draft(sections, module_ids, inputs);
    match HostConfig::pick(&draft.sections) {
        Some(host) if draft.problems.is_empty() => Ok(Loaded {
            profile: draft.profile,
            host,
            file: draft.file,
            enabled: draft.enabled,
            notes: draft.notes,
            schema: draft.schema,
            settled: draft.settled,
            sections: draft.sections,
            shown: draft.shown,
        }),
        // Each section that could not be read has said why.
        _ => Err(Problems::from(draft.problems)),
    }
}

/// The data folder of what [`load`] takes, also when that has problems: bad values of other keys leave no doubt about it.
/// Fails with what does: a file that cannot be read, a section or a variable that there is not, or what is wrong with `[data]`.
pub fn data_dir(
    sections: &[SectionSpec],
    module_ids: &[&'static str],
    inputs: &Inputs,
) -> Result<PathBuf, Problems> {
    let draft = draft(sections, module_ids, inputs);
    let in_doubt = |problem: &Problem| {
        let section = problem.key.split('.').next().unwrap_or_default();
        section == DATA || matches!(draft.schema.find(section), Found::Unknown)
    };
    let (doubts, _): (Vec<_>, Vec<_>) = draft.problems.into_iter().partition(in_doubt);
    match draft.settled.value(DATA_DIR).and_then(Value::as_str) {
        Some(dir) if doubts.is_empty() => Ok(PathBuf::from(dir)),
        _ => Err(Problems::from(doubts)),
    }
}

/// Goes through all layers and sections, and stops at no problem.
pub(super) fn draft(
    sections: &[SectionSpec],
    module_ids: &[&'static str],
    inputs: &Inputs,
) -> Draft {
    let mut problems = Vec::new();
    let schema = schema(sections, module_ids, &mut problems);

    let file = inputs.chosen_file();
    let (file_layer, file_is_known) = match file.text() {
        Ok(None) => (None, true),
        Ok(Some(text)) => {
            let layer = Layer::file(&file.path, &text, &schema, &mut problems);
            let is_known = layer.is_some();
            (layer, is_known)
        }
        Err(message) => {
            problems.push(Problem {
                key: String::new(),
                source: file.named_by.clone().unwrap_or(Source::None),
                message,
                suggestion: None,
            });
            (None, false)
        }
    };
    let variables = Variables::read(&inputs.env, &schema);
    problems.extend(variables.problems);
    let option = inputs.profile.map(|profile| {
        let option = "--profile".to_owned();
        Layer::of(
            Source::CommandLine { option },
            PROFILE,
            Value::from(profile.to_string()),
        )
    });

    // The profile decides about a layer that lies below those that decide about the profile.
    let mut layers = vec![Layer::defaults(&schema)];
    let defaults = Settled::of(&layers, &schema);
    layers.extend(file_layer);
    layers.extend(variables.secret_files);
    layers.extend(variables.variables);
    layers.extend(option);
    let profile = profile_of(&layers, &mut problems);
    if let Some(layer) = Layer::profile(profile, &schema, &mut problems) {
        layers.insert(1, layer);
    }

    let settled = Settled::of(&layers, &schema);
    let enabled = enabled(&settled, module_ids);
    let reader = Reader {
        schema: &schema,
        settled: &settled,
        profile,
    };
    let mut typed = TypedSections::default();
    let mut shown = BTreeMap::from([(MODULES.to_owned(), shown_modules(&enabled))]);
    for spec in host::SECTIONS.iter().chain(sections) {
        // Without the file nobody knows what is set, and what a module that is off would need does not matter.
        let judge = file_is_known && enabled.get(spec.name).copied().unwrap_or(true);
        let Some(section) = reader.read(spec, judge, &mut problems) else {
            continue;
        };
        let defaults = shown_defaults(spec, &defaults);
        let values = section.shown();
        shown.insert(spec.name.to_owned(), Shown { values, defaults });
        typed.insert(spec.name, section);
    }

    Draft {
        profile,
        file: absolute(&file.path),
        enabled,
        notes: variables.notes,
        schema,
        settled,
        sections: typed,
        shown,
        problems,
    }
}

/// The keys of the top level, of the host, of `[modules]` and of the modules, and what their types demand of them.
pub(super) fn schema(
    sections: &[SectionSpec],
    module_ids: &[&'static str],
    problems: &mut Vec<Problem>,
) -> Schema {
    let mut schema = Schema::default();
    for (name, defaults) in texts(sections, module_ids) {
        if let Err(message) = schema.add(name, &defaults) {
            problems.push(Problem {
                key: name.to_owned(),
                source: Source::Default,
                message,
                suggestion: None,
            });
        }
    }
    let defaults = Settled::of(&[Layer::defaults(&schema)], &schema);
    for spec in host::SECTIONS.iter().chain(sections) {
        learn_demands(spec, &defaults, &mut schema);
    }
    schema
}

/// The commented defaults of every section, by name and in the order in which they are shown. The first, without a name,
/// is the top level.
pub(super) fn texts<'a>(
    sections: &'a [SectionSpec],
    module_ids: &[&'static str],
) -> Vec<(&'a str, Arc<str>)> {
    let body = |spec: &SectionSpec| (spec.name, Arc::from(spec.defaults));
    let mut texts = vec![("", Arc::from(include_str!("profile.toml")))];
    texts.extend(host::SECTIONS.iter().map(body));
    texts.push((MODULES, Arc::from(modules_text(module_ids))));
    texts.extend(sections.iter().map(body));
    texts
}

/// The commented defaults of `[modules]`: every module is on.
fn modules_text(module_ids: &[&'static str]) -> String {
    let keys = module_ids
        .iter()
        .map(|id| format!("# Whether the module {id} is on.\n{id} = true\n"));
    keys.collect::<Vec<_>>().join("\n")
}

fn enabled(settled: &Settled, module_ids: &[&'static str]) -> BTreeMap<String, bool> {
    let is_on = |id: &str| settled.value(&format!("{MODULES}.{id}"))?.to_bool();
    module_ids
        .iter()
        .map(|id| ((*id).to_owned(), is_on(id).unwrap_or(true)))
        .collect()
}

fn shown_modules(enabled: &BTreeMap<String, bool>) -> Shown {
    let object = |on: &dyn Fn(bool) -> bool| {
        let keys = enabled
            .iter()
            .map(|(id, is_on)| (id.clone(), Json::Bool(on(*is_on))));
        Json::Object(keys.collect())
    };
    Shown {
        values: object(&|is_on| is_on),
        defaults: object(&|_| true),
    }
}

/// The profile that the highest layer names; the default with a problem noted when it names none that there is.
fn profile_of(layers: &[Layer], problems: &mut Vec<Problem>) -> Profile {
    let named = layers
        .iter()
        .rev()
        .find_map(|layer| layer.top_level(PROFILE).map(|value| (layer, value)));
    let Some((layer, value)) = named else {
        return Profile::Dev;
    };
    value.deserialize().unwrap_or_else(|error| {
        let (message, suggestion) = describe(&error, Some(value));
        problems.push(Problem {
            key: PROFILE.to_owned(),
            source: layer.source_of(PROFILE),
            message,
            suggestion,
        });
        Profile::Dev
    })
}

/// The path, absolute: a watcher needs the folder in which it lies.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

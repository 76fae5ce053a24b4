//! What a component says about itself, and what it may use, for people.
use domain::port::KnownPlugin;
use serde::Serialize;
use serde_json::Value;

/// What a component says about itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What the stage does.
    pub summary: String,
    /// The contract version that it was built for.
    pub contract_version: String,
    /// Artifacts without which it cannot work.
    pub needs: Vec<String>,
    /// Artifacts that it uses where they exist.
    pub uses: Vec<String>,
    /// Artifacts that it makes.
    pub makes: Vec<Made>,
    /// Settings that a profile may give it.
    pub settings: Vec<Setting>,
    /// What it may use of the host.
    pub imports: Vec<ImportGroup>,
}

/// An artifact that it makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its file name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What is in it.
    pub summary: String,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it may be, e.g. `integer` or `one of "short", "long"`.
    pub kind: String,
    /// Whether a profile has to say it.
    pub required: bool,
    /// What it is where a profile does not say it.
    pub default: Option<Value>,
    /// What it is for, in the plugin's words.
    pub description: Option<String>,
}

/// Imports that reach the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportGroup {
    /// What they reach.
    pub reach: Reach,
    /// The same for people.
    pub meaning: &'static str,
    /// The interfaces.
    pub interfaces: Vec<String>,
}

/// What an import reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Language models.
    Models,
    /// The run's log.
    Log,
    /// Types that both sides speak about.
    Types,
    /// Nothing: it is there because languages bring it.
    Nothing,
    /// Nothing: every call stops the stage, or fails.
    Denied,
    /// Hosts that a profile and the operator grant.
    Http,
}

impl Reach {
    const ALL: [Reach; 6] =
        [Reach::Models, Reach::Log, Reach::Types, Reach::Http, Reach::Denied, Reach::Nothing];

    fn of(interface: &str) -> Reach {
        match interface.split_once('@').map_or(interface, |(name, _)| name) {
            "stagewright:stage/llm" => Reach::Models,
            "stagewright:stage/log" => Reach::Log,
            "stagewright:stage/types" => Reach::Types,
            name if name.starts_with("wasi:http/") => Reach::Http,
            name if name.starts_with("wasi:sockets/") => Reach::Denied,
            _ => Reach::Nothing,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Reach::Models => "asks language models, within the limits and budgets of the profile",
            Reach::Log => "writes lines into the run's log",
            Reach::Types => "types of the contract",
            Reach::Nothing => {
                "WASI that is empty and deterministic: no files, no environment, no input, a clock that stands, chance \
                 that repeats itself"
            }
            Reach::Denied => "network that is denied: every call fails",
            Reach::Http => {
                "HTTP that is denied, but to hosts that both the profile and the operator grant"
            }
        }
    }
}

impl Described {
    pub(super) fn of(plugin: &KnownPlugin) -> Described {
        let KnownPlugin { info, imports, contract_version, .. } = plugin.clone();
        let makes = info.makes.into_iter().map(|spec| Made {
            name: spec.name,
            media_type: spec.media_type,
            summary: spec.summary,
        });
        Described {
            name: info.name,
            version: info.version,
            summary: info.summary,
            contract_version,
            needs: info.needs,
            uses: info.uses,
            makes: makes.collect(),
            settings: settings(info.settings_schema.as_str()),
            imports: groups(&imports),
        }
    }
}

fn groups(imports: &[String]) -> Vec<ImportGroup> {
    let group = |reach: Reach| ImportGroup {
        reach,
        meaning: reach.meaning(),
        interfaces: imports.iter().filter(|name| Reach::of(name) == reach).cloned().collect(),
    };
    let mut groups: Vec<ImportGroup> = Reach::ALL.into_iter().map(group).collect();
    groups.retain(|group| !group.interfaces.is_empty());
    groups
}

fn settings(schema: &str) -> Vec<Setting> {
    let schema: Value = serde_json::from_str(schema).unwrap_or(Value::Null);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| {
        required.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let setting = |(name, property): (&String, &Value)| Setting {
        name: name.clone(),
        kind: kind(property),
        required: is_required(name) && property.get("default").is_none(),
        default: property.get("default").cloned(),
        description: property.get("description").and_then(Value::as_str).map(str::to_owned),
    };
    properties.into_iter().flatten().map(setting).collect()
}

/// What values a property may have, in a few words.
fn kind(property: &Value) -> String {
    if let Some(options) = property.get("enum").and_then(Value::as_array) {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        return format!("one of {}", options.join(", "));
    }
    match property.get("type") {
        Some(Value::String(one)) if one == "array" => {
            let item = property.get("items").map(kind).unwrap_or_default();
            if item.is_empty() { "list".to_owned() } else { format!("list of {item}") }
        }
        Some(Value::String(one)) => one.clone(),
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_with_kind_and_default() {
        let told = settings(
            r#"{"type": "object", "required": ["tone", "depth"], "properties": {
                "tone": {"enum": ["warm", "dry"], "description": "How it sounds."},
                "depth": {"type": "integer", "default": 3},
                "words": {"type": "array", "items": {"type": "string"}}}}"#,
        );
        let told: Vec<(String, String, bool)> = told
            .into_iter()
            .map(|setting| (setting.name, setting.kind, setting.required))
            .collect();
        let line = |name: &str, kind: &str, required| (name.to_owned(), kind.to_owned(), required);
        let mut wanted = vec![
            line("tone", "one of \"warm\", \"dry\"", true),
            line("depth", "integer", false),
            line("words", "list of string", false),
        ];
        let mut told = told;
        told.sort();
        wanted.sort();
        assert_eq!(told, wanted);
    }

    #[test]
    fn imports_are_grouped_by_what_they_reach() {
        let imports = [
            "wasi:sockets/tcp@0.2.3",
            "wasi:http/types@0.2.3",
            "stagewright:stage/llm@1.0.0",
            "wasi:io/streams@0.2.3",
        ];
        let groups = groups(&imports.map(str::to_owned));
        let reached: Vec<Reach> = groups.iter().map(|group| group.reach).collect();
        assert_eq!(reached, [Reach::Models, Reach::Http, Reach::Denied, Reach::Nothing]);
    }
}

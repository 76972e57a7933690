//! Checks documents against Amazon's official models (Swagger 2), more strictly than the models
//! ask: a property that the model does not know is an error too.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

/// One official model.
pub(crate) struct Model(Value);

impl Model {
    /// The model in this file of the models folder; `None`, loudly, where that folder is absent.
    pub(crate) fn load(path: &str) -> Option<Self> {
        let file = folder().join(path);
        if !file.exists() {
            let file = file.display();
            eprintln!("\n*** SKIPPED: no official model at {file}; set BULKHEAD_MODELS_DIR ***\n");
            return None;
        }
        Some(Self(
            serde_json::from_slice(&fs::read(file).unwrap()).unwrap(),
        ))
    }

    /// Everything about `document` that `definition` does not allow.
    pub(crate) fn faults(&self, definition: &str, document: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let schema = json!({"$ref": format!("#/definitions/{definition}")});
        self.check(&schema, document, definition, &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.0.pointer(reference.trim_start_matches('#'));
            return self.check(target.expect("known reference"), value, at, faults);
        }
        let known = schema["enum"]
            .as_array()
            .is_none_or(|allowed| allowed.contains(value));
        if !known {
            faults.push(format!("{at}: {value} is none of the allowed values"));
        }
        match schema["type"].as_str() {
            Some("object") | None => self.check_object(schema, value, at, faults),
            Some("array") => self.check_array(schema, value, at, faults),
            Some(kind) => check_scalar(kind, schema, value, at, faults),
        }
    }

    fn check_object(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let Some(object) = value.as_object() else {
            return faults.push(format!("{at}: not an object"));
        };
        for name in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(name.as_str().unwrap()) {
                faults.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, value) in object {
            match schema["properties"].get(name) {
                Some(schema) => self.check(schema, value, &format!("{at}.{name}"), faults),
                None => faults.push(format!("{at}: {name} is not in the model")),
            }
        }
    }

    fn check_array(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let Some(array) = value.as_array() else {
            return faults.push(format!("{at}: not an array"));
        };
        for (position, value) in array.iter().enumerate() {
            self.check(
                &schema["items"],
                value,
                &format!("{at}[{position}]"),
                faults,
            );
        }
    }
}

fn check_scalar(kind: &str, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let right = match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    };
    let dated = schema["format"] != "date-time"
        || value
            .as_str()
            .is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok());
    if !right || !dated {
        faults.push(format!(
            "{at}: {value} is not a {kind} {}",
            schema["format"]
        ));
    }
}

fn folder() -> PathBuf {
    match std::env::var_os("BULKHEAD_MODELS_DIR") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/amazon/models"),
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let model = Model(json!({"definitions": {
        "Order": {"type": "object", "required": ["id", "at"], "properties": {
            "id": {"type": "string"},
            "at": {"type": "string", "format": "date-time"},
            "items": {"type": "array", "items": {"$ref": "#/definitions/Item"}},
        }},
        "Item": {"type": "object", "properties": {"state": {"type": "string", "enum": ["NEW"]}}},
    }}));
    let right = json!({"id": "1", "at": "2026-01-01T00:00:00Z", "items": [{"state": "NEW"}]});
    assert_eq!(model.faults("Order", &right), Vec::<String>::new());
    for wrong in [
        json!({"id": 1, "at": "2026-01-01T00:00:00Z"}),
        json!({"id": "1"}),
        json!({"id": "1", "at": "soon"}),
        json!({"id": "1", "at": "2026-01-01T00:00:00Z", "extra": 1}),
        json!({"id": "1", "at": "2026-01-01T00:00:00Z", "items": [{"state": "OLD"}]}),
    ] {
        assert_eq!(model.faults("Order", &wrong).len(), 1, "{wrong}");
    }
}

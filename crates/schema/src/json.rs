//! The key table as JSON Schema (draft 2020-12), for editors.

use serde_json::{Map, Value as Json, json};

use crate::table::{Key, Shape, Table};

/// The JSON Schema of documents that `table` describes.
#[must_use]
pub fn json_schema(table: &'static Table, title: &str) -> Json {
    let mut definitions = Map::new();
    let mut schema = table_schema(table, &mut definitions);
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(title));
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), Json::Object(definitions));
    }
    Json::Object(schema)
}

fn table_schema(table: &'static Table, definitions: &mut Map<String, Json>) -> Map<String, Json> {
    let mut properties = Map::new();
    for key in table.keys {
        properties.insert(key.name.to_owned(), key_schema(key, definitions));
    }
    let required: Vec<&str> = table.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("description".to_owned(), json!(table.doc));
    schema.insert("properties".to_owned(), Json::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

fn key_schema(key: &'static Key, definitions: &mut Map<String, Json>) -> Json {
    let mut schema = shape_schema(&key.shape, definitions);
    schema.insert("description".to_owned(), json!(key.doc));
    if let Some(default) = key.default.and_then(literal) {
        schema.insert("default".to_owned(), default);
    }
    if let Some(example) = key.example.and_then(literal) {
        schema.insert("examples".to_owned(), json!([example]));
    }
    Json::Object(schema)
}

fn shape_schema(shape: &Shape, definitions: &mut Map<String, Json>) -> Map<String, Json> {
    let schema = match shape {
        Shape::Text => json!({ "type": "string", "minLength": 1 }),
        Shape::TextOrEmpty | Shape::Checked(_) => json!({ "type": "string" }),
        Shape::OneOf(words) => json!({ "type": "string", "enum": words }),
        Shape::Integer { min, max: i64::MAX } => json!({ "type": "integer", "minimum": min }),
        Shape::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::IntegerOneOf(numbers) => json!({ "type": "integer", "enum": numbers }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Duration { .. } => {
            json!({ "type": "string", "pattern": "^ *([0-9]+(d|h|m|s|ms) *)+$" })
        }
        Shape::Table(table) => {
            if !definitions.contains_key(table.name) {
                // The name is taken before the keys are visited, because a table may hold itself.
                definitions.insert(table.name.to_owned(), Json::Null);
                let schema = table_schema(table, definitions);
                definitions.insert(table.name.to_owned(), Json::Object(schema));
            }
            json!({ "$ref": format!("#/$defs/{}", table.name.replace('~', "~0").replace('/', "~1")) })
        }
        Shape::MapOf { value, .. } => {
            json!({ "type": "object", "additionalProperties": shape_schema(value, definitions) })
        }
        Shape::ListOf(item) => json!({ "type": "array", "items": shape_schema(item, definitions) }),
        Shape::Either(shapes) => {
            let any: Vec<Json> =
                shapes.iter().map(|shape| Json::Object(shape_schema(shape, definitions))).collect();
            json!({ "anyOf": any })
        }
    };
    match schema {
        Json::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// A value as it is written in TOML; nothing where the text is words.
fn literal(written: &str) -> Option<Json> {
    let table: toml::Table = toml::from_str(&format!("it = {written}")).ok()?;
    json_value(table.get("it")?)
}

fn json_value(value: &toml::Value) -> Option<Json> {
    Some(match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(truth) => json!(truth),
        toml::Value::Datetime(_) => return None,
        toml::Value::Array(items) => Json::Array(items.iter().filter_map(json_value).collect()),
        toml::Value::Table(table) => Json::Object(
            table.iter().filter_map(|(key, value)| Some((key.clone(), json_value(value)?))).collect(),
        ),
    })
}

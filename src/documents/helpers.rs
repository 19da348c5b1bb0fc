//! The helpers that templates call. They take values of one type and refuse others, so that a mistake in a template is
//! an error and not a hole in a text. What they give is escaped like any value, except where it is markup itself.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError,
    RenderErrorReason, ScopedJson,
};
use serde_json::Value;

use super::escape::{self, Format};
use super::{findings, words};
use crate::experiment::{Access, Language, Role, SourceKind, Status};

/// A helper that turns its parameters into a value.
struct Gives<F>(&'static str, F);

impl<F: Fn(&[&Value]) -> Result<Value, String>> HelperDef for Gives<F> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        (self.1)(&given(self.0, helper)?)
            .map(ScopedJson::Derived)
            .map_err(|why| wrong(self.0, &why))
    }
}

/// A helper that writes markup, and has escaped what is in it.
struct Writes<F>(&'static str, F);

impl<F: Fn(&[&Value]) -> Result<String, String>> HelperDef for Writes<F> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let text = (self.1)(&given(self.0, helper)?).map_err(|why| wrong(self.0, &why))?;
        out.write(&text)?;
        Ok(())
    }
}

/// The signature is named here, so that closures get it.
fn gives<F: Fn(&[&Value]) -> Result<Value, String>>(name: &'static str, f: F) -> Gives<F> {
    Gives(name, f)
}

fn writes<F: Fn(&[&Value]) -> Result<String, String>>(name: &'static str, f: F) -> Writes<F> {
    Writes(name, f)
}

/// The parameters; one that leads nowhere is an error.
fn given<'h>(name: &str, helper: &'h Helper<'_>) -> Result<Vec<&'h Value>, RenderError> {
    helper
        .params()
        .iter()
        .map(|param| {
            if param.is_value_missing() {
                let path = param.relative_path().map_or("?", String::as_str);
                return Err(wrong(name, &format!("`{path}` does not exist")));
            }
            Ok(param.value())
        })
        .collect()
}

fn wrong(helper: &str, why: &str) -> RenderError {
    RenderErrorReason::Other(format!("helper `{helper}`: {why}")).into()
}

fn one<'v>(values: &[&'v Value]) -> Result<&'v Value, String> {
    match values {
        [one] => Ok(one),
        _ => Err(format!("takes one value, not {}", values.len())),
    }
}

fn text<'v>(values: &[&'v Value]) -> Result<&'v str, String> {
    one(values)?
        .as_str()
        .ok_or_else(|| "its value is no text".to_owned())
}

/// Text, or a number written as one.
fn scalar(values: &[&Value]) -> Result<String, String> {
    match one(values)? {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("its value is neither text nor number".to_owned()),
    }
}

fn whole(value: &Value) -> Result<u64, String> {
    value
        .as_u64()
        .ok_or_else(|| "its value is no whole number".to_owned())
}

/// Makes the helpers known.
pub(super) fn register(registry: &mut Handlebars<'_>, language: Language, format: Format) {
    values(registry, language);
    pieces(registry);
    markup(registry, format);
    registry.register_helper(
        "paragraphs",
        Box::new(writes("paragraphs", move |v| {
            let text = text(v)?;
            Ok(match format {
                Format::Markdown => escape::markdown_paragraphs(text),
                Format::Text => escape::plain_paragraphs(text),
                Format::Yaml => escape::yaml(text),
            })
        })),
    );
}

macro_rules! gives {
    ($registry:ident, $name:literal, $body:expr) => {
        $registry.register_helper($name, Box::new(gives($name, $body)))
    };
}

macro_rules! writes {
    ($registry:ident, $name:literal, $body:expr) => {
        $registry.register_helper($name, Box::new(writes($name, $body)))
    };
}

/// Values in the language of the document.
fn values(registry: &mut Handlebars<'_>, l: Language) {
    gives!(registry, "day", move |v| Ok(words::day(l, text(v)?).into()));
    gives!(registry, "number", move |v| match one(v)? {
        Value::Number(n) if n.is_u64() => Ok(words::number(l, whole(one(v)?)?).into()),
        Value::Number(n) => Ok(words::decimal(l, n.as_f64().unwrap_or_default()).into()),
        _ => Err("its value is no number".into()),
    });
    gives!(registry, "size", move |v| Ok(words::size(
        l,
        whole(one(v)?)?
    )
    .into()));
    gives!(registry, "duration", move |v| {
        let seconds = one(v)?.as_f64().ok_or("its value is no number")?;
        Ok(words::duration(l, seconds).into())
    });
    gives!(registry, "plural", move |v| match v {
        [count, singular, plural] => Ok(if words::is_plural(l, whole(count)?) {
            *plural
        } else {
            *singular
        }
        .clone()),
        _ => Err("takes a number, a singular and a plural".into()),
    });
    gives!(registry, "pick", move |v| one(v)?
        .get(l.as_str())
        .cloned()
        .ok_or_else(|| "its value has no text in this language".into()));
    gives!(registry, "join", |v| {
        let list = one(v)?.as_array().ok_or("its value is no list")?;
        let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        Ok(words.join(", ").into())
    });
    gives!(registry, "role", move |v| word(text(v)?, Role::parse)
        .map(|r| words::role(l, r).into()));
    gives!(registry, "roles", move |v| {
        let list = one(v)?.as_array().ok_or("its value is no list")?;
        let names = list
            .iter()
            .map(|each| word(each.as_str().unwrap_or_default(), Role::parse))
            .map(|role| role.map(|role| words::role(l, role)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(names.join(", ").into())
    });
    gives!(registry, "status", move |v| word(text(v)?, Status::parse)
        .map(|s| words::status(l, s).into()));
    gives!(registry, "access", move |v| word(text(v)?, Access::parse)
        .map(|a| words::access(l, a).into()));
    gives!(registry, "kind", move |v| word(text(v)?, SourceKind::parse)
        .map(|k| words::kind(k).into()));
    gives!(registry, "language", move |v| word(
        text(v)?,
        Language::parse
    )
    .map(|each| words::language(l, each).into()));
    gives!(registry, "what", move |v| Ok(
        words::extension(l, text(v)?).map_or(Value::Null, Into::into)
    ));
    gives!(registry, "format", move |v| Ok(words::format(l, text(v)?)
        .map_or_else(
            || one(v).cloned().unwrap_or_default(),
            Into::into
        )));
    gives!(registry, "values", move |v| Ok(words::kind_of_values(
        l,
        text(v)?
    )
    .map_or_else(|| one(v).cloned().unwrap_or_default(), Into::into)));
    gives!(registry, "delimiter", move |v| Ok(words::delimiter(
        l,
        text(v)?
    )
    .map_or_else(|| one(v).cloned().unwrap_or_default(), Into::into)));
    gives!(registry, "point", move |v| Ok(words::point(l, text(v)?)
        .map_or_else(
            || one(v).cloned().unwrap_or_default(),
            Into::into
        )));
    gives!(registry, "finding", move |v| match v {
        [Value::String(code), message] => Ok(findings::french(code)
            .filter(|_| l == Language::Fr)
            .map_or_else(|| (*message).clone(), Into::into)),
        _ => Err("takes a code and a message".into()),
    });
}

/// Values that are the same in every language.
fn pieces(registry: &mut Handlebars<'_>) {
    gives!(registry, "upper", |v| Ok(text(v)?.to_uppercase().into()));
    gives!(registry, "known", |v| Ok((!one(v)?.is_null()).into()));
    gives!(registry, "last", |v| Ok(text(v)?
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .into()));
    gives!(registry, "mail", |v| Ok(
        format!("mailto:{}", text(v)?).into()
    ));
    gives!(registry, "urn", |v| Ok(
        format!("urn:uuid:{}", text(v)?).into()
    ));
    gives!(registry, "share", |v| Ok(format!(
        "\\\\NAS\\{}",
        text(v)?.replace('/', "\\")
    )
    .into()));
    gives!(registry, "concat", |v| Ok(texts(v)?.concat().into()));
    gives!(registry, "path", |v| Ok(texts(v)?.join("/").into()));
}

fn texts<'v>(values: &[&'v Value]) -> Result<Vec<&'v str>, String> {
    values
        .iter()
        .map(|value| value.as_str().ok_or_else(|| "a value is no text".into()))
        .collect()
}

fn word<T>(text: &str, parse: impl Fn(&str) -> crate::error::Result<T>) -> Result<T, String> {
    parse(text).map_err(|e| e.to_string())
}

/// Markup around a value.
fn markup(registry: &mut Handlebars<'_>, format: Format) {
    writes!(registry, "code", move |v| Ok(match format {
        Format::Markdown => escape::markdown_code(&scalar(v)?, false),
        _ => format.escape(&scalar(v)?),
    }));
    writes!(registry, "code_cell", move |v| Ok(match format {
        Format::Markdown => escape::markdown_code(&scalar(v)?, true),
        _ => format.escape(&scalar(v)?),
    }));
    writes!(registry, "link", move |v| match v {
        [label, address] => {
            let label = label.as_str().ok_or("its label is no text")?;
            let address = address.as_str().ok_or("its address is no text")?;
            Ok(match format {
                Format::Markdown if address.contains(['(', ')']) => {
                    format!("[{}](<{}>)", escape::markdown(label), url(address)?)
                }
                Format::Markdown => {
                    format!("[{}]({})", escape::markdown(label), url(address)?)
                }
                _ => format!("{} ({})", format.escape(label), url(address)?),
            })
        }
        _ => Err("takes a label and an address".into()),
    });
    writes!(registry, "literal", |v| Ok(escape::literal(&scalar(v)?)));
    writes!(registry, "shell", |v| Ok(escape::shell(&scalar(v)?)));
    writes!(registry, "integer", |v| Ok(whole(one(v)?)?.to_string()));
    writes!(registry, "comment", |v| Ok(escape::literal(text(v)?)
        .trim_matches('"')
        .to_owned()));
    writes!(registry, "wrap", move |v| Ok(escape::wrap(
        &format.escape(text(v)?),
        79
    )));
}

/// An address that leads where it says: https, http, mail, or a file beside.
fn url(address: &str) -> Result<String, String> {
    let scheme = ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| address.starts_with(scheme));
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>\"\\`{}|^".contains(c);
    let beside = !address.contains(':') && !address.starts_with('/');
    if (scheme || beside) && address.chars().all(plain) {
        Ok(address.to_owned())
    } else {
        Err("its address is none".to_owned())
    }
}

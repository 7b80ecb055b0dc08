//! Writes the TypeScript twins of messages. Only tests use it: the one that owns a file compares it with what the Rust types
//! say now, or writes it anew.

use std::{env, fs, path::Path};

use ts_rs::{Config, TS};

/// A file of declarations.
pub struct Declarations {
    config: Config,
    package: &'static str,
    text: String,
}

impl Declarations {
    /// `source` is where the types stand, `package` whose test writes the file.
    #[must_use]
    pub fn of(source: &str, package: &'static str) -> Self {
        let text = format!(
            "// Generated from {source}: do not edit.\n\
             // After a change there: {UPDATE}=1 cargo test -p {package} messages\n\
             /* eslint-disable */\n\n"
        );
        Self { config: Config::new(), package, text }
    }

    /// A declaration with its comment: fields indented, short comments on a line.
    #[must_use]
    pub fn and<T: TS>(mut self) -> Self {
        let comments = |text: &str| text.replace("/**\n * ", "/** ").replace("\n */\n", " */\n");
        let body = comments(&T::decl(&self.config)).replace(", };", ",\n};");
        let body = body
            .lines()
            .enumerate()
            .map(|(at, line)| match line.trim_end() {
                "};" => "};".to_owned(),
                first if at == 0 => first.to_owned(),
                field => format!("  {field}"),
            })
            .collect::<Vec<_>>()
            .join("\n");
        self.text += &format!("{}export {body}\n\n", comments(&T::docs().unwrap_or_default()));
        self
    }

    /// Compares the file with the declarations; writes it first when the environment asks for that.
    ///
    /// # Panics
    /// When they differ, or the file cannot be written.
    pub fn check(self, path: impl AsRef<Path>) {
        let (path, wanted) = (path.as_ref(), format!("{}\n", self.text.trim_end()));
        if env::var_os(UPDATE).is_some() {
            fs::write(path, &wanted).expect("a checkout that can be written to");
        }
        let present = fs::read_to_string(path).unwrap_or_default();
        assert!(
            present == wanted,
            "{} is out of date: {UPDATE}=1 cargo test -p {} messages",
            path.display(),
            self.package
        );
    }
}

const UPDATE: &str = "HELIOGRAPH_UPDATE_MESSAGES";

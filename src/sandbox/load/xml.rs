//! Files of metadata: XML with one level of text under the root, and lists of such.

use roxmltree::{Document, Node};

use super::source::{LoadError, Source};

/// A file, parsed.
pub struct Metadata<'s> {
    source: &'s Source,
    document: Document<'s>,
}

/// An element of a file.
#[derive(Clone, Copy)]
pub struct Element<'d, 's> {
    file: &'d Metadata<'s>,
    node: Node<'d, 's>,
}

impl<'s> Metadata<'s> {
    /// Parses a file whose root must have this name.
    pub fn parse(source: &'s Source, root: &str) -> Result<Self, LoadError> {
        let document = Document::parse(&source.text).map_err(|error| {
            let line = usize::try_from(error.pos().row).unwrap_or(1);
            LoadError::at(&source.path, line, format!("the XML is not valid: {error}"))
        })?;
        // A file under a wrong name would else be an object without anything in it.
        let found = document.root_element().tag_name().name().to_owned();
        if found != root {
            return Err(LoadError::new(&source.path, format!("the file must hold a <{root}>, not a <{found}>")));
        }
        Ok(Self { source, document })
    }

    /// The root.
    pub fn root(&self) -> Element<'_, 's> {
        Element { file: self, node: self.document.root_element() }
    }
}

impl<'d, 's> Element<'d, 's> {
    /// The first child of that name.
    pub fn child(self, name: &str) -> Option<Self> {
        self.children(name).next()
    }

    /// All children of that name.
    pub fn children<'n>(self, name: &'n str) -> impl Iterator<Item = Self> + use<'d, 's, 'n> {
        let child = self.node.children().filter(move |node| node.tag_name().name() == name);
        child.map(move |node| Self { file: self.file, node })
    }

    /// Its own text, trimmed; none when it is blank.
    pub fn own_text(self) -> Option<&'d str> {
        self.node.text().map(str::trim).filter(|text| !text.is_empty())
    }

    /// The text of a child.
    pub fn text(self, name: &str) -> Option<&'d str> {
        self.child(name)?.own_text()
    }

    /// Whether a child says true.
    pub fn flag(self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The number in a child.
    pub fn number(self, name: &str) -> Result<Option<u64>, LoadError> {
        let Some(child) = self.child(name) else { return Ok(None) };
        let text = child.own_text().unwrap_or_default();
        text.parse().map(Some).map_err(|_| child.error(format!("<{name}> must be a number, not `{text}`")))
    }

    /// An error at this element.
    pub fn error(self, message: impl Into<String>) -> LoadError {
        let at = self.file.document.text_pos_at(self.node.range().start);
        LoadError::at(&self.file.source.path, usize::try_from(at.row).unwrap_or(1), message)
    }
}

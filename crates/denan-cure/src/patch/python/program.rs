//! The files of one training among all that lie in its folder.

use super::source::{Edit, Source};
use super::{NoPatch, PatchContext, SourceTree, edit};
use denan_finding::Patch;
use std::collections::BTreeSet;

/// A change of a file.
pub(super) type Change<'a> = (&'a Source, Edit);

/// The files that belong to the training.
pub(super) struct Program {
    pub(super) files: Vec<Source>,
}

impl Program {
    /// The files that the record names and those that they import; those that import them, too, where
    /// no optimizer is made in the others.
    pub(super) fn of(context: &PatchContext<'_>, sources: &dyn SourceTree) -> Self {
        let listed: Vec<String> = sources.files().into_iter().filter(|file| file.ends_with(".py")).collect();
        let mut files = Files { sources, files: Vec::new() };
        for file in recorded(context) {
            files.add(&file);
        }
        if files.files.is_empty() {
            listed.iter().for_each(|file| files.add(file));
            return Self { files: files.files };
        }
        files.follow_imports(0, &listed);
        if files.files.iter().all(|source| super::optimizer::sites_in(source).is_empty()) {
            let mut others = Files { sources, files: Vec::new() };
            listed.iter().for_each(|file| others.add(file));
            let mut at = 0;
            while at < files.files.len() {
                let importing: Vec<String> = others
                    .files
                    .iter()
                    .filter(|other| imports(other, files.files[at].file()))
                    .map(|other| other.file().to_owned())
                    .collect();
                importing.iter().for_each(|file| files.add(file));
                at += 1;
            }
            files.follow_imports(0, &listed);
        }
        Self { files: files.files }
    }

    /// The file that was recorded under a name.
    pub(super) fn file(&self, name: &str) -> Option<&Source> {
        let exact = self.files.iter().find(|source| source.file() == name);
        exact.or_else(|| self.files.iter().find(|source| source.is(name)))
    }
}

/// The changes as a patch, if they are of one file.
pub(super) fn patch(
    changes: Vec<Change<'_>>,
    sources: &dyn SourceTree,
    by_hand: &str,
) -> Result<Patch, NoPatch> {
    let Some(&(source, _)) = changes.first() else {
        return Err(NoPatch::new("nothing would change", by_hand));
    };
    let mut edits: Vec<Edit> = Vec::new();
    for (other, edit) in changes {
        if !std::ptr::eq(other, source) {
            let files = format!("{} and {}", sources.show(source.file()), sources.show(other.file()));
            return Err(NoPatch::new(format!("two files would change ({files})"), by_hand));
        }
        if !edits.contains(&edit) {
            edits.push(edit);
        }
    }
    source.patch(sources, edits, by_hand)
}

/// Files that the record names.
fn recorded(context: &PatchContext<'_>) -> BTreeSet<String> {
    let producer = &context.break_.producer;
    let near = [context.step_place, producer.place.as_ref(), producer.forward_place.as_ref()];
    let mut places: Vec<_> = near.into_iter().flatten().collect();
    if let Some(run) = context.run {
        places.extend(run.parameters.iter().filter_map(|parameter| parameter.first_use.as_ref()));
        places.extend(run.graphs.iter().flat_map(|graph| &graph.places));
        places.extend(run.data.iter().filter_map(|data| data.place.as_ref()));
    }
    places.into_iter().map(|place| place.file.clone()).collect()
}

/// Files of the tree that have been read and parsed.
struct Files<'s> {
    sources: &'s dyn SourceTree,
    files: Vec<Source>,
}

impl Files<'_> {
    /// Adds a file, if it is there, parses, and has not been added under another name.
    fn add(&mut self, file: &str) {
        let shown = self.sources.show(file);
        if self.files.iter().any(|source| self.sources.show(source.file()) == shown) {
            return;
        }
        let read = edit::read(self.sources, file).filter(|(name, _)| name.ends_with(".py"));
        let parsed = read.and_then(|(name, text)| Source::parse(&name, text).ok());
        let is_new = |parsed: &Source| {
            let shown = self.sources.show(parsed.file());
            self.files.iter().all(|source| self.sources.show(source.file()) != shown)
        };
        let parsed = parsed.filter(is_new);
        self.files.extend(parsed);
    }

    /// Adds all that the files from one on import: listed files, and those in the folder of the one that imports them,
    /// which may lie outside of the tree.
    fn follow_imports(&mut self, from: usize, listed: &[String]) {
        let mut at = from;
        while at < self.files.len() {
            let source = &self.files[at];
            let folder =
                source.file().rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            let modules: BTreeSet<String> =
                source.names().modules().map(|module| module.replace('.', "/")).collect();
            let own = listed.iter().filter(|file| imports(source, file)).cloned();
            let beside = modules
                .iter()
                .filter(|module| !module.is_empty())
                .map(|module| format!("{folder}{module}.py"));
            let beside = beside.filter(|file| self.sources.read(file).is_some());
            let wanted: Vec<String> = own.chain(beside).collect();
            wanted.iter().for_each(|file| self.add(file));
            at += 1;
        }
    }
}

/// Whether a file imports the one of a name, by the end of its path.
fn imports(from: &Source, file: &str) -> bool {
    let path = file.replace('\\', "/");
    let path = path.strip_suffix(".py").unwrap_or(&path);
    let path = path.strip_suffix("/__init__").unwrap_or(path);
    from.names().modules().any(|module| {
        let module = module.replace('.', "/");
        !module.is_empty() && (path == module || path.ends_with(&format!("/{module}")))
    })
}

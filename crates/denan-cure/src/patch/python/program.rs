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
        let mut all: Vec<Source> = sources
            .files()
            .into_iter()
            .filter(|file| file.ends_with(".py"))
            .filter_map(|file| Source::parse(&file, sources.read(&file)?).ok())
            .collect();
        let recorded = recorded(context);
        for file in &recorded {
            if all.iter().any(|source| source.is(file)) {
                continue;
            }
            let opened = edit::read(sources, file).and_then(|(name, text)| Source::parse(&name, text).ok());
            all.extend(opened.filter(|opened| all.iter().all(|source| source.file() != opened.file())));
        }
        beside(&mut all, &recorded, sources);
        let mut chosen: BTreeSet<usize> =
            (0..all.len()).filter(|&at| recorded.iter().any(|file| all[at].is(file))).collect();
        if chosen.is_empty() {
            return Self { files: all };
        }
        grow(&mut chosen, &all, imports);
        let makes_optimizer = |at: &usize| !super::optimizer::sites_in(&all[*at]).is_empty();
        if !chosen.iter().any(makes_optimizer) {
            grow(&mut chosen, &all, |from, to| imports(to, from) || imports(from, to));
        }
        let files = all.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, file)| file);
        Self { files: files.collect() }
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

/// Adds what recorded files import from their own folders: a script may lie outside of the tree that is listed.
fn beside(all: &mut Vec<Source>, recorded: &BTreeSet<String>, sources: &dyn SourceTree) {
    let (mut at, listed) = (0, all.len());
    while at < all.len() {
        let file = all[at].file().to_owned();
        let folder = file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let is_own = at >= listed || recorded.iter().any(|name| all[at].is(name));
        let modules: BTreeSet<String> =
            all[at].names().modules().map(|module| module.replace('.', "/")).collect();
        let wanted = modules.into_iter().filter(|module| is_own && !module.is_empty());
        for file in wanted.map(|module| format!("{folder}{module}.py")).collect::<Vec<_>>() {
            let is_known = all.iter().any(|source| source.file() == file || source.is(&file));
            let text = if is_known { None } else { sources.read(&file) };
            all.extend(text.and_then(|text| Source::parse(&file, text).ok()));
        }
        at += 1;
    }
}

/// Adds files that are joined to chosen ones, until there is none.
fn grow(chosen: &mut BTreeSet<usize>, all: &[Source], joins: impl Fn(&Source, &Source) -> bool) {
    loop {
        let more: Vec<usize> = (0..all.len())
            .filter(|to| !chosen.contains(to) && chosen.iter().any(|&from| joins(&all[from], &all[*to])))
            .collect();
        if more.is_empty() {
            return;
        }
        chosen.extend(more);
    }
}

/// Whether one file imports the other, by the end of its path.
fn imports(from: &Source, to: &Source) -> bool {
    let path = to.file().replace('\\', "/");
    let path = path.strip_suffix(".py").unwrap_or(&path);
    let path = path.strip_suffix("/__init__").unwrap_or(path);
    from.names().modules().any(|module| {
        let module = module.replace('.', "/");
        !module.is_empty() && (path == module || path.ends_with(&format!("/{module}")))
    })
}

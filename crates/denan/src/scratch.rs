//! A scratch folder for each re-run of a Python training: it stands for the user's folders, what the script writes goes
//! there, and it is thrown away. The user's own files stay as the first run left them.
//!
//! [`Scratch::of`] notes before the first run what the working folder and the script's folder hold. [`Scratch::watch`] runs
//! the training again in a fresh temporary folder that mirrors the file system from `/` on: the noted folders are real
//! ones in it, sources and settings are copies of what they were at the beginning, all else is a link to the user's file,
//! and so is what lies around those folders, so that `../data` is found. What the first run made is not there, as it was not
//! when that run began. Python's `denan._scratch` keeps writes through links and absolute paths away from the user's files.

use crate::error::Error;
use crate::launch::Launch;
use crate::session::{self, Output, Watched};
use crate::temporary::Temporary;
use crate::terminal::Terminal;
use denan_record::event::Event;
use denan_record::plan::{self, Plan, Restart};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Entries that are noted in all; folders beyond are one link each.
const MOST_ENTRIES: usize = 6000;
/// Entries of a folder that is gone into.
const MOST_IN_FOLDER: usize = 1000;
/// Entries of the working folder itself, for each of which there is a link.
const MOST_ON_TOP: usize = 100_000;
/// Entries around the noted folders that are linked, on each level.
const MOST_AROUND: usize = 2000;
/// Folders that are one link: nothing in them is a training's output.
const WHOLE: [&str; 8] = [".git", ".hg", ".venv", "venv", ".tox", "node_modules", "site-packages", "target"];
/// Folders that are left out: a re-run must not leave its compiled code in the user's.
const LEFT_OUT: [&str; 1] = ["__pycache__"];
/// Endings of files that are kept as they were: the user may edit them while the training runs.
const KEPT: [&str; 8] = ["py", "yaml", "yml", "json", "toml", "cfg", "ini", "sh"];
/// Bytes of such a file, and of all of them.
const MOST_OF_KEPT: u64 = 256 * 1024;
const MOST_KEPT: u64 = 32 * 1024 * 1024;
/// Bytes from which on something that was made before the training began is a data set and no settings.
const DATA_BYTES: u64 = 64 * 1024;
/// Time up to the break from which on a re-run's is worth a word.
const LONG: Duration = Duration::from_secs(20);

/// What was there before the first run, and what a re-run finds in its place.
pub struct Scratch {
    /// The working folder; nothing is stood for if there is none, and re-runs start where the first run did.
    folder: Option<PathBuf>,
    noted: Arc<Noted>,
    replaced: BTreeMap<PathBuf, String>,
    began: SystemTime,
    heard: Arc<Mutex<Heard>>,
    is_announced: Arc<AtomicBool>,
    is_told: Arc<AtomicBool>,
}

/// What the first run has told of its course.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    training: Option<SystemTime>,
    took: Option<Duration>,
}

impl Scratch {
    /// Notes what the folders of a training hold. Re-runs of anything but Python start where the first run did.
    pub fn of(launch: &Launch, is_python: bool) -> Self {
        let folder = launch.folder.clone().or_else(|| std::env::current_dir().ok());
        let folder = folder.and_then(|folder| folder.canonicalize().ok()).filter(|_| is_python);
        let noted = folder.as_deref().map(|folder| {
            let script = script_folder(launch, folder).filter(|script| !script.starts_with(folder));
            Noted::of(std::iter::once(folder.to_owned()).chain(script))
        });
        Self {
            folder,
            noted: Arc::new(noted.unwrap_or_default()),
            replaced: BTreeMap::new(),
            began: SystemTime::now(),
            heard: Arc::default(),
            is_announced: Arc::default(),
            is_told: Arc::default(),
        }
    }

    /// Takes in what the first run tells: when its training begins, and how long it takes to break.
    pub fn hear(&self, event: &Event) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started(_) if heard.training.is_none() => heard.training = Some(SystemTime::now()),
            Event::Break(_) | Event::Noticed { .. } if heard.took.is_none() => {
                heard.took = self.began.elapsed().ok();
            }
            _ => {}
        }
    }

    /// How long the first run took up to its break, which is about what a re-run takes.
    pub fn time_to_break(&self) -> Option<Duration> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).took
    }

    /// The same with another text of a file: a script with a patch in it. The path is an absolute one or starts from the
    /// working folder; `None` if the file was not there or is in none of the noted folders.
    pub fn with_file(&self, path: &Path, text: &str) -> Option<Self> {
        let path = self.folder.as_deref()?.join(path);
        let name = path.file_name()?;
        let path = path.parent()?.canonicalize().ok()?.join(name);
        if !path.is_file() || !self.noted.roots.iter().any(|root| path.starts_with(root)) {
            return None;
        }
        let mut replaced = self.replaced.clone();
        replaced.insert(path, text.to_owned());
        Some(Self {
            folder: self.folder.clone(),
            noted: Arc::clone(&self.noted),
            replaced,
            began: self.began,
            heard: Arc::clone(&self.heard),
            is_announced: Arc::clone(&self.is_announced),
            is_told: Arc::clone(&self.is_told),
        })
    }

    /// Runs the training again, in a scratch folder of its own, with its output hidden. The terminal is told before the
    /// first time, and once what a run was kept from writing elsewhere.
    pub fn watch(
        &self,
        launch: &Launch,
        plan: Plan,
        deadline: Option<Instant>,
        terminal: &Terminal,
    ) -> Result<Watched, Error> {
        if self.folder.is_none() {
            return session::watch(launch, plan, Output::Hidden, deadline, None, |_| {});
        }
        self.announce(plan.restart.is_some(), terminal);
        let entered = self.enter(launch).map_err(|source| Error::File {
            action: "make a scratch folder for a re-run in",
            path: std::env::temp_dir(),
            source,
            help: "set TMPDIR to a folder with room, and start in a folder with fewer files".to_owned(),
        })?;
        let restart =
            plan.restart.map(|restart| entered.own_copy(restart)).transpose().map_err(|source| {
                Error::File {
                    action: "put the state of the training into a scratch folder in",
                    path: std::env::temp_dir(),
                    source,
                    help: "set TMPDIR to a folder with room, or keep no states with --state-every 0"
                        .to_owned(),
                }
            })?;
        let plan = Plan { scratch: Some(entered.plan.clone()), restart, ..plan };
        let watched = session::watch(&entered.launch, plan, Output::Hidden, deadline, None, |_| {});
        let outside = entered.outside();
        if !outside.is_empty() && !self.is_told.swap(true, Ordering::Relaxed) {
            terminal.say(&format!("what it wrote elsewhere was thrown away, too: {}", some_of(&outside)));
        }
        watched
    }

    fn announce(&self, begins_late: bool, terminal: &Terminal) {
        if self.is_announced.swap(true, Ordering::Relaxed) {
            return;
        }
        let time = self.time_to_break().filter(|time| *time >= LONG && !begins_late);
        let time = time
            .map_or(String::new(), |time| format!("; up to the break it takes about {} s", time.as_secs()));
        terminal.say(&format!("re-runs work in a scratch folder; what they write is thrown away{time}"));
        let changed = self.changed();
        if !changed.is_empty() {
            terminal.say(&format!(
                "re-runs find some files as the first run has left them, not as it found them: {}",
                some_of(&changed)
            ));
        }
    }

    /// Noted files that are no longer what they were, and of which no copy was kept.
    fn changed(&self) -> Vec<PathBuf> {
        let files = self.noted.entries.iter().filter_map(|(path, kind)| match kind {
            Kind::File { stamp, kept: None, .. } => Some((path, stamp)),
            _ => None,
        });
        let is_other = |path: &Path, stamp: &Stamp| {
            path.symlink_metadata().map_or(true, |metadata| Stamp::of(&metadata) != *stamp)
        };
        files.filter(|(path, stamp)| is_other(path, stamp)).map(|(path, _)| path.clone()).collect()
    }

    /// Makes a fresh folder that stands for the user's.
    fn enter(&self, launch: &Launch) -> io::Result<Entered> {
        let temporary = Temporary::new("denan-scratch-")?;
        let base = temporary.path().to_owned();
        let root = base.join("root");
        self.noted.build(&root, &self.replaced)?;
        let training = self.heard.lock().unwrap_or_else(PoisonError::into_inner).training;
        if let Some(training) = training {
            self.noted.link_data(&root, training);
        }
        let working = self.folder.as_deref().unwrap_or(Path::new("/"));
        let folder = below(&root, working);
        let environment = [
            (OsString::from("PWD"), folder.clone().into_os_string()),
            // `git status` would note the links in the user's index.
            ("GIT_OPTIONAL_LOCKS".into(), "0".into()),
        ];
        let launch = Launch {
            program: program(&launch.program, working, &root),
            arguments: self.arguments(&launch.arguments, &root),
            folder: Some(folder),
            environment: launch.environment.iter().cloned().chain(environment).collect(),
            ..launch.clone()
        };
        let plan = plan::Scratch {
            folder: base,
            stands_for: self.noted.roots.clone(),
            first_began: seconds(self.began),
            training_began: training.map(seconds),
            began: seconds(SystemTime::now()),
        };
        Ok(Entered { launch, plan, _temporary: temporary })
    }

    /// The arguments, with the script's absolute path in the scratch folder.
    fn arguments(&self, arguments: &[OsString], root: &Path) -> Vec<OsString> {
        let mut arguments = arguments.to_vec();
        let script = arguments.iter_mut().find(|argument| is_script(argument));
        if let Some(script) = script
            && let Ok(path) = real(Path::new(&*script))
            && Path::new(&*script).is_absolute()
            && self.noted.roots.iter().any(|noted| path.starts_with(noted))
            && below(root, &path).exists()
        {
            *script = below(root, &path).into_os_string();
        }
        arguments
    }
}

/// A scratch folder, for as long as a run is in it.
struct Entered {
    launch: Launch,
    plan: plan::Scratch,
    /// Removed when the run is over.
    _temporary: Temporary,
}

impl Entered {
    /// The state that a run begins with as a file of its scratch folder, where the run is sure to see it.
    fn own_copy(&self, restart: Restart) -> io::Result<Restart> {
        let file = self.plan.folder.join("restart.state");
        std::fs::hard_link(&restart.file, &file)
            .or_else(|_| std::fs::copy(&restart.file, &file).map(|_| ()))?;
        Ok(Restart { file, ..restart })
    }

    /// Paths outside of the noted folders that the run would have written.
    fn outside(&self) -> Vec<PathBuf> {
        let root = self.plan.folder.join("outside");
        let mut files = Vec::new();
        let mut folders = VecDeque::from([root.clone()]);
        while let Some(folder) = folders.pop_front() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push_back(entry.path()),
                    _ => files.extend(entry.path().strip_prefix(&root).map(|path| Path::new("/").join(path))),
                }
            }
            if files.len() >= MOST_ENTRIES {
                break;
            }
        }
        files.sort();
        files
    }
}

/// What some folders hold.
#[derive(Default)]
struct Noted {
    roots: Vec<PathBuf>,
    /// Parents come before what is in them.
    entries: Vec<(PathBuf, Kind)>,
    /// What lies beside the folders, and beside those that they are in.
    around: Vec<PathBuf>,
    /// A folder holds more than there can be links for.
    is_too_large: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A folder that is gone into.
    Folder,
    /// Anything that is one link.
    Linked,
    /// A file, with its text if that is kept.
    File { stamp: Stamp, mode: u32, modified: Option<SystemTime>, kept: Option<Arc<[u8]>> },
}

/// By which it is seen that a file was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    number: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            number: metadata.ino(),
        }
    }
}

impl Noted {
    fn of(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut noted = Self { roots: roots.into_iter().collect(), ..Self::default() };
        let mut kept = 0;
        // Breadth first: what lies deep is rather a data set.
        let mut folders: VecDeque<PathBuf> = noted.roots.iter().cloned().collect();
        while let Some(folder) = folders.pop_front() {
            let is_root = noted.roots.contains(&folder);
            let most = if is_root { MOST_ON_TOP } else { MOST_IN_FOLDER };
            let names = names_in(&folder, most + 1);
            if names.len() > most || (!is_root && noted.entries.len() + names.len() > MOST_ENTRIES) {
                noted.is_too_large |= is_root;
                noted.entries.push((folder, Kind::Linked));
                continue;
            }
            noted.entries.push((folder.clone(), Kind::Folder));
            for name in names {
                let path = folder.join(&name);
                let Ok(metadata) = path.symlink_metadata() else { continue };
                if LEFT_OUT.iter().any(|left_out| name == *left_out) {
                    continue;
                }
                if metadata.is_dir() && !is_whole(&path) {
                    if !noted.roots.contains(&path) {
                        folders.push_back(path);
                    }
                } else if metadata.is_file() {
                    let kind = file(&path, &metadata, &mut kept);
                    noted.entries.push((path, kind));
                } else {
                    noted.entries.push((path, Kind::Linked));
                }
            }
        }
        noted.around = around(&noted.roots);
        noted
    }

    /// Makes the folders, copies and links below a folder that stands for `/`.
    fn build(&self, root: &Path, replaced: &BTreeMap<PathBuf, String>) -> io::Result<()> {
        if self.is_too_large {
            return Err(io::Error::other("the training's folder holds too many files"));
        }
        for folder in &self.roots {
            std::fs::create_dir_all(below(root, folder))?;
        }
        for (path, kind) in &self.entries {
            let to = below(root, path);
            let text = replaced.get(path);
            match kind {
                Kind::Folder => std::fs::create_dir_all(&to)?,
                Kind::Linked => symlink(path, &to)?,
                Kind::File { mode, modified, kept, .. } => {
                    let kept = text.map(String::as_bytes).or(kept.as_deref());
                    let Some(kept) = kept else {
                        symlink(path, &to)?;
                        continue;
                    };
                    std::fs::write(&to, kept)?;
                    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode | 0o200))?;
                    if let Some(modified) = modified.filter(|_| text.is_none()) {
                        std::fs::File::options().write(true).open(&to)?.set_modified(modified)?;
                    }
                }
            }
        }
        for (path, text) in replaced {
            reach(root, path)?;
            let to = below(root, path);
            if to.is_symlink() {
                std::fs::remove_file(&to)?;
            }
            std::fs::write(to, text)?;
        }
        for path in &self.around {
            // What is in the way is a folder that leads to a noted one.
            match symlink(path, below(root, path)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Links what the first run made before its training began, if it is large: a data set that it downloaded.
    fn link_data(&self, root: &Path, training: SystemTime) {
        let known: HashSet<&Path> = self.entries.iter().map(|(path, _)| path.as_path()).collect();
        let folders = self.entries.iter().filter(|(_, kind)| *kind == Kind::Folder);
        let mut folders: Vec<PathBuf> = folders.map(|(path, _)| path.clone()).collect();
        let mut looked_at = 0;
        while let Some(folder) = folders.pop() {
            for name in names_in(&folder, MOST_ENTRIES) {
                let path = folder.join(&name);
                looked_at += 1;
                if looked_at > MOST_ENTRIES || known.contains(path.as_path()) {
                    continue;
                }
                let Ok(metadata) = path.symlink_metadata() else { continue };
                let is_left_out = LEFT_OUT.iter().any(|left_out| name == *left_out);
                let is_data = match metadata.is_dir() {
                    true => !is_left_out && is_old(&path, training).is_some_and(|bytes| bytes >= DATA_BYTES),
                    false => {
                        metadata.is_file()
                            && metadata.len() >= DATA_BYTES
                            && changed_at(&metadata) < seconds(training)
                    }
                };
                let to = below(root, &path);
                if is_data && let Some(parent) = to.parent() {
                    // A data set that cannot be linked is made once more.
                    let _ = std::fs::create_dir_all(parent).and_then(|()| symlink(&path, &to));
                } else if metadata.is_dir() {
                    folders.push(path);
                }
            }
        }
    }
}

/// Bytes in a folder, if nothing in it was changed since a time.
fn is_old(folder: &Path, since: SystemTime) -> Option<u64> {
    let (mut bytes, mut looked_at) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let metadata = entry.metadata().ok()?;
            looked_at += 1;
            if looked_at > MOST_ENTRIES {
                return Some(bytes);
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if changed_at(&metadata) >= seconds(since) {
                return None;
            } else {
                bytes += metadata.len();
            }
        }
    }
    Some(bytes)
}

/// Makes real folders on the way to a file where one of them is a link.
fn reach(root: &Path, file: &Path) -> io::Result<()> {
    let mut on_the_way: Vec<&Path> = file.ancestors().skip(1).collect();
    on_the_way.reverse();
    for folder in on_the_way {
        let at = below(root, folder);
        if !at.is_symlink() {
            continue;
        }
        std::fs::remove_file(&at)?;
        std::fs::create_dir(&at)?;
        for name in names_in(folder, MOST_ON_TOP) {
            symlink(folder.join(&name), at.join(&name))?;
        }
    }
    Ok(())
}

fn file(path: &Path, metadata: &Metadata, kept_bytes: &mut u64) -> Kind {
    let ending = path.extension().and_then(OsStr::to_str);
    let is_kept = ending.is_some_and(|ending| KEPT.contains(&ending))
        && metadata.len() <= MOST_OF_KEPT
        && *kept_bytes + metadata.len() <= MOST_KEPT;
    let kept = is_kept.then(|| std::fs::read(path).ok()).flatten();
    *kept_bytes += kept.as_ref().map_or(0, |kept| kept.len() as u64);
    Kind::File {
        stamp: Stamp::of(metadata),
        mode: metadata.permissions().mode() & 0o7777,
        modified: metadata.modified().ok(),
        kept: kept.map(Arc::from),
    }
}

/// Whether a folder is nobody's output: an environment, a repository.
fn is_whole(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    let holds = |marker: &str| folder.join(marker).exists();
    WHOLE.iter().any(|whole| name == *whole) || holds("pyvenv.cfg") || holds("conda-meta")
}

fn around(roots: &[PathBuf]) -> Vec<PathBuf> {
    let above: HashSet<&Path> = roots
        .iter()
        .flat_map(|root| root.ancestors().skip(1))
        .filter(|above| !is_noted(above, roots))
        .collect();
    let leads = |path: &Path| roots.iter().any(|root| root.starts_with(path));
    let beside = above.iter().flat_map(|folder| {
        let names = names_in(folder, MOST_AROUND).into_iter();
        names.map(|name| folder.join(name)).filter(|path| !leads(path))
    });
    beside.collect()
}

fn is_noted(path: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

fn names_in(folder: &Path, most: usize) -> Vec<OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.take(most).map(|entry| entry.file_name()).collect()
}

/// Where a path of the user's is below a folder that stands for `/`.
fn below(root: &Path, path: &Path) -> PathBuf {
    let normal = path.components().filter(|component| matches!(component, Component::Normal(_)));
    root.join(normal.collect::<PathBuf>())
}

fn is_script(argument: &OsStr) -> bool {
    Path::new(argument).extension() == Some(OsStr::new("py"))
}

fn script_folder(launch: &Launch, folder: &Path) -> Option<PathBuf> {
    let script = launch.arguments.iter().find(|argument| is_script(argument))?;
    real(&folder.join(script)).ok()?.parent().map(Path::to_owned)
}

/// A path without links on the way to it; the last one stays.
fn real(path: &Path) -> io::Result<PathBuf> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let (folder, name) = (path.parent().ok_or_else(missing)?, path.file_name().ok_or_else(missing)?);
    Ok(folder.canonicalize()?.join(name))
}

/// A program in a folder that is stood for is the copy, any other with a path the user's.
fn program(program: &OsStr, working: &Path, root: &Path) -> OsString {
    let path = Path::new(program);
    if path.components().count() < 2 {
        return program.to_owned();
    }
    let path = working.join(path);
    let Ok(path) = real(&path) else { return path.into_os_string() };
    let copy = below(root, &path);
    let is_copy = copy.canonicalize().is_ok_and(|at| at == copy);
    if is_copy { copy.into_os_string() } else { path.into_os_string() }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn changed_at(metadata: &Metadata) -> f64 {
    metadata.ctime() as f64 + metadata.ctime_nsec() as f64 * 1e-9
}

/// The first of some paths, and how many more there are.
fn some_of(paths: &[PathBuf]) -> String {
    const SHOWN: usize = 3;
    let here = std::env::current_dir().unwrap_or_default();
    let shown = |path: &PathBuf| path.strip_prefix(&here).unwrap_or(path).display().to_string();
    let first: Vec<String> = paths.iter().take(SHOWN).map(shown).collect();
    let more = paths.len().saturating_sub(SHOWN);
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of the user's with a script, data and an environment, and its path.
    fn project() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let project = place.path().canonicalize().unwrap().join("project");
        for (name, text) in [
            ("project/train.py", "print('as it was')"),
            ("project/sub/model.py", "x = 1"),
            ("project/data/rows.csv", "1,2"),
            ("project/old.pt", "old"),
            ("project/venv/lib/torch.py", ""),
            ("project/__pycache__/model.pyc", ""),
            ("beside/rows.csv", "3,4"),
        ] {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (place, project)
    }

    fn launch(folder: &Path, command: &[&str]) -> Launch {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        Launch { folder: Some(folder.to_owned()), ..Launch::typed(&command).unwrap() }
    }

    fn folder(entered: &Entered) -> PathBuf {
        entered.launch.folder.clone().unwrap()
    }

    #[test]
    fn sources_are_copies_and_all_else_is_linked() {
        let (_place, project) = project();
        let launch = launch(&project, &["python", "train.py"]);
        let entered = Scratch::of(&launch, true).enter(&launch).unwrap();
        let here = folder(&entered);
        assert!(here.ends_with("project") && here != project);
        for (name, is_link) in
            [("train.py", false), ("sub", false), ("sub/model.py", false), ("data", false), ("old.pt", true)]
        {
            assert_eq!(here.join(name).is_symlink(), is_link, "{name}");
        }
        assert_eq!(here.join("venv").read_link().unwrap(), project.join("venv"));
        assert_eq!(std::fs::read_to_string(here.join("data/rows.csv")).unwrap(), "1,2");
        assert!(!here.join("__pycache__").exists());
        // As the script would say it: `..` leads to what is beside its folder.
        assert_eq!(std::fs::read_to_string(here.join("../beside/rows.csv")).unwrap(), "3,4");
        drop(entered);
        assert!(!here.exists());
        assert!(project.join("old.pt").exists() && project.join("venv/lib/torch.py").exists());
    }

    #[test]
    fn what_the_first_run_made_is_not_there_but_for_a_data_set() {
        let (_place, project) = project();
        let launch = launch(&project, &["python", "train.py"]);
        let scratch = Scratch::of(&launch, true);
        std::fs::create_dir(project.join("photos")).unwrap();
        std::fs::write(project.join("photos/all.bin"), vec![0; DATA_BYTES as usize]).unwrap();
        std::fs::create_dir(project.join("settings")).unwrap();
        std::fs::write(project.join("settings/run.txt"), "lr=1").unwrap();
        std::thread::sleep(Duration::from_millis(30));
        scratch.heard.lock().unwrap().training = Some(SystemTime::now());
        std::thread::sleep(Duration::from_millis(30));
        std::fs::write(project.join("last.pt"), vec![0; DATA_BYTES as usize]).unwrap();
        std::fs::write(project.join("train.py"), "print('edited')").unwrap();
        std::fs::write(project.join("old.pt"), "new").unwrap();
        let entered = scratch.enter(&launch).unwrap();
        let here = folder(&entered);
        assert!(here.join("photos/all.bin").exists());
        assert!(!here.join("settings").exists() && !here.join("last.pt").exists());
        assert_eq!(std::fs::read_to_string(here.join("train.py")).unwrap(), "print('as it was')");
        assert_eq!(scratch.changed(), [project.join("old.pt")]);
    }

    #[test]
    fn a_file_may_have_another_text() {
        let (_place, project) = project();
        let absolute = project.join("train.py");
        let launch = launch(&project, &["python", absolute.to_str().unwrap(), "--lr", "1"]);
        let scratch = Scratch::of(&launch, true);
        assert!(scratch.with_file(Path::new("missing.py"), "").is_none());
        assert!(scratch.with_file(Path::new("../beside/rows.csv"), "").is_none());
        for path in [absolute.as_path(), Path::new("train.py"), Path::new("sub/../train.py")] {
            let patched = scratch.with_file(path, "print('patched')").unwrap();
            let entered = patched.enter(&launch).unwrap();
            let script = Path::new(&entered.launch.arguments[0]);
            assert!(script.starts_with(&entered.plan.folder));
            assert_eq!(std::fs::read_to_string(script).unwrap(), "print('patched')");
        }
        let inside = scratch.with_file(Path::new("venv/lib/torch.py"), "y").unwrap().enter(&launch).unwrap();
        assert_eq!(std::fs::read_to_string(folder(&inside).join("venv/lib/torch.py")).unwrap(), "y");
        assert_eq!(std::fs::read_to_string(project.join("venv/lib/torch.py")).unwrap(), "");
        assert_eq!(std::fs::read_to_string(absolute).unwrap(), "print('as it was')");
    }

    #[test]
    fn a_script_in_another_folder_is_found_in_a_scratch_one() {
        let (_place, project) = project();
        let launch = launch(&project.join("sub"), &["./../venv/python", "../train.py"]);
        let scratch = Scratch::of(&launch, true);
        assert_eq!(scratch.noted.roots, [project.join("sub"), project.clone()]);
        let entered = scratch.enter(&launch).unwrap();
        let here = folder(&entered);
        assert!(here.ends_with("project/sub"));
        assert!(!here.join("../train.py").is_symlink() && here.join("../train.py").exists());
        assert!(here.join("../old.pt").is_symlink() && here.join("model.py").exists());
        assert_eq!(entered.launch.program, project.join("venv/python"));
    }

    #[test]
    fn a_folder_with_many_files_is_one_link() {
        let (_place, project) = project();
        for number in 0..=MOST_IN_FOLDER {
            std::fs::write(project.join(format!("data/{number}.txt")), "").unwrap();
        }
        let launch = launch(&project, &["python", "train.py"]);
        let entered = Scratch::of(&launch, true).enter(&launch).unwrap();
        assert!(folder(&entered).join("data").is_symlink());
    }
}

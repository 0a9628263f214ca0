//! Runs denan over a training and reads the document `denan/run/v1` that it writes.

use crate::ward::expected::{Case, Engine};
use crate::ward::page::{self, Example};
use serde::Deserialize;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// PyTorch adds in another order on more threads, and a training that runs away then overflows at another operation: on
/// every machine it is to break where `case.toml` says.
const ONE_THREAD: [(&str, &str); 1] = [("OMP_NUM_THREADS", "1")];

/// A built denan, and the trainings as they are without it.
pub struct Denan {
    /// The program and its first arguments.
    program: Vec<OsString>,
    /// The ward's program, or the interpreter of its scripts.
    plain: PathBuf,
    root: PathBuf,
    /// Where records and results of the sick trainings stay.
    keep: Option<PathBuf>,
    /// Where the scripts of pages are written.
    scripts: tempfile::TempDir,
}

/// Which of a case's two trainings.
#[derive(Clone, Copy)]
pub enum Variant {
    Sick,
    Healthy,
}

/// What came of a run.
pub struct Found {
    /// denan's exit code; -1 if it was killed.
    pub exit_code: i32,
    /// Its result, if it wrote one.
    pub document: Option<Document>,
    /// What the training printed.
    pub printed: String,
    /// The end of what denan said for people.
    pub said: String,
    /// Where the paths of the document start.
    pub root: PathBuf,
    /// What `denan replay` said of the record, if cures were asked for.
    pub replay: Option<Result<Replay, String>>,
    /// What a script prints with its patch and without denan, if cures were asked for; nothing if there is no patch.
    pub patched: Option<Result<Option<String>, String>>,
}

/// The keys of a replay that are compared.
#[derive(Deserialize)]
pub struct Replay {
    pub verdict: String,
    pub differing: u64,
}

/// The keys that are compared.
#[derive(Deserialize)]
pub struct Document {
    pub outcome: String,
    #[serde(rename = "break")]
    pub first_break: Option<Break>,
    pub samples: Vec<Sample>,
    pub causes: Vec<Cause>,
    pub cures: Vec<Cure>,
    pub cure_cost: Option<CureCost>,
    #[serde(default)]
    pub notes: Vec<String>,
    #[serde(default)]
    pub forecasts: Vec<Forecast>,
}

#[derive(Deserialize)]
pub struct Forecast {
    pub op: String,
    pub dtype: String,
    pub step: u64,
}

#[derive(Deserialize)]
pub struct Break {
    pub step: u64,
    pub phase: String,
    pub producer: Producer,
}

#[derive(Deserialize)]
pub struct Producer {
    pub op: String,
    pub parameter: Option<String>,
    pub file: Option<PathBuf>,
    pub line: Option<usize>,
}

#[derive(Deserialize)]
pub struct Sample {
    pub index: Option<u64>,
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub struct Cause {
    pub rule: String,
    pub confidence: f64,
}

#[derive(Deserialize)]
pub struct CureCost {
    pub times_first_run: Option<f64>,
}

#[derive(Deserialize)]
pub struct Cure {
    pub intervention: String,
    pub verdict: String,
    pub reason: Option<String>,
}

impl Denan {
    /// Builds the program as users get it.
    pub fn build(root: &Path, engine: Engine, keep: Option<PathBuf>) -> Result<Self, String> {
        if let Some(folder) = &keep {
            fs::create_dir_all(folder)
                .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
        }
        let (program, plain) = match engine {
            Engine::Burn => (vec![build(root, "denan", "denan")?.into()], build(root, "denan-ward", "ward")?),
            Engine::Torch => {
                let python = crate::python::environment(root)?;
                (vec![python.clone().into(), "-m".into(), "denan".into()], python)
            }
        };
        let scripts = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        Ok(Self { program, plain, root: root.to_owned(), keep, scripts })
    }

    /// What the healthy training of a case prints without denan.
    pub fn printed_without(&self, case: &Case) -> Result<String, String> {
        let mut command = Command::new(&self.plain);
        match case.engine() {
            Engine::Burn => command.arg(format!("{}/healthy", case.path())),
            Engine::Torch => command.args(self.script(case, Variant::Healthy)?),
        };
        let output = command
            .envs(ONE_THREAD)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("the ward cannot be started: {error}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs one training of a case. The record and the result go into a folder that does not outlive this call.
    pub fn run(&self, case: &Case, variant: Variant, cure: bool) -> Result<Found, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let result = folder.path().join("result.json");
        let name = match variant {
            Variant::Sick => "sick",
            Variant::Healthy => "healthy",
        };
        let record = folder.path().join("record.db");
        let mut command = self.denan();
        command
            .args(["run", "--format", "json", "--color", "never", "--output"])
            .arg(&result)
            .arg("--record")
            .arg(&record)
            .args(["--cure", if cure { "auto" } else { "off" }]);
        let patch = folder.path().join("cure.patch");
        if cure {
            command.arg("--patch").arg(&patch);
        }
        command.arg("--");
        match case.engine() {
            Engine::Burn => command
                .args(["cargo", "run", "--release", "--quiet", "--package", "denan-ward", "--"])
                .arg(format!("{}/{name}", case.path())),
            Engine::Torch => command.arg(&self.plain).args(self.script(case, variant)?),
        };
        let output = command
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("denan cannot be started: {error}"))?;
        if let (Some(keep), Variant::Sick) = (&self.keep, variant) {
            // A run that failed has left neither, which is a mark of its own.
            let left = [(&record, "db"), (&result, "json")].into_iter().filter(|(file, _)| file.is_file());
            for (file, ending) in left {
                let kept = keep.join(format!("{}.{ending}", case.path().replace('/', "+")));
                fs::copy(file, &kept)
                    .map_err(|error| format!("{} cannot be kept: {error}", kept.display()))?;
            }
        }
        let document = match fs::read_to_string(&result) {
            Ok(text) => Some(serde_json::from_str(&text).map_err(|error| {
                format!("the result of {}/{name} does not keep the contract: {error}", case.path())
            })?),
            Err(_) => None,
        };
        Ok(Found {
            exit_code: output.status.code().unwrap_or(-1),
            document,
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
            said: last_lines(&String::from_utf8_lossy(&output.stderr)),
            root: self.root.clone(),
            // A step of PyTorch is not carried out again from its record.
            replay: (cure && case.engine() == Engine::Burn).then(|| self.replay(&record)),
            // The script of a page lies in a temporary folder, to which no path of a patch leads.
            patched: (cure && case.engine() == Engine::Torch && case.is_script())
                .then(|| self.patched(case, &patch)),
        })
    }

    /// What the sick script of a case prints once its patch is applied, as a user would.
    fn patched(&self, case: &Case, patch: &Path) -> Result<Option<String>, String> {
        if !patch.is_file() {
            return Ok(None);
        }
        let failed = |error: std::io::Error| format!("it cannot be made: {error}");
        let folder = tempfile::tempdir().map_err(failed)?;
        let script = folder.path().join(&case.source);
        fs::create_dir_all(script.parent().unwrap_or(folder.path())).map_err(failed)?;
        fs::copy(self.root.join(&case.source), &script).map_err(failed)?;
        let run = |program: &Path, arguments: &[&std::ffi::OsStr]| {
            let mut command = Command::new(program);
            command.args(arguments).envs(ONE_THREAD).current_dir(folder.path()).stdin(Stdio::null());
            // It is no part of a repository that may be around it.
            command.env("GIT_CEILING_DIRECTORIES", std::env::temp_dir());
            let output = command.output().map_err(|error| format!("{} fails: {error}", program.display()))?;
            match output.status.success() {
                true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
                false => Err(last_lines(&String::from_utf8_lossy(&output.stderr))),
            }
        };
        run(Path::new("git"), &["apply".as_ref(), patch.as_os_str()])?;
        run(&self.plain, &[script.as_os_str()]).map(Some)
    }

    /// A script and the arguments of its variant. That of a page is written to a file first; one that has no sick
    /// variant takes no argument.
    fn script(&self, case: &Case, variant: Variant) -> Result<Vec<OsString>, String> {
        let is_healthy = matches!(variant, Variant::Healthy);
        if case.is_script() {
            let mut words = vec![case.source.clone().into_os_string()];
            words.extend((is_healthy && case.sick.is_some()).then(|| "--healthy".into()));
            return Ok(words);
        }
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", case.source.display());
        let text = fs::read_to_string(self.root.join(&case.source)).map_err(|error| failed(&error))?;
        let example = Example::read(&text, page::PYTHON).ok_or_else(|| failed(&"it holds no script"))?;
        let text = if is_healthy { example.healthy } else { example.sick };
        let file = self.scripts.path().join(format!(
            "{}-{}.py",
            case.cause,
            if is_healthy { "healthy" } else { "sick" }
        ));
        fs::write(&file, text).map_err(|error| failed(&error))?;
        Ok(vec![file.into_os_string()])
    }

    fn denan(&self) -> Command {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).envs(ONE_THREAD);
        command
    }

    fn replay(&self, record: &Path) -> Result<Replay, String> {
        #[derive(Deserialize)]
        struct Replayed {
            replay: Replay,
        }
        let output = self
            .denan()
            .args(["replay", "--format", "json", "--quiet"])
            .arg(record)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("denan cannot be started: {error}"))?;
        let document: Result<Replayed, _> = serde_json::from_slice(&output.stdout);
        document
            .map(|document| document.replay)
            .map_err(|_| last_lines(&String::from_utf8_lossy(&output.stderr)))
    }
}

/// Where the program of a package is after it has been built.
fn build(root: &Path, package: &str, program: &str) -> Result<PathBuf, String> {
    let output = Command::new("cargo")
        .args(["build", "--release", "--package", package, "--message-format", "json-render-diagnostics"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("{package} does not build"));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let found = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    found.ok_or_else(|| format!("cargo did not say where it put {program}"))
}

/// The end of a text, enough to tell what went wrong.
fn last_lines(text: &str) -> String {
    const KEPT: usize = 4;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(KEPT)..].join(" | ")
}

//! A cleaned copy has no findings of the kinds that are repaired, the source stays as it is, and every change is on the list.

use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray};
use denan_data::clean::{Action, Actions, CleanTask, Normalise, clean};
use denan_data::{Error, Options, Task, scan};
use denan_finding::clean::CleanResult;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A `.npy` file of float32.
fn npy(path: &Path, shape: &[usize], values: &[f32]) {
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.join(" "));
    text += &" ".repeat((64 - (11 + text.len()) % 64) % 64);
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// Numbers that look drawn from a normal distribution, the same each time.
fn drawn(count: usize) -> Vec<f32> {
    let mut state = 7u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
}

/// What is in a folder, file by file.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| (file.strip_prefix(folder).unwrap().to_owned(), fs::read(&file).unwrap())).collect()
}

fn cleaned(source: &Path, into: &Path, actions: Actions, normalise: Option<Normalise>) -> CleanResult {
    let before = contents(source);
    let task = CleanTask {
        paths: &[source.to_owned()],
        into,
        options: Options::default(),
        actions,
        normalise,
        threads: 2,
        is_dry: false,
    };
    let result = clean(&task, &|_, _| (), &|_| ()).unwrap();
    assert_eq!(contents(source), before, "the source stays as it is");
    result
}

/// Ids of the checks that find something.
fn found(folder: &Path) -> Vec<String> {
    let result = scan(&Task::new(&[folder.to_owned()]), &|_, _| ()).unwrap();
    result.rules.into_iter().filter(|rule| rule.count > 0).map(|rule| rule.rule).collect()
}

fn audit(result: &CleanResult) -> Vec<String> {
    fs::read_to_string(result.audit.as_ref().unwrap()).unwrap().lines().map(str::to_owned).collect()
}

fn folders() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (source, into) = (folder.path().join("data"), folder.path().join("clean"));
    fs::create_dir(&source).unwrap();
    (folder, source, into)
}

#[test]
fn a_row_is_left_out_of_all_arrays_of_its_length() {
    let (_folder, source, into) = folders();
    let mut x = drawn(400);
    x[4 * 17 + 3] = f32::NAN;
    npy(&source.join("x.npy"), &[100, 4], &x);
    npy(&source.join("y.npy"), &[100], &(0..100).map(|row| (row % 3) as f32).collect::<Vec<_>>());
    npy(&source.join("other.npy"), &[50], &drawn(50));
    fs::write(source.join("notes.txt"), "about these data").unwrap();
    let result = cleaned(&source, &into, Actions::default(), None);
    assert_eq!(found(&into), [""; 0]);
    let rows = |name: &str| fs::metadata(into.join(name)).unwrap().len();
    assert_eq!((rows("x.npy"), rows("y.npy"), rows("other.npy")), (128 + 99 * 16, 128 + 99 * 4, 128 + 200));
    assert_eq!(fs::read_to_string(into.join("notes.txt")).unwrap(), "about these data");
    let y = fs::read(into.join("y.npy")).unwrap();
    assert_eq!(y[128 + 17 * 4..][..4], 0f32.to_le_bytes(), "row 18 has moved up");
    let audit = audit(&result);
    assert_eq!(audit.len(), 2);
    assert!(audit.iter().all(|line| line.contains("\"row\":17") && line.contains("drop-row")), "{audit:?}");
}

#[test]
fn values_are_replaced_as_asked() {
    let (_folder, source, into) = folders();
    let mut text = String::from("a,b,name\r\n");
    for row in 0..200 {
        let a = if row == 5 { String::new() } else { format!("{}", row % 10) };
        let b = if row == 9 { "inf".to_owned() } else { format!("{}.5", row % 7) };
        text += &format!("{a},{b},\"x, {row}\"\r\n");
    }
    fs::write(source.join("t.csv"), text).unwrap();
    let mut actions = Actions::default();
    actions.set("missing-value", Action::Impute).unwrap();
    actions.set("non-finite-input", Action::Clip).unwrap();
    assert!(actions.set("no-such-check", Action::Drop).is_err());
    let result = cleaned(&source, &into, actions, None);
    assert_eq!(found(&into), [""; 0]);
    let text = fs::read_to_string(into.join("t.csv")).unwrap();
    assert_eq!(text.lines().count(), 201);
    assert_eq!(text.lines().nth(10), Some("9,6.5,\"x, 9\""));
    let audit = audit(&result);
    assert!(audit[1].contains("\"column\":\"b\"") && audit[1].contains("\"before\":\"inf\""), "{audit:?}");
}

#[test]
fn json_lines_keep_what_is_not_repaired() {
    let (_folder, source, into) = folders();
    let line =
        |row: usize, a: &str| format!("{{\"id\": \"{row}\", \"a\": {a}, \"v\": [1.5, {}]}}\n", row % 5);
    let lines = (0..60).map(|row| {
        line(row, if row == 3 { "NaN" } else { "0.25" }.replace("0.25", &format!("{}.25", row % 4)).as_str())
    });
    fs::write(source.join("t.jsonl"), lines.collect::<String>()).unwrap();
    let mut actions = Actions::default();
    actions.set("non-finite-input", Action::Impute).unwrap();
    cleaned(&source, &into, actions, None);
    let text = fs::read_to_string(into.join("t.jsonl")).unwrap();
    let changed = text.lines().nth(3).unwrap();
    assert!(
        changed.starts_with("{\"id\": \"3\", \"a\": ") && changed.ends_with("\"v\": [1.5, 3]}"),
        "{changed}"
    );
    assert_eq!(text.lines().nth(4), Some(line(4, "0.25").trim_end()));
}

#[test]
fn tables_of_parquet_keep_their_other_columns() {
    let (_folder, source, into) = folders();
    let values: Vec<Option<f64>> = (0..500)
        .map(
            |row| if row == 20 { None } else { Some(if row == 30 { f64::NAN } else { f64::from(row % 11) }) },
        )
        .collect();
    let batch = RecordBatch::try_from_iter([
        ("a", Arc::new(Float64Array::from(values)) as _),
        ("n", Arc::new(Int64Array::from_iter_values((0..500).map(|row| row % 9))) as _),
        ("name", Arc::new(StringArray::from_iter_values((0..500).map(|row| row.to_string()))) as _),
    ])
    .unwrap();
    let to = fs::File::create(source.join("t.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(to, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let result = cleaned(&source, &into, Actions::default(), Some(Normalise::Columns));
    assert_eq!(found(&into), [""; 0]);
    let open = fs::File::open(into.join("t.parquet")).unwrap();
    let batches = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(open).unwrap();
    let batches: Vec<RecordBatch> = batches.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 498);
    let names = batches[0].column(2).as_any().downcast_ref::<StringArray>().unwrap();
    assert_eq!((names.value(19), names.value(20), names.value(29)), ("19", "21", "31"));
    let scanned = scan(&Task::new(&[into]), &|_, _| ()).unwrap();
    for column in &scanned.columns {
        assert!(column.mean.abs() < 1e-9 && (column.std - 1.0).abs() < 1e-9, "{column:?}");
    }
    assert_eq!(result.normalization[0].1.mean.len(), 2);
}

#[test]
fn a_constant_column_is_normalised_to_zero() {
    let (_folder, source, into) = folders();
    let x: Vec<f32> = drawn(300).chunks(3).flat_map(|row| [row[0] * 50.0 + 7.0, 3.0, row[2]]).collect();
    npy(&source.join("x.npy"), &[100, 3], &x);
    cleaned(&source, &into, Actions::default(), Some(Normalise::Columns));
    let scanned = scan(&Task::new(&[into]), &|_, _| ()).unwrap();
    let stds: Vec<f64> = scanned.columns.iter().map(|column| (column.std * 1e3).round() / 1e3).collect();
    assert_eq!(stds, [1.0, 0.0, 1.0]);
    assert!(scanned.columns.iter().all(|column| column.mean.abs() < 1e-6));
}

#[test]
fn nothing_is_written_over_or_into_the_source() {
    let (folder, source, into) = folders();
    npy(&source.join("x.npy"), &[100], &drawn(100));
    let attempt = |into: &Path| {
        let task = CleanTask {
            paths: std::slice::from_ref(&source),
            into,
            options: Options::default(),
            actions: Actions::default(),
            normalise: None,
            threads: 1,
            is_dry: false,
        };
        clean(&task, &|_, _| (), &|_| ())
    };
    for bad in [source.clone(), source.join("inner"), source.join("a/b"), folder.path().to_owned()] {
        assert!(matches!(attempt(&bad), Err(Error::Place(_))), "{}", bad.display());
    }
    std::os::unix::fs::symlink(&source, folder.path().join("link")).unwrap();
    assert!(attempt(&folder.path().join("link/inner")).is_err());
    assert!(attempt(&into).is_ok() && attempt(&into).is_err());
    let left: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
}

#[test]
fn a_dry_run_writes_nothing_and_says_the_same() {
    let (folder, source, into) = folders();
    let mut x = drawn(100);
    x[3] = f32::INFINITY;
    npy(&source.join("x.npy"), &[100], &x);
    let task = |is_dry| CleanTask {
        paths: std::slice::from_ref(&source),
        into: &into,
        options: Options::default(),
        actions: Actions::default(),
        normalise: None,
        threads: 1,
        is_dry,
    };
    let dry = clean(&task(true), &|_, _| (), &|_| ()).unwrap();
    assert!(dry.into.is_none() && fs::read_dir(folder.path()).unwrap().count() == 1);
    let wet = clean(&task(false), &|_, _| (), &|_| ()).unwrap();
    assert_eq!((&dry.changes, dry.files), (&wet.changes, wet.files));
}

#[test]
fn a_sample_that_is_a_file_is_left_out_as_one() {
    let (_folder, source, into) = folders();
    let all = drawn(6 * 48);
    for (number, values) in all.chunks(48).enumerate() {
        let mut values = values.to_vec();
        if number == 2 {
            values[5] = f32::NAN;
        }
        npy(&source.join(format!("sample_{number}.npy")), &[3, 4, 4], &values);
    }
    cleaned(&source, &into, Actions::default(), None);
    let left: Vec<PathBuf> = contents(&into).into_keys().collect();
    assert_eq!(left.len(), 5);
    assert!(!left.contains(&PathBuf::from("sample_2.npy")));
}

/// An image like no other, as PNG.
fn png(seed: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(20, 16, |x, y| {
        image::Rgb([x, y, x * y].map(|part| (part * seed % 253) as u8))
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn images_that_cannot_be_decoded_and_copies_are_left_out() {
    let (_folder, source, into) = folders();
    for number in 0..5 {
        fs::write(source.join(format!("{number}.png")), png(number + 3)).unwrap();
    }
    fs::write(source.join("5.png"), png(3)).unwrap();
    let cut = png(9);
    fs::write(source.join("6.png"), &cut[..cut.len() / 2]).unwrap();
    let result = cleaned(&source, &into, Actions::default(), None);
    let left: Vec<String> = contents(&into).into_keys().map(|file| file.display().to_string()).collect();
    assert_eq!(left, ["0.png", "1.png", "2.png", "3.png", "4.png"]);
    assert_eq!(audit(&result).len(), 2);
    assert_eq!(found(&into), [""; 0]);
}

#[test]
fn samples_of_an_archive_are_left_out_whole_and_long_names_stay() {
    let (_folder, source, into) = folders();
    let long = format!("{}/sample", "a".repeat(120));
    let mut archive = tar::Builder::new(fs::File::create(source.join("s.tar")).unwrap());
    let mut add = |name: String, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    for number in 0..6 {
        let image = png(number + 3);
        add(format!("{long}{number}.png"), if number == 4 { &image[..50] } else { &image });
        add(format!("{long}{number}.cls"), format!("{}", number % 2).as_bytes());
    }
    archive.finish().unwrap();
    drop(archive);
    cleaned(&source, &into, Actions::default(), None);
    assert_eq!(found(&into), [""; 0]);
    let mut archive = tar::Archive::new(fs::File::open(into.join("s.tar")).unwrap());
    let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let expected = [0, 1, 2, 3, 5]
        .into_iter()
        .flat_map(|number| [format!("{long}{number}.png"), format!("{long}{number}.cls")]);
    assert_eq!(names.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn rows_go_whose_lists_and_structures_hold_what_a_scan_finds() {
    use arrow_array::builder::{Float64Builder, LargeListBuilder};
    use arrow_array::{ArrayRef, BooleanArray, StructArray};
    let (_folder, source, into) = folders();
    let mut lists = LargeListBuilder::new(Float64Builder::new());
    for row in 0..300 {
        lists.values().append_value(if row == 12 { f64::NAN } else { f64::from(row % 7) });
        lists.values().append_value(f64::from(row % 5));
        lists.append(true);
    }
    let inner: ArrayRef = Arc::new(Float64Array::from_iter_values((0..300).map(|row| f64::from(row % 13))));
    let field = Arc::new(arrow_schema::Field::new("u", arrow_schema::DataType::Float64, false));
    let there = (0..300).map(|row| row != 40).collect::<Vec<bool>>();
    let structure = StructArray::new(vec![field].into(), vec![inner], Some(there.into()));
    let flags: BooleanArray = (0..300).map(|row| (row != 50).then_some(row % 2 == 0)).collect();
    let batch = RecordBatch::try_from_iter([
        ("l", Arc::new(lists.finish()) as ArrayRef),
        ("s", Arc::new(structure) as ArrayRef),
        ("f", Arc::new(flags) as ArrayRef),
    ])
    .unwrap();
    let to = fs::File::create(source.join("t.arrow")).unwrap();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(to, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    assert_eq!(found(&source), ["non-finite-input", "missing-value"]);
    let result = cleaned(&source, &into, Actions::default(), None);
    assert_eq!(found(&into), [""; 0]);
    let rows = audit(&result)
        .iter()
        .map(|line| line.split("\"row\":").nth(1).unwrap()[..2].to_owned())
        .collect::<Vec<_>>();
    assert_eq!(rows, ["12", "40", "50"]);
}

/// A folder with the file that `torch.save` wrote of `{"x": 40 rows of 3, in row 4 a NaN, "images": uint8, "y": int64, "info": {"t": transposed, …},
/// "both": two views of one tensor, "last": a parameter}`.
fn torch_set(source: &Path) {
    fs::write(source.join("set.pt"), include_bytes!("data/set.pt")).unwrap();
}

/// Name, rows and mean of the first column of each table.
fn tables(folder: &Path) -> Vec<(String, u64, f64)> {
    let result = scan(&Task::new(&[folder.to_owned()]), &|_, _| ()).unwrap();
    let first =
        |name: &str| result.columns.iter().find(|column| column.table == name).map(|column| column.mean);
    let table = |name: &String, rows| (name.clone(), rows, first(name).unwrap());
    let mut tables: Vec<_> = result.tables.iter().map(|of| table(&of.name, of.rows)).collect();
    tables.sort_by(|a, b| a.0.cmp(&b.0));
    tables
}

#[test]
fn tensors_of_torch_lose_a_row_together_and_the_rest_of_the_file_stays() {
    let (_folder, source, into) = folders();
    torch_set(&source);
    let before = tables(&source);
    let result = cleaned(&source, &into, Actions::default(), None);
    assert!(result.not_cleaned.is_empty(), "{:?}", result.not_cleaned);
    assert!(!found(&into).contains(&"non-finite-input".to_owned()));
    let after = tables(&into);
    assert_eq!(before.len(), after.len());
    for ((name, rows, mean), (new_name, new_rows, new_mean)) in before.iter().zip(&after) {
        assert_eq!(name, new_name);
        assert_eq!(*new_rows, if *rows == 40 { 39 } else { *rows }, "{name}");
        assert!((mean - new_mean).abs() < 3.0, "{name}: {mean} {new_mean}");
    }
    let row = audit(&result).into_iter().find(|change| change.contains("\"table\":\"x\"")).unwrap();
    assert!(row.contains("\"row\":4,\"rule\":\"non-finite-input\",\"action\":\"drop-row\""), "{row}");
}

#[test]
fn tensors_of_torch_that_are_normalised_become_floats() {
    let (_folder, source, into) = folders();
    torch_set(&source);
    let result = cleaned(&source, &into, Actions::default(), Some(Normalise::Columns));
    // Two tensors share a storage, which cannot be normalised for both.
    assert_eq!(result.not_cleaned.len(), 1, "{:?}", result.not_cleaned);
    assert!(result.not_cleaned[0].contains("both[0] shares its storage with another tensor"));

    let mut actions = Actions::default();
    actions.set("non-finite-input", Action::Impute).unwrap();
    let (_folder, source, into) = folders();
    fs::write(source.join("alone.pt"), include_bytes!("data/alone.pt")).unwrap();
    let result = cleaned(&source, &into, actions, Some(Normalise::Columns));
    assert!(result.not_cleaned.is_empty(), "{:?}", result.not_cleaned);
    for (name, rows, mean) in tables(&into) {
        let is_target = name.ends_with(":y");
        assert_eq!(rows, 40, "{name}");
        assert!(is_target || mean.abs() < 1e-6, "{name}: {mean}");
    }
}

#[test]
fn an_array_that_is_stored_column_by_column_is_cleaned_too() {
    let (_folder, source, into) = folders();
    let mut values = drawn(60);
    // Of 20 rows and 3 columns: row 7 of column 1.
    values[20 + 7] = f32::NAN;
    let path = source.join("x.npy");
    npy(&path, &[20, 3], &values);
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|part| part == b"False").unwrap();
    fs::write(&path, [&bytes[..at], b"True ", &bytes[at + 5..]].concat()).unwrap();
    let result = cleaned(&source, &into, Actions::default(), None);
    assert!(result.not_cleaned.is_empty(), "{:?}", result.not_cleaned);
    assert!(audit(&result)[0].contains("\"row\":7,"), "{:?}", audit(&result));
    let bytes = fs::read(into.join("x.npy")).unwrap();
    let values: Vec<f32> = (0..20)
        .filter(|row| *row != 7)
        .flat_map(|row| [values[row], values[20 + row], values[40 + row]])
        .collect();
    let expected: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert!(bytes.ends_with(&expected));
}

#[test]
fn rows_and_lines_that_cannot_be_read_go_and_short_ones_are_filled_up() {
    let (_folder, source, into) = folders();
    let rows = "a,b,name\n1,2,x\n3,4\n5\n6,7,y,8\n9,10,z\n11,12,w\n";
    fs::write(source.join("t.csv"), rows).unwrap();
    let lines = "{\"a\": 1, \"b\": 2}\n{\"a\": 3}\n{\"a\": \n{\"a\": 4, \"b\": 6}\n{\"a\": 5, \"b\": 6}\n";
    fs::write(source.join("t.jsonl"), lines).unwrap();
    let mut actions = Actions::default();
    actions.set("missing-value", Action::Impute).unwrap();
    cleaned(&source, &into, actions, None);
    let table = fs::read_to_string(into.join("t.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[..3], ["a,b,name", "1,2,x", "3,4,"]);
    assert!(rows[3].starts_with("5,") && rows[3].ends_with(',') && rows[3] != "5,,", "{}", rows[3]);
    assert_eq!(rows[4..], ["9,10,z", "11,12,w"]);
    let lines = fs::read_to_string(into.join("t.jsonl")).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!([lines[0], lines[3]], ["{\"a\": 1, \"b\": 2}", "{\"a\": 5, \"b\": 6}"]);
    assert!(lines[1].starts_with("{\"a\": 3, \"b\": "), "{}", lines[1]);
    assert_eq!(found(&into), Vec::<String>::new());
}

#[test]
fn a_sample_that_is_there_twice_is_left_out_with_its_target() {
    let (_folder, source, into) = folders();
    let sample = 2 * 16 * 16;
    let mut values = drawn(30 * sample);
    values.copy_within(3 * sample..4 * sample, 20 * sample);
    // Two that are nothing but 0 are no copies.
    values[5 * sample..7 * sample].fill(0.0);
    npy(&source.join("x.npy"), &[30, 2, 16, 16], &values);
    npy(&source.join("z.npy"), &[30], &drawn(30));
    let scanned = scan(&Task::new(std::slice::from_ref(&source)), &|_, _| ()).unwrap();
    let copies: Vec<_> = scanned.findings.iter().filter(|found| found.rule == "duplicate-sample").collect();
    let [copy] = copies[..] else { panic!("{copies:?}") };
    assert_eq!((copy.index, &*copy.message), (Some(20), "holds the same as row 3"));

    let result = cleaned(&source, &into, Actions::default(), None);
    assert_eq!(audit(&result).len(), 2, "{:?}", audit(&result));
    assert!(audit(&result).iter().all(|change| change.contains("\"row\":20,\"rule\":\"duplicate-sample\"")));
    assert!(!found(&into).contains(&"duplicate-sample".to_owned()));
}

#[test]
fn a_single_number_stays_where_rows_go() {
    let (_folder, source, into) = folders();
    let single = source.join("only.npy");
    npy(&single, &[1, 3], &[1.0, f32::NAN, 2.0]);
    npy(&source.join("t.npy"), &[1], &[f32::NAN]);
    // A shape without sizes.
    let bytes = fs::read(source.join("t.npy")).unwrap();
    let text = String::from_utf8_lossy(&bytes[10..bytes.len() - 4]).replace("(1,)", "()  ");
    fs::write(source.join("t.npy"), [&bytes[..10], text.as_bytes(), &bytes[bytes.len() - 4..]].concat())
        .unwrap();
    cleaned(&source, &into, Actions::default(), None);
    assert_eq!(fs::read(into.join("t.npy")).unwrap().len() % 64, 4, "it has its one value");
    assert_eq!(fs::read(into.join("only.npy")).unwrap().len() % 64, 0, "it has no row any more");
}

#[test]
fn items_of_lists_and_fields_of_structures_are_replaced_and_normalised() {
    use arrow_array::builder::{FixedSizeListBuilder, Int32Builder, ListBuilder};
    use arrow_array::{ArrayRef, Float32Array, StructArray};
    let (_folder, source, into) = folders();
    let mut vectors = FixedSizeListBuilder::new(arrow_array::builder::Float32Builder::new(), 2);
    let mut counts = ListBuilder::new(Int32Builder::new());
    for (row, value) in drawn(200).into_iter().enumerate() {
        vectors.values().append_value(if row == 9 { f32::INFINITY } else { value });
        vectors.values().append_value(value * 2.0 + 1.0);
        vectors.append(true);
        (0..row % 3).for_each(|item| counts.values().append_value((row + item) as i32 % 11));
        counts.append(row != 30);
    }
    let values: Vec<f32> =
        drawn(201)[1..].iter().zip(0..).map(|(v, row)| if row == 7 { f32::NAN } else { *v }).collect();
    let inner: ArrayRef = Arc::new(Float32Array::from(values));
    let field = Arc::new(arrow_schema::Field::new("u", arrow_schema::DataType::Float32, true));
    let structure = StructArray::new(vec![field].into(), vec![inner], None);
    let batch = RecordBatch::try_from_iter([
        ("v", Arc::new(vectors.finish()) as ArrayRef),
        ("n", Arc::new(counts.finish()) as ArrayRef),
        ("s", Arc::new(structure) as ArrayRef),
    ])
    .unwrap();
    let to = fs::File::create(source.join("t.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(to, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut actions = Actions::default();
    actions.set("non-finite-input", Action::Clip).unwrap();
    let result = cleaned(&source, &into, actions, Some(Normalise::Columns));
    let changes = audit(&result);
    let has = |what: &str| changes.iter().any(|change| change.contains(what));
    assert!(has("\"row\":9,\"column\":\"v\"") && has("\"row\":7,\"column\":\"s.u\""), "{changes:?}");
    assert!(has("\"row\":30,\"rule\":\"missing-value\",\"action\":\"drop-row\""), "{changes:?}");
    assert_eq!(changes.len(), 3, "{changes:?}");
    let scanned = scan(&Task::new(std::slice::from_ref(&into)), &|_, _| ()).unwrap();
    assert_eq!(scanned.samples, 199);
    for column in &scanned.columns {
        assert!(column.mean.abs() < 1e-6 && (column.std - 1.0).abs() < 1e-4, "{column:?}");
    }
}

#[test]
fn files_of_torch_whose_bytes_were_changed_are_cleaned_or_copied() {
    let whole = include_bytes!("data/set.pt");
    let mut state = 11u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let pickle = whole.windows(8).position(|bytes| bytes == b"data.pkl").unwrap();
    for round in 0..150 {
        let mut bytes = whole.to_vec();
        for _ in 0..=random(3) {
            // Half of them in the pickle.
            let at = if round % 2 == 0 { pickle + 20 + random(900) } else { random(bytes.len()) };
            bytes[at] = random(256) as u8;
        }
        if round % 10 == 0 {
            bytes.truncate(random(bytes.len()));
        }
        let (_folder, source, into) = folders();
        fs::write(source.join("set.pt"), &bytes).unwrap();
        let task = CleanTask {
            paths: std::slice::from_ref(&source),
            into: &into,
            options: Options::default(),
            actions: Actions::default(),
            normalise: None,
            threads: 1,
            is_dry: false,
        };
        let result = clean(&task, &|_, _| (), &|_| ()).unwrap();
        assert!(into.join("set.pt").exists() && fs::read(source.join("set.pt")).unwrap() == bytes);
        let panicked = result.not_cleaned.iter().find(|why| why.contains("its reader failed"));
        assert!(panicked.is_none(), "round {round}: {panicked:?}");
    }
}

#[test]
fn tensors_in_a_list_of_samples_keep_their_shape() {
    let (_folder, source, into) = folders();
    fs::write(source.join("list.pt"), include_bytes!("data/list.pt")).unwrap();
    let result = cleaned(&source, &into, Actions::default(), None);
    assert!(
        result.not_cleaned[0]
            .contains("[2].image is one of a list of tensors, from which denan leaves nothing out"),
        "{:?}",
        result.not_cleaned
    );
    assert_eq!(fs::read(into.join("list.pt")).unwrap(), include_bytes!("data/list.pt"));

    let into = into.with_extension("clipped");
    let mut actions = Actions::default();
    actions.set("non-finite-input", Action::Impute).unwrap();
    let result = cleaned(&source, &into, actions, None);
    assert_eq!((audit(&result).len(), result.not_cleaned.len()), (1, 0), "{:?}", result.not_cleaned);
    assert_eq!(found(&into), [""; 0]);
    let rows: Vec<u64> = tables(&into).iter().map(|(_, rows, _)| *rows).collect();
    assert!(rows.iter().all(|rows| *rows == 3 || *rows == 1), "{rows:?}");
}
